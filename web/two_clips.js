// Two clips that play together: one clock, one loop, the same frame at the same time.
import { element } from "./element.js";

const DRIFT = 0.05; // seconds apart that nobody sees

/**
 * The two clips side by side. They are fetched at once, whether the page shows them already or not.
 * @param {string} addressA, addressB of the clip on the left and of the one on the right.
 * @returns {{element: HTMLElement, ready: Promise<void>, play: function(): Promise<void>, toggle: function(): void,
 *   step: function(number): void, close: function(): void}}
 *   ready: the clips can be played; rejects when one cannot. play: from the beginning, again and again. toggle: stop or go
 *   on. step: one frame on or back, stopped. close: give the memory back.
 */
export function twoClips(addressA, addressB) {
  const videos = [["A", addressA], ["B", addressB]].map(([side, address]) => {
    const video = element("video", "videoalign-video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    video.setAttribute("aria-label", `clip ${side}`);
    video.src = address; // an address of the server: ComfyUI forbids media from memory
    return video;
  });
  const [left, right] = videos;
  let playing = false;

  const both = (act) => Promise.all(videos.map(act));
  const at = (video, seconds) =>
    new Promise((done) => {
      if (video.readyState < 1 || Math.abs(video.currentTime - seconds) < 1e-3) return done();
      video.addEventListener("seeked", done, { once: true });
      video.currentTime = seconds;
    });
  const ready = both(
    (video) =>
      new Promise((done, failed) => {
        video.addEventListener("canplaythrough", done, { once: true });
        video.addEventListener("error", () => failed(new Error("The browser cannot play this clip.")), { once: true });
      }),
  );
  ready.catch(() => {}); // told to whoever waits for it

  async function play() {
    playing = true;
    await both((video) => at(video, 0));
    if (playing) await both((video) => video.play().catch(() => {}));
  }

  // The shorter clip waits at its end for the longer one.
  const ended = () => {
    if (playing && videos.every((video) => video.ended)) play();
  };
  // The right one follows the left one.
  const follow = () => {
    if (playing && !left.ended && !right.ended && Math.abs(left.currentTime - right.currentTime) > DRIFT && left.currentTime < right.duration) {
      right.currentTime = left.currentTime;
    }
  };
  for (const video of videos) video.addEventListener("ended", ended);
  left.addEventListener("timeupdate", follow);

  function toggle() {
    playing = !playing;
    if (!playing) videos.forEach((video) => video.pause());
    else if (videos.every((video) => video.ended)) play();
    else both((video) => (video.ended ? null : video.play().catch(() => {})));
  }

  function step(frames, rate = 16) {
    if (playing) toggle();
    const time = Math.max(left.currentTime + frames / rate, 0);
    both((video) => at(video, Math.min(time, video.duration || 0)));
  }

  function close() {
    playing = false;
    for (const video of videos) {
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
  }

  const frame = (video, side) => element("figure", "videoalign-side", video, element("figcaption", "", side));
  const holder = element("div", "videoalign-two", frame(left, "A"), frame(right, "B"));
  holder.addEventListener("click", toggle);
  return { element: holder, ready, play, toggle, step, close };
}
