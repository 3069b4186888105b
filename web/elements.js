// Small building blocks: a score bar, a strip of frames.
import { api } from "../../scripts/api.js";
import { DIMENSIONS, element } from "./element.js";

export { element };

const BAR_RANGE = 3; // sigma to either side of 0

/** "+0.57 σ", or a dash for a score that does not exist. */
export function inSigma(score) {
  return score === null || score === undefined ? "–" : `${score >= 0 ? "+" : "−"}${Math.abs(score).toFixed(2)} σ`;
}

/** A bar that grows from 0 in the middle to either side. */
function scoreBar(name, meaning, score) {
  const fill = element("span", `videoalign-fill ${score >= 0 ? "above" : "below"}`);
  const reach = Math.min(Math.abs(score ?? 0) / BAR_RANGE, 1) * 50;
  Object.assign(fill.style, { width: `${reach}%`, left: score >= 0 ? "50%" : `${50 - reach}%` });
  const track = element("span", "videoalign-track", fill, element("span", "videoalign-zero"));
  const row = element(
    "div",
    "videoalign-bar",
    element("span", "videoalign-name", name),
    track,
    element("span", "videoalign-value", inSigma(score)),
  );
  row.title = score === null ? `${meaning}: needs a caption` : `${meaning}: ${inSigma(score)} (0 is average, bar ±${BAR_RANGE} σ)`;
  return row;
}

/** The bars of a clip: VQ, MQ, TA. */
export function scoreBars(clip) {
  return element(
    "div",
    "videoalign-bars",
    ...DIMENSIONS.map(([name, meaning]) => scoreBar(name, meaning, clip[name] ?? null)),
  );
}

/** The clip's frames side by side; its height is fixed before they have loaded. */
export function filmstrip(clip) {
  const frames = (clip.frames ?? []).map((entry) => {
    const image = element("img", "videoalign-frame");
    image.src = api.apiURL(`/view?${new URLSearchParams(entry)}`);
    image.alt = "";
    image.draggable = false;
    return image;
  });
  return frames.length ? [element("div", "videoalign-strip", ...frames)] : [];
}

/** Name, seed and length of a clip in one line. */
export function clipTitle(clip) {
  const parts = [clip.name];
  if (clip.seed !== null && clip.seed !== undefined) parts.push(`seed ${clip.seed}`);
  if (clip.total_frames) parts.push(`${clip.total_frames} frames, ${Number(clip.fps?.toFixed(3))} fps`);
  const title = element("div", "videoalign-title", parts.join(" · "));
  title.title = [clip.prompt, clip.model].filter(Boolean).join("\n");
  return title;
}
