// Compare Clips inside its node.
import { api } from "../../scripts/api.js";
import { compareView, startingState } from "./compare_view.js";
import { element } from "./element.js";
import { chain } from "./kept_results.js";

const STYLE = new URL("./compare.css", import.meta.url).href;
const LEAST_WIDTH = 660;
const MOST_KEPT = 24; // pairs times sets that a workflow file keeps

/** Put the view into the node's panel. */
export function attachComparison(node, panel) {
  const state = { ...startingState(), gone: "This clip is no longer there. Run the graph again to see it." };
  const style = Object.assign(element("link", ""), { rel: "stylesheet", href: STYLE });
  let view = null;
  panel.onOutput("videoalign_comparison", draw, shortened);
  chain(node, "onRemoved", () => view?.close());
  if (node.size[0] < LEAST_WIDTH) node.setSize([LEAST_WIDTH, node.size[1]]);

  function draw([data]) {
    if (!data) return;
    view?.close();
    view = compareView(data, (clip) => (clip.file ? api.apiURL(`/view?${new URLSearchParams(clip.file)}`) : null), state);
    panel.show([style, view.element]);
  }
}

/** A comparison's first pairs; the figures over all pairs stay whole. */
function shortened(entries) {
  return entries.map((data) => {
    const most = Math.max(1, Math.floor((2 * MOST_KEPT) / Math.max(data.comparisons.length + 1, 2)));
    const left = data.pairs.length - most;
    const note = left > 0 ? [`The first ${most} of ${data.pairs.length} pairs are kept in the workflow; run again to see all.`] : [];
    return { ...data, pairs: data.pairs.slice(0, most), notes: [...data.notes, ...note] };
  });
}
