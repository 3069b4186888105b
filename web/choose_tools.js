// What can be done besides answering, as buttons with their keys: to the clips, and to the pair.
import { element } from "./element.js";

// name, text, what it does, key as it is shown, the key's name, drawing
const CLIP_TOOLS = [
  ["restart", "Start", "Play from the start", "R", "r", "M12 5V1L7 6l5 5V7a5 5 0 1 1-5 5H5a7 7 0 1 0 7-7z"],
  ["earlier", "Frame", "One frame back", ",", ",", "M15 5l-7 7 7 7 1.6-1.6-5.4-5.4 5.4-5.4z"],
  ["toggle", "Pause", "Pause or play", "Space", " ", "M6 5h4v14H6zM14 5h4v14h-4z"],
  ["further", "Frame", "One frame on", ".", ".", "M9 5l7 7-7 7-1.6-1.6 5.4-5.4-5.4-5.4z"],
  ["full", "Full", "Full screen", "F", "f", "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z"],
];
const PAIR_TOOLS = [
  ["back", "Back", "Back: take back the last answer, or the last pair", "\u232b", "backspace", "M9 5 4 10l5 5v-4h5a4 4 0 0 1 0 8H8v2h6a6 6 0 0 0 0-12H9z"],
  ["skip", "Later", "Later: show this pair at the end", "N", "n", "M5 5l9 7-9 7zM16 5h3v14h-3z"],
  ["rest", "All alike", "All alike: the next answer counts for all questions that are left", "Shift", "", "M4 5h16v3H4zM4 10.5h16v3H4zM4 16h16v3H4z"],
  ["keep", "Keep", "Keep the pair as it is; the other questions stay open", "Enter", "enter", "M9 16.2 4.8 12l-1.4 1.4L9 19 21 7l-1.4-1.4z"],
];
const PLAY = "M7 4.5v15l12-7.5z";
const NAMES = { " ": "Space", backspace: "Backspace", enter: "Enter", "": "Shift" };

/**
 * The two rows of buttons.
 * @param {Object<string, function(): void>} acts what each button does, by name.
 * @returns {{clip: HTMLElement, pair: HTMLElement, acts: Object<string, function(): void>, draw: function(object): void}}
 *   acts: by the key that does the same. draw: show whether the clips play, whether an answer counts for all that is left, and
 *   whether there is anything to keep.
 */
export function tools(acts) {
  const made = {};
  const keys = {};
  const row = (label, entries) => {
    const group = element("div", "videoalign-tools", ...entries.map(([name, text, meaning, shown, key, drawing]) => {
      const one = button("videoalign-tool", meaning, icon(drawing), element("span", "", text), element("kbd", "", shown));
      one.dataset.act = name;
      one.title = `${meaning} (${NAMES[key] ?? shown})`;
      one.setAttribute("aria-keyshortcuts", NAMES[key] ?? shown);
      one.addEventListener("click", acts[name]);
      if (key) keys[key] = acts[name];
      made[name] = one;
      return one;
    }));
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", label);
    return group;
  };
  const clip = row("Clips", CLIP_TOOLS);
  const pair = row("Pair", PAIR_TOOLS);
  made.full.hidden = !document.fullscreenEnabled; // a phone may show nothing but a video in full screen

  function draw({ playing, rest, answered }) {
    made.toggle.querySelector("path").setAttribute("d", playing ? CLIP_TOOLS[2][5] : PLAY);
    made.toggle.querySelector("span").textContent = playing ? "Pause" : "Play";
    made.toggle.setAttribute("aria-label", playing ? "Pause" : "Play");
    made.rest.setAttribute("aria-pressed", String(rest));
    made.keep.setAttribute("aria-disabled", String(!answered));
  }
  return { clip, pair, acts: keys, draw };
}

/** A button that a screen reader calls by its label. */
export function button(className, label, ...content) {
  const made = element("button", className, ...content);
  made.type = "button";
  made.setAttribute("aria-label", label);
  return made;
}

function icon(drawing) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", drawing);
  svg.append(path);
  return svg;
}
