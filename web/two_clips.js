// Two clips that play together: one clock, one loop, the same frame at the same time.
import { element } from "./element.js";

const DRIFT = 0.05; // seconds apart that nobody sees
const PICTURE = 40; // pixels that a small picture is high
const USUAL_FRAME = 1 / 16; // seconds, until the browser has shown how far apart a clip's frames are

/**
 * The two clips side by side. They are fetched at once, whether the page shows them already or not.
 * @param {string} addressA, addressB of the clip on the left and of the one on the right.
 * @param {function(): void} changed called when they start or stop, and when their shape becomes known.
 * @returns {{element: HTMLElement, ready: Promise<void>, play: function(): Promise<void>, toggle: function(): void,
 *   step: function(number): void, playing: function(): boolean, aspect: function(): number, pictures: function(): HTMLCanvasElement[],
 *   close: function(): void}}
 *   ready: the clips can be played; rejects when one cannot. play: from the beginning, again and again. toggle: stop or go
 *   on. step: one frame on or back, stopped. aspect: width through height, NaN until it is known. pictures: what is on the
 *   screen, small. close: give the memory back.
 */
export function twoClips(addressA, addressB, changed = () => {}) {
  const videos = [["A", addressA], ["B", addressB]].map(([side, address]) => {
    const video = element("video", "videoalign-video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    video.setAttribute("aria-label", `clip ${side}`);
    video.src = address; // an address of the server: ComfyUI forbids media from memory
    video.addEventListener("loadedmetadata", changed);
    return video;
  });
  const [left, right] = videos;
  let playing = false;
  let frameTime = USUAL_FRAME;

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

  const turn = (on) => {
    playing = on;
    changed();
  };
  const start = (video) =>
    video.play().catch((error) => {
      if (error.name === "NotAllowedError") turn(false); // a phone that saves power waits for a finger
    });

  async function play() {
    turn(true);
    await both((video) => at(video, 0));
    if (playing) await both(start);
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

  // The shortest time between two frames that were shown one after the other.
  let shown = null;
  let least = Infinity;
  const measure = (_, { mediaTime, presentedFrames }) => {
    if (shown && presentedFrames === shown.presentedFrames + 1 && mediaTime > shown.mediaTime + 1e-3) {
      frameTime = least = Math.min(least, mediaTime - shown.mediaTime);
    }
    shown = { mediaTime, presentedFrames };
    left.requestVideoFrameCallback(measure);
  };
  left.requestVideoFrameCallback?.(measure);

  function toggle() {
    turn(!playing);
    if (!playing) videos.forEach((video) => video.pause());
    else if (videos.every((video) => video.ended)) play();
    else both((video) => (video.ended ? null : start(video)));
  }

  function step(frames) {
    if (playing) toggle();
    const time = Math.max(left.currentTime + frames * frameTime, 0);
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

  // Of clips of two shapes, the one between.
  const shape = (video) => video.videoWidth / video.videoHeight;
  const aspect = () => Math.sqrt(shape(left) * shape(right));

  const pictures = () =>
    videos.map((video) => {
      const picture = element("canvas", "");
      picture.height = PICTURE;
      picture.width = Math.round(PICTURE * (shape(video) || 1));
      picture.getContext("2d").drawImage(video, 0, 0, picture.width, picture.height);
      return picture;
    });

  const frame = (video, side) => element("figure", "videoalign-side", video, element("figcaption", "", side));
  const holder = element("div", "videoalign-two", frame(left, "A"), frame(right, "B"));
  holder.addEventListener("click", toggle);
  return { element: holder, ready, play, toggle, step, playing: () => playing, aspect, pictures, close };
}
