// What judges said of the two clips that were chosen between: a tooltip on each, once the choice is on the disk.
import { element } from "./element.js";
import { button } from "./choose_tools.js";

const AGAIN = "This clip comes again in another pair. What the judges said of it is shown after that.";

/**
 * The clips of a pair that was kept, small, each with its judges' marks and reasons.
 * @param {object|undefined} judged by "A" and "B", lists of {judge, marks, reasons}; `later`: letters of clips that come again in a
 *   pair that is not chosen yet; `fault`: why nothing can be told.
 * @param {HTMLElement[]} pictures a small picture of either clip, or none.
 * @returns {HTMLElement[]} nothing where no judge said anything.
 */
export function judgedClips(judged, pictures = []) {
  if (judged?.fault) return [element("span", "videoalign-warning", `The judges' marks cannot be shown: ${judged.fault}`)];
  return ["A", "B"].flatMap((side, place) => {
    const later = judged?.later?.includes(side);
    const said = later ? [line(AGAIN)] : (judged?.[side] ?? []).flatMap(linesOf);
    return said.length ? [tooltip(side, pictures[place], said)] : [];
  });
}

function tooltip(side, picture, said) {
  const words = said.map((one) => one.textContent).join(". ");
  const over = element("span", "videoalign-judges-said", ...said);
  over.setAttribute("role", "tooltip");
  const made = button("videoalign-judged", `Clip ${side}, what judges said: ${words}`, ...(picture ? [picture] : []), element("b", "", side), over);
  made.removeAttribute("title"); // the browser's own tooltip would lie over this one
  made.setAttribute("aria-expanded", "false");
  made.addEventListener("click", () => made.setAttribute("aria-expanded", String(made.getAttribute("aria-expanded") !== "true"))); // a finger does not hover
  return made;
}

function linesOf({ judge, marks, reasons }) {
  const rows = Object.entries(marks).map(([name, value]) => line(`${name} ${figure(value)}`, reasons[name]));
  const others = Object.entries(reasons).filter(([name]) => !(name in marks)).map(([name, text]) => line(name, text));
  return [element("b", "videoalign-judges-line", judge), ...rows, ...others];
}

function line(mark, reason) {
  return element("span", "videoalign-judges-line", mark, ...(reason ? [element("span", "videoalign-judges-reason", `: ${reason}`)] : []));
}

function figure(value) {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}
