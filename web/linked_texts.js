// The classic canvas leaves a hole where the box of a text is that comes by wire. Here it is a line with its name.
import { app } from "../../scripts/app.js";
import { chain } from "./kept_results.js";

const LINE = 24; // pixels, as high as a number's widget

/** Fold a node's boxes of text to a line while they are connected. Nodes 2.0 shows them, greyed, with their names. */
export function foldLinkedTexts(node) {
  const boxes = (node.widgets ?? []).filter((widget) => widget.element?.tagName === "TEXTAREA");
  if (!boxes.length) return;
  const folded = new Map(); // box -> how much lower the node is for it

  function fold(resize) {
    for (const box of boxes) {
      const linked = node.inputs?.some((input) => input.widget?.name === box.name && input.link != null) ?? false;
      if (linked === folded.has(box)) continue;
      if (linked) {
        const { getMinHeight, getMaxHeight } = box.options;
        const lower = resize ? Math.max((box.computedHeight ?? LINE) - LINE, 0) : 0;
        folded.set(box, { heights: { getMinHeight, getMaxHeight }, lower });
        Object.assign(box.options, { getMinHeight: () => LINE, getMaxHeight: () => LINE });
        grow(-lower);
      } else {
        const { heights, lower } = folded.get(box);
        folded.delete(box);
        Object.assign(box.options, heights);
        grow(lower);
      }
    }
    node.setDirtyCanvas?.(true, true);
  }

  function grow(by) {
    if (by && !window.LiteGraph?.vueNodesMode) node.setSize([node.size[0], Math.max(node.size[1] + by, node.computeSize()[1])]);
  }

  chain(node, "onConnectionsChange", () => setTimeout(() => fold(!loading()))); // after the wire is there, or gone
  chain(node, "onConfigure", () => setTimeout(() => fold(false))); // a node from a file has the size that it was left with
  chain(node, "onDrawForeground", (canvas) => {
    if (app.canvas?.low_quality || node.flags?.collapsed) return;
    for (const box of folded.keys()) {
      canvas.save();
      canvas.fillStyle = window.LiteGraph?.NODE_TEXT_COLOR ?? "#aaa";
      canvas.font = `${window.LiteGraph?.NODE_SUBTEXT_SIZE ?? 12}px Arial`;
      canvas.textAlign = "left";
      canvas.fillText(box.label ?? box.name, 20, box.y + 14);
      canvas.restore();
    }
  });
}

const loading = () => Boolean(app.configuringGraph);
