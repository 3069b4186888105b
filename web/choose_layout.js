// Where the parts of the page of A or B go, and how large the clips are: no frame around them, nothing out of sight.

const GAP = 8; // pixels between the clips
const NARROW = 560; // a narrower view has one question at a time, and may have one clip above the other
const LOW = 520; // so has a lower one that is wider than high, beside the clips,
const BESIDE = 520; // if it has the width
const CLEARLY = 1.15; // one above the other only where that makes the clips larger by so much: A is left, B is right
const HEIGHT_IN_NODE = 260; // most pixels of a clip where the view does not fill the screen

/**
 * Keep the layout as the view changes its size.
 * @param {HTMLElement} root the view; with the class "fills" its height is given, else it follows from what is in it.
 * @param {HTMLElement} stage where the clips are.
 * @param {function(): number} aspect the clips' width through their height.
 * @returns {{fit: function(): void, close: function(): void}} fit: the clips are others.
 */
export function layout(root, stage, aspect) {
  function fit() {
    const fills = root.classList.contains("fills");
    root.dataset.layout = layoutOf(root.clientWidth, root.clientHeight, fills);
    const stackable = fills && root.dataset.layout !== "rows";
    const shape = aspect();
    const width = stage.clientWidth;
    if (!width) return; // not shown
    const beside = (width - GAP) / 2 / shape;
    stage.style.maxHeight = fills ? `${Math.max(beside, stackable ? (2 * width) / shape + GAP : 0)}px` : "";
    const size = clipSize(width, fills ? stage.clientHeight : HEIGHT_IN_NODE, shape, stackable);
    stage.dataset.stacked = size.stacked ? "1" : "0";
    stage.style.setProperty("--videoalign-clip-width", `${Math.floor(size.width)}px`);
    stage.style.setProperty("--videoalign-clip-aspect", String(shape));
  }
  const observer = new ResizeObserver(fit);
  observer.observe(root);
  observer.observe(stage);
  return { fit, close: () => observer.disconnect() };
}

function layoutOf(width, height, fills) {
  if (fills && height < LOW && width > height && width >= BESIDE) return "landscape";
  return width < NARROW ? "portrait" : "rows";
}

/** The largest width of two clips of a shape in a box, and whether one is above the other. */
function clipSize(width, height, shape, stackable) {
  const beside = Math.min((width - GAP) / 2, height * shape);
  const above = stackable ? Math.min(width, ((height - GAP) / 2) * shape) : 0;
  return above > CLEARLY * beside ? { width: above, stacked: true } : { width: beside, stacked: false };
}
