// What every picture is made of; without ComfyUI, so that the page of `videoalign choose` has it too.

export const DIMENSIONS = [
  ["VQ", "visual quality"],
  ["MQ", "motion quality"],
  ["TA", "text alignment"],
];

/** An element of a class, with text or children. */
export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}
