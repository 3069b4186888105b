// Which workflow each run belongs to, and what came of the runs that this page did not hear whole: those that ended while it was
// loaded, and those that ended while another workflow was open.
import { api } from "../../scripts/api.js";
import { rootGraph } from "./graph_nodes.js";

const KEPT = "videoalign.runs"; // in the browser: [prompt, workflow] of each run whose results no page has shown yet
const MOST_KEPT = 20;
const OURS = "VideoAlign";
const missed = new Map(); // prompt -> its outputs by execution id, each {type, output}; null until the server has them
let running = null; // the prompt that is being executed, as far as this page has heard
let shown = null; // what is told of outputs

// From here, as ComfyUI's own listeners, which call the nodes, are added after the scripts are loaded.
for (const event of ["execution_start", "executed"]) api.addEventListener(event, ({ detail }) => (running = detail.prompt_id));

/**
 * Follow the runs of this page, and ask for the results of those that an earlier page has queued.
 * @param {function(object): Promise<boolean>} show draws outputs of the open workflow, {execution id: {type, output}}; false: it
 *   did not, and is asked again when that workflow is opened.
 */
export function followRuns(show) {
  shown = show;
  for (const [prompt] of kept()) missed.set(prompt, null);
  const queue = api.queuePrompt;
  api.queuePrompt = async function (...values) {
    const answer = await queue.apply(this, values);
    const workflow = values[1]?.workflow?.id;
    if (answer?.prompt_id && workflow) keep([...kept(), [answer.prompt_id, workflow]]);
    return answer;
  };
  for (const end of ["execution_success", "execution_error", "execution_interrupted"]) {
    api.addEventListener(end, ({ detail: { prompt_id } }) => {
      if (missed.has(prompt_id)) return; // heard from its middle on
      if (isOpen(workflowOf(prompt_id))) forget(prompt_id);
      else missed.set(prompt_id, null);
    });
  }
  // The server says this to a page that connects, and to all when it has put a run into its history.
  api.addEventListener("status", ({ detail }) => detail && ask(detail.exec_info?.queue_remaining === 0));
  ask(false); // the first of these was perhaps said before this script was there
}

/** Show what was missed of the workflow that is open, if anything was. */
export async function showMissed() {
  for (const [prompt, outputs] of missed) {
    if (outputs && isOpen(workflowOf(prompt)) && (await shown(outputs))) forget(prompt);
  }
}

/** The id of the workflow that was run with a prompt, or is being run; null where nobody knows. */
export const workflowOf = (prompt = running) => kept().find(([one]) => one === prompt)?.[1] ?? null;

/** Whether this is the id of the open workflow; true of none. */
export const isOpen = (workflow) => !workflow || workflow === rootGraph()?.id;

async function ask(idle) {
  for (const [prompt, outputs] of missed) {
    if (outputs) continue;
    try {
      const run = (await (await api.fetchApi(`/history/${prompt}`)).json())[prompt];
      if (run) missed.set(prompt, ours(run));
      else if (idle) forget(prompt); // of a server that was started anew, or whose history was emptied
    } catch {
      return; // the server is going down: the next page asks again
    }
  }
  await showMissed();
}

function ours({ prompt, outputs }) {
  const nodes = Object.entries(outputs ?? {}).map(([id, output]) => [id, { type: prompt[2][id]?.class_type, output }]);
  return Object.fromEntries(nodes.filter(([, { type }]) => type?.startsWith(OURS)));
}

function forget(prompt) {
  missed.delete(prompt);
  keep(kept().filter(([one]) => one !== prompt));
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

function keep(runs) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(runs.slice(-MOST_KEPT)));
  } catch {
    // the browser keeps nothing for this page, or is full: what a reload cuts off comes back with the next run
  }
}
