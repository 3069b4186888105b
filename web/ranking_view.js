// The ranked filmstrip: best first, the winner marked, with the reason.
import { clipTitle, element, filmstrip, inSigma, scoreBars } from "./elements.js";

/** Entries of `videoalign_ranking`: one ranking. */
export function drawRanking([ranking]) {
  if (!ranking) return [];
  const shares = Object.entries(ranking.weights).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
  return [
    element("div", "videoalign-note", `Total = weighted mean: ${shares.join(" · ")}`),
    ...ranking.notes.map((note) => element("div", "videoalign-warning", note)),
    ...ranking.clips.map(drawPlace),
  ];
}

function drawPlace(clip) {
  const wins = clip.rank === 1 && clip.chosen;
  const place = element(
    "div",
    "videoalign-place",
    element("div", "videoalign-rank", clip.rank === null ? "out" : `#${clip.rank}`),
    element("div", "videoalign-total", inSigma(clip.total)),
    ...(wins ? [element("div", "videoalign-best", "BEST")] : []),
  );
  const body = element("div", "videoalign-body", clipTitle({ ...clip, name: `${clip.index}: ${clip.name}` }), ...filmstrip(clip));
  body.append(scoreBars(clip));
  for (const reason of clip.gate_failures) body.append(element("div", "videoalign-warning", reason));
  const state = wins ? "winner" : clip.chosen ? "chosen" : "rejected";
  return element("div", `videoalign-ranked ${state}`, place, body);
}
