// The four questions about a pair: their buttons, and the keys that answer them.
import { element } from "./element.js";

export const QUESTIONS = [
  ["VQ", "Visual quality", "Which looks better: sharp, clean, no artefacts?"],
  ["MQ", "Motion quality", "Which moves better: smooth, natural, no jumps?"],
  ["TA", "Text alignment", "Which shows better what the prompt says?"],
  ["Overall", "Overall", "Which would you keep?"],
];
const ANSWERS = [
  ["A", "A", "1"],
  ["same", "same", "2"],
  ["B", "B", "3"],
  ["both_bad", "both bad", "4"],
];
// Key -> answer. Arrows point at the clip.
const ANSWER_KEYS = {
  1: "A", a: "A", arrowleft: "A", 2: "same", s: "same", arrowdown: "same", 3: "B", b: "B", arrowright: "B", 4: "both_bad", x: "both_bad", arrowup: "both_bad",
};
const KEY_HELP = [
  ["1 / A / ←", "A"],
  ["2 / S / ↓", "same"],
  ["3 / B / →", "B"],
  ["4 / X / ↑", "both bad"],
  ["Shift +", "all that is left"],
  ["Enter", "keep as it is"],
  ["⌫", "back"],
  ["N", "later"],
  ["Space", "pause"],
  [", .", "frame"],
  ["F", "full screen"],
];

/**
 * The questions, one below the other.
 * @param {function(number, string): void} clicked the place of a question, and the answer that was clicked.
 * @returns {{element: HTMLElement, draw: function(number, object, object): void}}
 *   draw: show which question the keys answer, the answers by question, and those of before that may be given again.
 */
export function questionRows(clicked) {
  const rows = QUESTIONS.map(([name, title, meaning], place) => questionRow(name, title, meaning, (answer) => clicked(place, answer)));

  function draw(current, answers, before) {
    rows.forEach((row, place) => {
      row.element.classList.toggle("current", place === current);
      for (const button of row.buttons) {
        const chosen = answers[row.name] === button.dataset.answer;
        button.classList.toggle("chosen", chosen);
        button.classList.toggle("before", !(row.name in answers) && before[row.name] === button.dataset.answer);
        button.setAttribute("aria-checked", String(chosen));
      }
    });
  }
  return { element: element("div", "videoalign-questions", ...rows.map((row) => row.element)), draw };
}

function questionRow(name, title, meaning, clicked) {
  const buttons = ANSWERS.map(([answer, text, key]) => {
    const button = element("button", `videoalign-answer ${answer}`, text);
    Object.assign(button, { type: "button", tabIndex: -1, title: `${title}: ${text} (key ${key})` });
    button.dataset.answer = answer;
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => clicked(answer));
    return button;
  });
  const group = element("div", "videoalign-answers", ...buttons);
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", `${title}. ${meaning}`);
  const line = element("div", "videoalign-question", element("span", "videoalign-ask", title), group);
  line.dataset.question = name;
  line.title = meaning;
  return { name, element: line, buttons };
}

/** The answer that a pressed key means, or undefined. */
export function answerOfKey(event) {
  const digit = /^Digit([1-4])$/.exec(event.code)?.[1]; // with Shift the key is another character
  return ANSWER_KEYS[digit ?? event.key.toLowerCase()];
}

/** What the keys do, in a line. */
export function keyHelp() {
  const help = KEY_HELP.map(([key, meaning]) => element("span", "", element("kbd", "", key), ` ${meaning}`));
  return element("div", "videoalign-keys", ...help);
}
