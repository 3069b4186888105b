// Small building blocks: a score bar, a strip of frames.
import { api } from "../../scripts/api.js";
import { DIMENSIONS, element } from "./element.js";

export { DIMENSIONS, element };

const BAR_RANGE = 3; // sigma to either side of 0

/** "+0.57 σ", or a dash for a score that does not exist. */
export function inSigma(score) {
  return score === null || score === undefined ? "–" : `${score >= 0 ? "+" : "−"}${Math.abs(score).toFixed(2)} σ`;
}

/** A bar that grows from 0 in the middle to either side. */
export function scoreBar(name, meaning, score) {
  const fill = element("span", `videoalign-fill ${score >= 0 ? "above" : "below"}`);
  const reach = Math.min(Math.abs(score ?? 0) / BAR_RANGE, 1) * 50;
  Object.assign(fill.style, { width: `${reach}%`, left: score >= 0 ? "50%" : `${50 - reach}%` });
  const track = element("span", "videoalign-track", fill, element("span", "videoalign-zero"));
  const missing = score === null || score === undefined;
  const row = element(
    "div",
    "videoalign-bar",
    element("span", "videoalign-name", name),
    track,
    element("span", "videoalign-value", inSigma(score)),
  );
  row.title = missing ? `${meaning}: needs a caption` : `${meaning}: ${inSigma(score)} (0 is average, bar ±${BAR_RANGE} σ)`;
  row.setAttribute("role", "meter");
  row.setAttribute("aria-label", meaning);
  row.setAttribute("aria-valuetext", missing ? "needs a caption" : inSigma(score));
  for (const [key, value] of [["valuemin", -BAR_RANGE], ["valuemax", BAR_RANGE], ["valuenow", Math.min(Math.max(score ?? 0, -BAR_RANGE), BAR_RANGE)]]) {
    row.setAttribute(`aria-${key}`, String(value));
  }
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

/**
 * The clip's frames side by side; its height is fixed before they have loaded. It plays while the pointer is over it, and after a
 * click (or Enter) until the next one.
 */
export function filmstrip(clip) {
  const frames = (clip.frames ?? []).map((entry, place, all) => {
    const image = element("img", "videoalign-frame");
    image.loading = "lazy"; // before src: what is not in view is not fetched
    image.decoding = "async";
    image.alt = `${clip.title ?? clip.name}, frame ${place + 1} of the ${all.length} shown`;
    image.src = api.apiURL(`/view?${new URLSearchParams(entry)}`);
    image.draggable = false;
    return image;
  });
  if (!frames.length) return [];
  const strip = element("div", "videoalign-strip", ...frames);
  if (clip.play) makePlayable(strip, clip);
  return [strip];
}

function makePlayable(strip, clip) {
  let video = null;
  let held = false; // by a click
  const name = clip.title ?? clip.name;

  function play() {
    if (video) return;
    video = element("video", "videoalign-playing");
    Object.assign(video, { muted: true, loop: true, autoplay: true, playsInline: true });
    video.onerror = () => {
      stop();
      strip.title = "This clip cannot be played any more: ComfyUI has let go of it. Run the graph again.";
    };
    video.src = api.apiURL(`/videoalign/clip?${new URLSearchParams({ clip: clip.play })}`);
    strip.append(video);
    strip.setAttribute("aria-pressed", "true");
  }

  function stop() {
    video?.removeAttribute("src");
    video?.remove();
    video = null;
    held = false;
    strip.setAttribute("aria-pressed", "false");
  }

  strip.classList.add("playable");
  strip.tabIndex = 0;
  strip.title = "plays while the pointer is here; click: go on playing";
  strip.setAttribute("role", "button");
  strip.setAttribute("aria-label", `play ${name}`);
  strip.setAttribute("aria-pressed", "false");
  strip.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && play());
  strip.addEventListener("pointerleave", () => !held && stop());
  const toggle = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (held) stop();
    else {
      play();
      held = true;
    }
  };
  strip.addEventListener("click", toggle);
  strip.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && toggle(event));
}

/** Name, seed and length of a clip in one line. */
export function clipTitle(clip) {
  const parts = [clip.title ?? clip.name];
  if (!clip.title && clip.seed !== null && clip.seed !== undefined) parts.push(`seed ${clip.seed}`);
  if (clip.total_frames) parts.push(`${clip.total_frames} frames, ${Number(clip.fps?.toFixed(3))} fps`);
  const title = element("div", "videoalign-title", parts.join(" · "));
  title.title = [clip.prompt, clip.model].filter(Boolean).join("\n");
  return title;
}
