// Two candidates of Pick Best of N in step: the view of Compare Clips, for one pair.
import { api } from "../../scripts/api.js";
import { compareView, startingState } from "./compare_view.js";
import { DIMENSIONS, inSigma } from "./elements.js";

const LEAST = 0.005; // sigma; less is not to be seen in two decimals
const BAR = 3; // sigma to either side

/**
 * The view of two rows of a ranking.
 * @returns {{element: HTMLElement, close: function(): void}}
 */
export function compareCandidates(a, b) {
  const measures = [...DIMENSIONS, ["total", "total by your weights"]].map(([name, meaning]) => ({ name, meaning: `${meaning}, in σ`, judge: "" }));
  const data = {
    names: [a.title, b.title],
    measures,
    comparisons: [{ left: 0, right: 1, verdict: "", rows: [] }],
    pairs: [{ prompt: a.prompt ?? "", seed: null, clips: [a, b], cells: { "0 1": measures.map(({ name }) => difference(name, a[name], b[name])) } }],
    notes: [],
  };
  const address = (clip) => (clip.play ? api.apiURL(`/videoalign/clip?${new URLSearchParams({ clip: clip.play })}`) : null);
  return compareView(data, address, { ...startingState(), gone: "ComfyUI has let go of this clip. Run the graph again to see it." });
}

function difference(name, base, candidate) {
  const known = base !== null && base !== undefined && candidate !== null && candidate !== undefined;
  const gain = known ? candidate - base : null;
  const kind = gain === null || Math.abs(gain) < LEAST ? "" : gain > 0 ? "better" : "worse";
  return { name, base: inSigma(base).replace(" σ", ""), candidate: inSigma(candidate).replace(" σ", ""), text: inSigma(gain), kind, gain, bar: gain === null ? 0 : Math.max(-1, Math.min(1, gain / BAR)) };
}
