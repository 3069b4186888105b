// The four questions about a pair: their buttons, and the keys that answer them.
import { button } from "./choose_tools.js";
import { element } from "./element.js";

export const QUESTIONS = [
  ["VQ", "Visual quality", "Which looks better: sharp, clean, no artefacts?"],
  ["MQ", "Motion quality", "Which moves better: smooth, natural, no jumps?"],
  ["TA", "Text alignment", "Which shows better what the prompt says?"],
  ["Overall", "Overall", "Which would you keep?"],
];
const ANSWERS = [
  ["A", "A", "1", "A is better"],
  ["same", "same", "2", "no difference"],
  ["B", "B", "3", "B is better"],
  ["both_bad", "both bad", "4", "both are bad"],
];
// Key -> answer. Arrows point at the clip.
const ANSWER_KEYS = {
  1: "A", a: "A", arrowleft: "A", 2: "same", s: "same", arrowdown: "same", 3: "B", b: "B", arrowright: "B", 4: "both_bad", x: "both_bad", arrowup: "both_bad",
};
const STEPS = { arrowleft: -1, arrowup: -1, arrowright: 1, arrowdown: 1 };

/**
 * The questions, one below the other; where there is little room, one at a time with a button for each.
 * @param {{answered: function(number, string, PointerEvent): void, turned: function(number): void}} told
 *   answered: the place of a question, and the answer that was clicked. turned: the question that the person turns to.
 * @returns {{element: HTMLElement, draw: function(number, object, object): void, focus: function(number): void,
 *   move: function(KeyboardEvent): boolean}}
 *   draw: show which question the keys answer, the answers by question, and those of before that may be given again.
 *   focus: put the keyboard's focus on a question. move: whether a key moved the focus among a question's answers.
 */
export function questionRows(told) {
  const ask = element("div", "videoalign-asking");
  const rows = QUESTIONS.map(([name, title, meaning], place) => questionRow(name, title, meaning, (answer, event) => told.answered(place, answer, event)));
  const turns = QUESTIONS.map(([name, title], place) => {
    const turn = button("videoalign-turn", `Question ${place + 1} of ${QUESTIONS.length}: ${title}`, element("span", "", name));
    turn.addEventListener("click", () => told.turned(place));
    return turn;
  });
  rows.forEach((row, place) => row.element.addEventListener("focusin", () => told.turned(place)));
  const steps = element("div", "videoalign-turns", ...turns);
  steps.setAttribute("role", "group");
  steps.setAttribute("aria-label", "Questions");

  function draw(current, answers, before) {
    const [, title, meaning] = QUESTIONS[current];
    ask.replaceChildren(element("b", "", title), ` ${meaning}`);
    rows.forEach((row, place) => {
      row.element.classList.toggle("current", place === current);
      turns[place].classList.toggle("answered", row.name in answers);
      if (place === current) turns[place].setAttribute("aria-current", "step");
      else turns[place].removeAttribute("aria-current");
      const stop = answers[row.name] ?? before[row.name] ?? ANSWERS[0][0]; // where Tab comes in
      for (const one of row.buttons) {
        const chosen = answers[row.name] === one.dataset.answer;
        one.classList.toggle("chosen", chosen);
        one.classList.toggle("before", !(row.name in answers) && before[row.name] === one.dataset.answer);
        one.setAttribute("aria-checked", String(chosen));
        if (!row.element.contains(document.activeElement)) one.tabIndex = one.dataset.answer === stop ? 0 : -1;
      }
    });
  }

  function focus(place) {
    rows[place].buttons.find((one) => one.tabIndex === 0).focus({ preventScroll: true });
  }

  function move(event) {
    const step = STEPS[event.key.toLowerCase()];
    const row = rows.find((one) => one.buttons.includes(event.target));
    if (!row || !step) return false;
    const next = row.buttons[(row.buttons.indexOf(event.target) + step + ANSWERS.length) % ANSWERS.length];
    for (const one of row.buttons) one.tabIndex = one === next ? 0 : -1;
    next.focus({ preventScroll: true });
    return true;
  }
  return { element: element("div", "videoalign-questions", steps, ask, ...rows.map((row) => row.element)), draw, focus, move };
}

function questionRow(name, title, meaning, clicked) {
  const buttons = ANSWERS.map(([answer, text, key, said]) => {
    const one = button(`videoalign-answer ${answer}`, `${title}: ${said}`, element("span", "", text), element("kbd", "", key));
    one.dataset.answer = answer;
    one.tabIndex = -1;
    one.setAttribute("role", "radio");
    one.setAttribute("aria-keyshortcuts", key);
    one.addEventListener("click", (event) => clicked(answer, event));
    return one;
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

/** A pair's answers in a few words. */
export function inWords(answers) {
  const [, , , said] = ANSWERS.find(([answer]) => answer === answers[QUESTIONS[0][0]]) ?? [];
  const given = QUESTIONS.filter(([name]) => name in answers);
  if (given.length === QUESTIONS.length && given.every(([name]) => answers[name] === answers[given[0][0]])) return said;
  return given.map(([name]) => `${name} ${ANSWERS.find(([answer]) => answer === answers[name])[1]}`).join(", ");
}
