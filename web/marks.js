// The marks of a clip, whoever gave them: VideoReward's three as bars; others' under their judge's name, each in its own unit.
import { DIMENSIONS, element, inSigma, scoreBar, scoreBars } from "./elements.js";

const SIGMA = "σ";

/** A mark as text: three figures, and σ where that is its unit; other units are words, for the tooltip. */
export function markText(mark, value) {
  if (value === null || value === undefined) return "–";
  if (mark?.unit === SIGMA) return inSigma(value);
  const small = value && Math.abs(value) < 0.001;
  return (small ? value.toExponential(1) : String(Number(value.toPrecision(3)))).replaceAll("-", "−");
}

/** What the marks of a clip are, by name; of VideoReward's own clips the three that everybody knows. */
export function marksOf(clip) {
  const known = clip.marks ?? DIMENSIONS.map(([name, meaning]) => ({ name, meaning, unit: SIGMA, lowest: null, highest: null, higher_is_better: true, needs_caption: name === "TA" }));
  return new Map(known.map((mark) => [mark.name, mark]));
}

/** Clips for a workflow file: what the marks are is kept once. */
export function withMarksOnce(clips) {
  return clips.map((clip, place) => (place && clip.marks && clip.judge === clips[0].judge ? { ...clip, marks: true } : clip));
}

/** The same clips as they were. */
export function withMarksEach(clips) {
  return clips.map((clip) => (clip.marks === true ? { ...clip, marks: clips[0].marks } : clip));
}

/** Which judge of a panel gave a mark; the first one's may stand without its name. */
export function judgeOf(clip, name) {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? String(clip.judge ?? "").split("+")[0] : name.slice(0, dot);
}

export const ownName = (name) => name.slice(name.lastIndexOf(".") + 1);

/** What a mark is, in a sentence for its tooltip. */
function explained(mark, value) {
  const unit = mark.unit && mark.unit !== SIGMA ? [mark.unit] : [];
  const range = mark.lowest !== null && mark.highest !== null ? [`${mark.lowest} to ${mark.highest}`] : [];
  const about = [...unit, ...range, ...(mark.higher_is_better ? [] : ["less is better"])].join(", ");
  return `${mark.name}: ${mark.meaning}: ${markText(mark, value)}${about ? ` (${about})` : ""}`;
}

/** All that a clip's judges say: for VideoReward alone its bars; else each judge's marks under its name, reasons and refusals. */
export function allMarks(clip) {
  if (!clip.marks) return [scoreBars(clip), ...reasons(clip)];
  const groups = new Map();
  for (const mark of clip.marks) {
    const judge = judgeOf(clip, mark.name);
    groups.set(judge, [...(groups.get(judge) ?? []), mark]);
  }
  return [
    ...refusals(clip),
    ...[...groups].filter(([judge]) => !(judge in (clip.errors ?? {}))).map(([judge, marks]) => groupOf(clip, judge, marks, groups.size > 1)),
  ];
}

function groupOf(clip, judge, marks, named) {
  const bars = marks.filter(isBar);
  const grid = element("div", "videoalign-chips", ...marks.filter((mark) => !isBar(mark)).map((mark) => chip(clip, mark)));
  const parts = [...bars.map((mark) => scoreBar(mark.name, mark.meaning, clip[mark.name] ?? null)), ...reasons(clip, bars)];
  return element("div", "videoalign-marks", ...(named ? [element("div", "videoalign-judgename", judge)] : []), ...parts, ...(grid.childElementCount ? [grid] : []));
}

const isBar = (mark) => mark.unit === SIGMA && DIMENSIONS.some(([name]) => name === mark.name);

/** One mark with its unit and meaning as a tooltip; with the judge's reason it opens. */
function chip(clip, mark) {
  const value = clip[mark.name] ?? null;
  const head = [element("span", "videoalign-name", ownName(mark.name)), element("span", "videoalign-value", markText(mark, value)), ...meterOf(mark, value)];
  const reason = clip.reasons?.[mark.name];
  const made = reason ? opening(head, reason) : element("div", "videoalign-chip", ...head);
  const about = value === null && mark.needs_caption ? `${mark.name}: ${mark.meaning}: needs a caption` : explained(mark, value);
  made.title = about;
  made.setAttribute("aria-label", about);
  return made;
}

/** Where a mark lies between its bounds. */
function meterOf(mark, value) {
  if (value === null || mark.lowest === null || mark.highest === null) return [];
  const fill = element("span", "videoalign-level");
  fill.style.width = `${100 * Math.min(Math.max((value - mark.lowest) / (mark.highest - mark.lowest), 0), 1)}%`;
  return [fill];
}

function opening(head, reason) {
  const made = element("details", "videoalign-chip videoalign-reason");
  const start = element("span", "videoalign-why", reason);
  made.append(element("summary", "", ...head, start), element("div", "videoalign-said", reason));
  return made;
}

/** Reasons for bars, each a line that opens; of all marks where none are named. */
export function reasons(clip, marks = [...marksOf(clip).values()]) {
  return marks.filter((mark) => clip.reasons?.[mark.name]).map((mark) => opening([element("span", "videoalign-name", mark.name)], clip.reasons[mark.name]));
}

/** Which judges gave no marks, and why. */
export function refusals(clip) {
  return Object.entries(clip.errors ?? {}).map(([judge, cause]) => element("div", "videoalign-warning", `${judge} gave no marks: ${cause}`));
}
