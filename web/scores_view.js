// Scores of clips as bars, and what was saved.
import { clipTitle, element, filmstrip, inSigma } from "./elements.js";
import { allMarks, withMarksEach } from "./marks.js";

/** Entries of `videoalign_scores`, one for each clip. */
export function drawScores(entries) {
  const clips = withMarksEach(entries);
  const inUnit = clips.some((clip) => clip.marks?.some((mark) => mark.unit === "σ") ?? true);
  const unit = element("div", "videoalign-note", "σ: standard deviations of the reward's training set, 0 is average");
  return [...clips.map(drawClip), ...(inUnit ? [unit] : [])];
}

function drawClip(clip) {
  const overall = clip.marks ? [] : [overallOf(clip)];
  const notes = (clip.notes ?? []).map((note) => element("div", "videoalign-warning", note));
  return element("div", "videoalign-clip", clipTitle(clip), ...filmstrip(clip), ...allMarks(clip), ...overall, ...notes);
}

function overallOf(clip) {
  return clip.Overall === null
    ? element("div", "videoalign-note", "no caption: TA and Overall do not exist")
    : element("div", "videoalign-overall", "Overall ", element("b", "", inSigma(clip.Overall)));
}

/** Entries of `videoalign_saved`. */
export function drawSaved(entries) {
  return entries.map(({ filename, added, rows }) =>
    element("div", "videoalign-note", `${added} added to output/${filename}, which has ${rows} rows now`),
  );
}
