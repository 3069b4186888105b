// Two candidates of Pick Best of N in step: the view of Compare Clips, for one pair.
import { api } from "../../scripts/api.js";
import { compareView, startingState } from "./compare_view.js";
import { inSigma } from "./elements.js";
import { judgeOf, markText, marksOf, ownName } from "./marks.js";

const LEAST = 0.005; // sigma; less is not to be seen in two decimals
const BAR = 3; // sigma to either side

/**
 * The view of two rows of a ranking.
 * @returns {{element: HTMLElement, close: function(): void}}
 */
export function compareCandidates(a, b, byZ = false) {
  const total = { name: "total", meaning: "total by your weights", unit: byZ ? "z" : "σ", lowest: null, highest: null, higher_is_better: true };
  const marks = [...marksOf(a).values(), total];
  const several = Boolean(a.marks);
  const measures = marks.map((mark) => ({
    name: ownName(mark.name),
    meaning: `${mark.meaning}${mark.unit ? `, in ${mark.unit}` : ""}${mark.higher_is_better ? "" : "; less is better"}`,
    judge: several ? (mark === total ? "all of them" : judgeOf(a, mark.name)) : "",
  }));
  const data = {
    names: [a.title, b.title],
    measures,
    comparisons: [{ left: 0, right: 1, verdict: "", rows: [] }],
    pairs: [{ prompt: a.prompt ?? "", seed: null, clips: [a, b], cells: { "0 1": marks.map((mark) => difference(mark, a[mark.name], b[mark.name])) } }],
    notes: [],
  };
  const address = (clip) => (clip.play ? api.apiURL(`/videoalign/clip?${new URLSearchParams({ clip: clip.play })}`) : null);
  return compareView(data, address, { ...startingState(), gone: "ComfyUI has let go of this clip. Run the graph again to see it." });
}

function difference(mark, base, candidate) {
  const known = base !== null && base !== undefined && candidate !== null && candidate !== undefined;
  const change = known ? candidate - base : null;
  const gain = change === null ? null : mark.higher_is_better ? change : -change;
  const bounded = mark.lowest !== null && mark.highest !== null;
  const least = mark.unit === "σ" ? LEAST : 1e-9; // marks of other units have figures of their own
  const kind = gain === null || Math.abs(gain) < least ? "" : gain > 0 ? "better" : "worse";
  const end = bounded ? mark.highest - mark.lowest : mark.unit === "σ" || mark.unit === "z" ? BAR : Math.max(Math.abs(base ?? 0), Math.abs(candidate ?? 0), 1e-9);
  const text = (value) => (mark.unit === "z" ? inSigma(value).replace(" σ", "") : markText(mark, value).replace(" σ", ""));
  const told = mark.unit === "σ" ? inSigma(change) : change === null ? "–" : `${change > 0 ? "+" : ""}${text(change).replace(/^\+/, "")}`;
  return { name: ownName(mark.name), base: text(base), candidate: text(candidate), text: told, kind, gain, bar: gain === null ? 0 : Math.max(-1, Math.min(1, gain / end)) };
}
