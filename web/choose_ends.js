// The page of A or B without a pair on it: before there are clips, and when all pairs are chosen.
import { button } from "./choose_tools.js";
import { element } from "./element.js";

const ENOUGH = 10; // decided pairs from which on a habit of choosing one side can show

/**
 * Where the clips will be, and what to do until then.
 * @param {string} text what to do, or what is wrong.
 * @param {boolean} bad whether something is wrong.
 * @param {function(): void} look look for clips again.
 */
export function emptyView(text, bad, look) {
  const message = element("p", bad ? "videoalign-empty-text bad" : "videoalign-empty-text", text);
  message.setAttribute("role", bad ? "alert" : "status");
  const frames = ["A", "B"].map((side) => element("span", "", side));
  frames.forEach((frame) => frame.setAttribute("aria-hidden", "true"));
  const picture = element("div", "videoalign-empty-frames", ...frames);
  return element("div", "videoalign-empty", picture, message, act("look", "Look again", look));
}

/**
 * What was done, and what can be done with it.
 * @param {object} state the server's: total, end.
 * @param {string} more how more clips come.
 * @param {{back: function(): void, look: function(): void}} acts back: to the last pair. look: for new clips.
 */
export function endView(state, more, acts) {
  const { end, total } = state;
  const all = total === 1 ? "1 pair is chosen." : `All ${total} pairs are chosen.`;
  const where = element("p", "", end.chosen === total ? "Kept in " : `This file holds ${end.chosen} choices, with those of earlier clips: `, code(end.path));
  const parts = [element("h2", "", all), where, ...agreement(end), element("h3", "", "What next")];
  if (end.prompts === 1) parts.push(element("p", "", "All of them are of one prompt. Training holds out a part by prompt, so add clips of a second one first."));
  for (const { what, command } of end.commands) parts.push(element("p", "videoalign-command", `${what}:`, code(command)));
  parts.push(element("p", "", more));
  parts.push(element("div", "videoalign-end-acts", act("back", "Back to the last pair", acts.back), act("look", "Look for new clips", acts.look)));
  return element("div", "videoalign-end", ...parts);
}

function act(name, text, done) {
  const made = button("videoalign-plain", text, text);
  made.dataset.act = name;
  made.addEventListener("click", done);
  return made;
}

function agreement(end) {
  const parts = [];
  for (const { name, agreement: rows } of end.people) {
    const who = name === "choices" ? "the choices without a name" : name;
    if (!rows.length) {
      parts.push(element("p", "", `You and ${who} have judged no pair in common yet.`));
      continue;
    }
    const table = element("table", "videoalign-agreement", element("caption", "", `How far you and ${who} agree`));
    table.append(cells("th", ["", "pairs", "equal", "kappa"]));
    for (const row of rows) {
      table.append(cells("td", [row.dimension, row.pairs, percent(row.share), row.kappa === null ? "\u2013" : row.kappa.toFixed(2)]));
    }
    parts.push(table);
  }
  if (end.people.length) parts.push(element("p", "videoalign-small", "Equal: the same answer. Kappa: 1 is perfect, 0 what chance gives."));
  else parts.push(element("p", "", "Nobody else has chosen among these clips yet. A second person under another name would show how far people agree."));
  for (const name of end.unread) parts.push(element("p", "", `${name} cannot be read; videoalign choose merge says why.`));
  if (end.left?.decided >= ENOUGH) {
    const { share, decided } = end.left;
    parts.push(element("p", "", `You preferred the clip on the left in ${percent(share)} of ${decided} decided pairs.`));
  }
  return parts;
}

const percent = (share) => `${Math.round(100 * share)} %`;
const cells = (tag, texts) => element("tr", "", ...texts.map((text) => element(tag, "", String(text))));

/** Text to be copied; by a button where the browser lets a page do so. */
function code(text) {
  const shown = element("code", "", text);
  if (!navigator.clipboard) return shown;
  const copy = button("videoalign-copy", `Copy ${text}`, "Copy");
  copy.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(text).then(() => true, () => false);
    copy.textContent = copied ? "Copied" : "Select the text";
  });
  return element("span", "videoalign-code", shown, copy);
}
