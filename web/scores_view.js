// Scores of clips as bars, and what was saved.
import { clipTitle, element, filmstrip, inSigma, scoreBars } from "./elements.js";

/** Entries of `videoalign_scores`, one for each clip. */
export function drawScores(clips) {
  const unit = element("div", "videoalign-note", "σ: standard deviations of the reward's training set, 0 is average");
  return [...clips.map(drawClip), unit];
}

function drawClip(clip) {
  const overall =
    clip.Overall === null
      ? element("div", "videoalign-note", "no caption: TA and Overall do not exist")
      : element("div", "videoalign-overall", "Overall ", element("b", "", inSigma(clip.Overall)));
  const notes = (clip.notes ?? []).map((note) => element("div", "videoalign-warning", note));
  return element("div", "videoalign-clip", clipTitle(clip), ...filmstrip(clip), scoreBars(clip), overall, ...notes);
}

/** Entries of `videoalign_saved`. */
export function drawSaved(entries) {
  return entries.map(({ filename, added, rows }) =>
    element("div", "videoalign-note", `${added} added to output/${filename}, which has ${rows} rows now`),
  );
}
