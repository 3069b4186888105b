// The one place that knows how ComfyUI shows HTML inside a node: a DOM widget, in the classic canvas and in Nodes 2.0.
import { followOutput } from "./kept_results.js";

const STYLE = new URL("./videoalign.css", import.meta.url).href;
const MOST_HEIGHT = 640; // pixels; a longer picture scrolls
const MARGIN = 20; // pixels that the classic canvas keeps free above and below a DOM widget, together
const LEAST_WIDTH = 380;

/**
 * Add an empty panel to a node.
 * @returns {{show: function(Node[]): void, onOutput: function(string, function, function=): void}}
 *   show: replace what the panel shows; the node grows or shrinks with it.
 *   onOutput: as ``followOutput``, for this node.
 */
export function addPanel(node) {
  const content = document.createElement("div");
  content.className = "videoalign-content";
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: STYLE });
  const element = document.createElement("div");
  element.className = "videoalign-panel";
  element.append(style, content);
  // The wheel scrolls a long list here; everywhere else it zooms the canvas.
  element.addEventListener("wheel", (event) => {
    if (element.scrollHeight > element.clientHeight) event.stopPropagation();
  });
  let height = 0;
  const widget = node.addDOMWidget("videoalign_panel", "videoalign_panel", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => height && height + MARGIN,
    getMaxHeight: () => height && height + MARGIN,
  });
  widget.serialize = false;

  function fit() {
    const wanted = Math.min(content.offsetHeight, MOST_HEIGHT);
    if (wanted === height || (wanted === 0 && content.childElementCount)) return; // laid out later
    const shrunk = Math.max(height - wanted, 0);
    height = wanted;
    element.style.maxHeight = `${height}px`;
    const [width, least] = node.computeSize(); // with this panel; a node from a saved graph may be large enough already
    node.setSize([Math.max(node.size[0], width, LEAST_WIDTH), Math.max(least, node.size[1] - shrunk)]);
    node.setDirtyCanvas?.(true, true);
  }

  // The picture gets its height when the page lays it out: at once, or when its node comes into view.
  new ResizeObserver(fit).observe(content);

  function show(parts) {
    content.replaceChildren(...parts);
    fit();
  }

  const onOutput = (key, draw, shorten) => followOutput(node, key, draw, shorten);
  return { show, onOutput };
}
