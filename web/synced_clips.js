// Clips that play in step: one clock for all, whatever their length and frame rate. The longest one leads; the others are
// where it is in time, and wait at their end.
import { element } from "./element.js";

const DRIFT = 0.012; // seconds apart that nobody sees
const JUMP = 0.12; // further apart, a clip is put where it belongs; nearer, it hurries or waits a little
const HURRY = 0.08;
const PATIENCE = 4000; // ms that a clip may take to find a place
const LIKELY_RATE = 24; // frames a second of clips that do not tell

/**
 * @param {{address: string, label: string, fps: number|null}[]} clips
 * @param {function(number): void} onTime the time that is on the screen, in seconds.
 * @param {function(boolean): void} onPlay whether they play.
 * @returns {{videos: HTMLVideoElement[], ready: Promise<void>, play, pause, toggle, seek, step, setRate, setLoop, duration, rate, close}}
 *   ready: all can be played, or never will (their ``error`` is set). seek(seconds). step(frames): stopped, of the finest frame rate.
 *   setRate(times), setLoop(yes). duration(): of the longest, in seconds. rate(): frames a second of the finest.
 */
export function syncedClips(clips, onTime, onPlay) {
  const videos = clips.map(({ address, label }) => {
    const video = element("video", "videoalign-synced");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    video.setAttribute("aria-label", label);
    video.src = address; // an address of the server: ComfyUI forbids media from memory
    return video;
  });
  const finest = Math.max(...clips.map((clip) => clip.fps ?? 0)) || LIKELY_RATE;
  let leader = videos[0];
  let playing = false;
  let loop = true;
  let speed = 1;
  let wanted = null; // where to go next, while the clips are still on the way to another place
  let moving = null;
  let closed = false;

  const usable = () => videos.filter((video) => video.readyState >= 1 && !video.error);
  const duration = () => (Number.isFinite(leader.duration) ? leader.duration : 0);

  const known = (video) =>
    new Promise((done) => {
      for (const event of ["canplay", "error"]) video.addEventListener(event, done, { once: true });
    });
  const ready = Promise.all(videos.map(known)).then(lead);

  function lead() {
    leader = usable().reduce((longest, video) => (video.duration > (longest?.duration ?? 0) ? video : longest), null) ?? videos[0];
    onTime(leader.currentTime);
    watch();
  }

  // ---- the clock

  const watch = leader.requestVideoFrameCallback
    ? () => leader.requestVideoFrameCallback(() => tick() && watch())
    : () => requestAnimationFrame(() => tick() && watch());

  function tick() {
    if (closed) return false;
    if (playing && !moving) follow();
    if (wanted === null && !moving) onTime(leader.currentTime);
    return true;
  }

  function follow() {
    const now = leader.currentTime;
    for (const video of usable()) {
      if (video === leader) continue;
      if (now >= video.duration) continue; // it waits at its end
      const behind = now - video.currentTime;
      if (Math.abs(behind) > JUMP) video.currentTime = now;
      video.playbackRate = speed * (Math.abs(behind) > DRIFT ? 1 + Math.max(-HURRY, Math.min(HURRY, 4 * behind)) : 1);
      if (video.paused) video.play().catch(() => {});
    }
  }

  for (const video of videos) {
    video.addEventListener("ended", () => {
      if (video !== leader || !playing) return;
      if (loop) seek(0);
      else stop();
    });
  }

  // ---- what a person does

  function stop() {
    playing = false;
    videos.forEach((video) => video.pause());
    onPlay(false);
  }

  function start() {
    for (const video of usable()) {
      video.playbackRate = speed;
      if (!video.ended) video.play().catch(() => {});
    }
  }

  async function play() {
    if (closed) return;
    playing = true;
    onPlay(true);
    if (leader.ended || leader.currentTime >= duration() - 1e-3) await seek(0);
    else start();
  }

  function pause() {
    if (!playing) return;
    stop();
    seek(leader.currentTime); // the others exactly there
  }

  const put = (video, seconds) =>
    new Promise((done) => {
      const place = Math.min(seconds, video.duration || 0);
      if (Math.abs(video.currentTime - place) < 1e-4) return done();
      const given = setTimeout(done, PATIENCE);
      video.addEventListener("seeked", () => (clearTimeout(given), done()), { once: true });
      video.currentTime = place;
    });

  /** Go to a time; of several that are asked for on the way only the last one counts. */
  function seek(seconds) {
    wanted = Math.max(0, Math.min(seconds, duration()));
    onTime(wanted);
    moving ??= (async () => {
      videos.forEach((video) => video.pause());
      while (wanted !== null && !closed) {
        const place = wanted;
        wanted = null;
        await Promise.all(usable().map((video) => put(video, place)));
      }
      moving = null;
      if (playing && !closed) start();
    })();
    return moving;
  }

  function step(frames) {
    if (playing) stop();
    const last = Math.max(Math.round(duration() * finest) - 1, 0);
    const frame = Math.floor((wanted ?? leader.currentTime) * finest + 1e-3);
    // The middle of a frame: at its edge the browser may show the one before.
    return seek((Math.max(0, Math.min(frame + frames, last)) + 0.5) / finest);
  }

  return {
    videos,
    ready,
    play,
    pause,
    toggle: () => (playing ? pause() : play()),
    seek,
    step,
    setRate(times) {
      speed = times;
      for (const video of videos) video.playbackRate = times;
    },
    setLoop: (yes) => (loop = yes),
    duration,
    rate: () => finest,
    close() {
      closed = true;
      playing = false;
      for (const video of videos) {
        video.pause();
        video.removeAttribute("src");
        video.load();
      }
    },
  };
}
