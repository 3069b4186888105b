// Two clips that play together: one clock, one loop, the same frame at the same time.
import { element } from "./element.js";

const DRIFT = 0.05; // seconds apart that nobody sees

/**
 * The two clips side by side.
 * @returns {{element: HTMLElement, show: function(string, string): Promise, playing: boolean, toggle: function(): void,
 *   restart: function(): void, step: function(number): void}}
 *   show: take two addresses and play; toggle: stop or go on; step: one frame on or back, stopped.
 */
export function twoClips() {
  const videos = ["A", "B"].map((side) => {
    const video = element("video", "videoalign-video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    video.setAttribute("aria-label", `clip ${side}`);
    return video;
  });
  const [left, right] = videos;
  let playing = true;
  let shown = 0; // counts what was shown: an answer for clips that are gone does nothing

  const both = (act) => Promise.all(videos.map(act));
  const at = (video, seconds) =>
    new Promise((done) => {
      if (video.readyState < 1 || Math.abs(video.currentTime - seconds) < 1e-3) return done();
      video.addEventListener("seeked", done, { once: true });
      video.currentTime = seconds;
    });

  async function restart() {
    const mine = shown;
    await both((video) => at(video, 0));
    if (mine === shown && playing) await both((video) => video.play().catch(() => {}));
  }

  // The shorter clip waits at its end for the longer one.
  const ended = () => {
    if (videos.every((video) => video.ended)) restart();
  };
  // The right one follows the left one.
  const follow = () => {
    if (playing && !left.ended && !right.ended && Math.abs(left.currentTime - right.currentTime) > DRIFT && left.currentTime < right.duration) {
      right.currentTime = left.currentTime;
    }
  };
  for (const video of videos) video.addEventListener("ended", ended);
  left.addEventListener("timeupdate", follow);

  async function show(addressA, addressB) {
    const mine = (shown += 1);
    playing = true;
    const ready = both(
      (video) =>
        new Promise((done, failed) => {
          video.oncanplay = done;
          video.onerror = () => failed(new Error("The browser cannot play this clip."));
        }),
    );
    left.src = addressA;
    right.src = addressB;
    await ready;
    if (mine === shown) await restart();
  }

  function toggle() {
    playing = !playing;
    if (!playing) videos.forEach((video) => video.pause());
    else if (videos.every((video) => video.ended)) restart();
    else both((video) => (video.ended ? null : video.play().catch(() => {})));
  }

  function step(frames, rate = 16) {
    if (playing) toggle();
    const time = Math.max(left.currentTime + frames / rate, 0);
    both((video) => at(video, Math.min(time, video.duration || 0)));
  }

  const frame = (video, side) => element("figure", "videoalign-side", video, element("figcaption", "", side));
  const holder = element("div", "videoalign-two", frame(left, "A"), frame(right, "B"));
  return {
    element: holder,
    show,
    toggle,
    restart,
    step,
    get playing() {
      return playing;
    },
  };
}
