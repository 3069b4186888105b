// The prompt of the pair on the screen: all of it, and where it is long, a part with a button that shows the rest.
import { button } from "./choose_tools.js";
import { element } from "./element.js";

/** @returns {{element: HTMLElement, draw: function(string): void}} draw: show another prompt. */
export function promptText() {
  const words = element("span", "");
  const text = element("div", "videoalign-prompt-text", element("span", "videoalign-label", "Prompt"), words);
  const more = button("videoalign-more", "Show all of the prompt", "Show all");
  const holder = element("div", "videoalign-prompt", text, more);
  text.id = `videoalign-prompt-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  more.setAttribute("aria-controls", text.id);

  function open(all) {
    holder.classList.toggle("all", all);
    more.setAttribute("aria-expanded", String(all));
    more.setAttribute("aria-label", all ? "Show less of the prompt" : "Show all of the prompt");
    more.textContent = all ? "Show less" : "Show all";
    look();
  }
  function look() {
    more.hidden = !holder.classList.contains("all") && text.scrollHeight <= text.clientHeight + 1;
  }
  more.addEventListener("click", () => open(!holder.classList.contains("all")));
  new ResizeObserver(look).observe(text);

  function draw(prompt) {
    if (words.textContent === prompt) return;
    words.textContent = prompt;
    open(false);
  }
  return { element: holder, draw };
}
