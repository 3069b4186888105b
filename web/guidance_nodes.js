// Reward Guidance and Reward Trace: the triangle, and the curve that grows while the sampler works.
import { api } from "../../scripts/api.js";
import { nodeOf, rootGraph } from "./graph_nodes.js";
import { chain, followOutput, keepResult } from "./kept_results.js";
import { isOpen, workflowOf } from "./runs.js";
import { traceView } from "./trace_view.js";
import { followWeights } from "./weights_view.js";

const EVENT = "videoalign.reward_trace";
const LIVE = "videoalign_live"; // a curve that was heard to its end
const TOLD = "/videoalign/reward_traces";
const views = new Map(); // node -> its curve
const heard = new Map(); // id of a guidance node -> {workflow, messages, seen: shown to its end} of its last run
let missed = null; // {workflow, messages} of a run that ended before this page could hear it

/** Hear what guided samplers do, from the first moment on; and ask what they have done before the page was loaded. */
export async function listenToTraces() {
  api.addEventListener(EVENT, ({ detail }) => spread(detail));
  const ask = async (path) => (await api.fetchApi(path)).json();
  try {
    const [queue, told] = await Promise.all(["/queue", TOLD].map(ask));
    if (!told.messages.length) return;
    if (queue.queue_running.some((job) => job[1] === told.prompt)) {
      told.messages.forEach((message) => spread(message, workflowOf(told.prompt)));
      return;
    }
    // The run has ended while the page was loaded: its curve belongs to the workflow that was run, and to no other.
    const run = (await ask(`/history/${told.prompt}`))[told.prompt];
    missed = { workflow: run?.prompt?.[3]?.extra_pnginfo?.workflow?.id, messages: told.messages };
    for (const [node, view] of views) catchUp(node, view);
  } catch {
    // a server that is going down, or of another version of the pack: the curve begins with the next message
  }
}

/** Reward Guidance: the triangle of its sliders, and the curve, unless a Reward Trace behind it shows that. */
export function attachGuidance(node, panel) {
  const weights = followWeights(node, panel);
  const curve = keepCurve(node);
  const arrange = () => panel.show([...(weights ? [weights] : []), ...(isTraced(node) ? [] : [curve.element])]);
  chain(node, "onConnectionsChange", () => setTimeout(arrange)); // after the wire is there, or gone
  chain(node, "onConfigure", () => setTimeout(arrange));
  arrange();
}

/** Reward Trace: the curve, live from the guidance node that its wire comes from, and whole after the run. */
export function attachTrace(node, panel) {
  const curve = keepCurve(node);
  panel.show([curve.element]);
  panel.onOutput("videoalign_trace", ([trace]) => trace && curve.replace(trace), withoutClips);
}

/** A trace as a workflow file keeps it: without the rewards of each clip of a batch. */
function withoutClips(traces) {
  const small = (trace) => trace && { ...trace, points: trace.points.map(({ samples: _, ...point }) => point) };
  return traces.map((trace) => ({ ...small(trace), ghost: small(trace.ghost) ?? null }));
}

function keepCurve(node) {
  const view = traceView();
  views.set(node, view);
  chain(node, "onRemoved", () => views.delete(node));
  followOutput(node, LIVE, ([trace]) => trace && view.replace(trace));
  // A node that was made anew in the middle of a run: by an undo, a reload, another workflow tab.
  chain(node, "onConfigure", () => setTimeout(() => catchUp(node, view)));
  return view;
}

function spread(message, workflow = workflowOf()) {
  const messages = heard.get(message.node)?.messages ?? [];
  const last = messages.at(-1);
  if (last && last.run === message.run && message.index !== null && message.index <= last.index) return; // told twice
  missed = null;
  const open = isOpen(workflow);
  heard.set(message.node, { workflow, messages: message.index === -1 ? [message] : [...messages, message], seen: open && message.index === null });
  if (!open) return;
  for (const [node, view] of views) if (isAbout(message, node)) hear(node, view, [message]);
}

function hear(node, view, messages) {
  messages.forEach(view.add);
  if (messages.at(-1).index === null) keepResult(node, LIVE, [view.kept()]);
}

function catchUp(node, view) {
  const late = missed?.workflow && missed.workflow === rootGraph()?.id ? missed.messages.filter((one) => isAbout(one, node)) : [];
  if (late.length) hear(node, view, late);
  for (const run of heard.values()) {
    if (run.seen || !isOpen(run.workflow) || !isAbout(run.messages[0], node)) continue;
    hear(node, view, run.messages);
  }
}

function isAbout(message, node) {
  const source = nodeOf(String(message.node));
  return Boolean(source) && (node === source || comesFrom(node, source));
}

function comesFrom(node, source) {
  const place = node.inputs?.findIndex((input) => input.name === "trace") ?? -1;
  return place >= 0 && node.getInputNode?.(place) === source;
}

function isTraced(node) {
  const output = node.outputs?.find((one) => one.type === "VIDEOALIGN_TRACE");
  return (output?.links ?? []).some((link) => {
    const wire = node.graph?.getLink?.(link) ?? node.graph?.links?.get?.(link) ?? node.graph?.links?.[link];
    const target = wire && node.graph.getNodeById(wire.target_id);
    return target?.comfyClass === "VideoAlignRewardTrace";
  });
}
