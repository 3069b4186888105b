// Clips in step on one stage, side by side or under a wipe, with the controls for them.
import { element } from "./element.js";
import { syncedClips } from "./synced_clips.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const NONE = "There is no clip with these scores.";

/** A button that says what it does, and which key does the same. */
export function button(sign, label, key, act) {
  const made = element("button", "videoalign-act", sign);
  made.type = "button";
  made.title = key ? `${label} (key ${key})` : label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

/**
 * The player.
 * @param {{wipe: boolean, place: number, speed: number, loop: boolean, playing: boolean, gone: string}} kept what a person has
 *   set; it is changed here, and outlives the player. place: of the wipe, 0..1. gone: what to say of a clip that is not there.
 * @returns {{element: HTMLElement, show: function(object[]): void, acts: Object<string, function>, close: function(): void}}
 *   show: play these clips: {address, label, fps}; an address of null is a clip that is not at hand.
 *   acts: name -> what a key may do: toggle, back, on, wipe, loop, full, left, right.
 */
export function comparePlayer(kept) {
  const stage = element("div", "videoalign-stage");
  const handle = element("div", "videoalign-wipe", element("span", ""));
  handle.tabIndex = 0;
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-label", "wipe");
  handle.setAttribute("aria-valuemin", "0");
  handle.setAttribute("aria-valuemax", "100");
  const scrub = element("input", "videoalign-scrub");
  Object.assign(scrub, { type: "range", min: "0", max: "1", step: "any", value: "0" });
  scrub.setAttribute("aria-label", "time");
  const clock = element("span", "videoalign-clock");
  const speed = element("select", "videoalign-pick", ...SPEEDS.map((one) => new Option(`${one}×`, one, one === 1, one === kept.speed)));
  speed.setAttribute("aria-label", "speed");
  speed.title = "speed";

  let clips = [];
  let synced = null;

  const playButton = button("▶", "play or stop", "space", () => synced?.toggle());
  const wipeButton = button("wipe", "one picture with a wipe, or side by side", "W", () => setWipe(!kept.wipe));
  const loopButton = button("loop", "again and again", "L", () => setLoop(!kept.loop));
  const full = button("full screen", "full screen", "F", fullScreen);
  const controls = element(
    "div",
    "videoalign-controls",
    playButton,
    button("−1", "one frame back", ",", () => synced?.step(-1)),
    button("+1", "one frame on", ".", () => synced?.step(1)),
    scrub,
    clock,
    speed,
    loopButton,
    wipeButton,
    full,
  );
  controls.setAttribute("role", "group");
  controls.setAttribute("aria-label", "playback");
  const root = element("div", "videoalign-player", stage, controls);

  // ---- what is on the stage

  function show(given) {
    const same = clips.length === given.length && clips.every((clip, place) => clip.address === given[place].address);
    clips = given;
    if (!same) {
      synced?.close();
      const there = clips.filter((clip) => clip.address);
      synced = there.length ? syncedClips(there, onTime, onPlay) : null;
      const mine = synced;
      root.dataset.ready = "0";
      mine?.ready.then(() => {
        if (synced !== mine) return;
        root.dataset.ready = "1";
        if (mine.videos.some((video) => video.error)) draw();
        fitStage();
        mine.setLoop(kept.loop);
        mine.setRate(kept.speed);
        if (kept.playing) mine.play();
      });
    }
    draw();
  }

  function draw() {
    let place = 0;
    const figures = clips.map(({ address, label }, index) => {
      const video = address ? synced.videos[place++] : null;
      const picture = video && !video.error ? video : element("div", "videoalign-gone", video ? kept.gone : NONE);
      const figure = element("figure", "videoalign-clip-side", picture);
      const caption = element("figcaption", "", label);
      caption.title = label;
      figure.append(caption);
      figure.dataset.side = String(index);
      return figure;
    });
    const wiping = kept.wipe && clips.length === 2 && synced?.videos.length === 2 && !synced.videos.some((video) => video.error);
    stage.className = wiping ? "videoalign-stage wiping" : "videoalign-stage";
    stage.style.setProperty("--clips", String(clips.length));
    stage.replaceChildren(...figures, ...(wiping ? [handle] : []));
    wipeButton.hidden = clips.length !== 2;
    controls.hidden = !synced;
    for (const [one, on] of [[wipeButton, wiping], [loopButton, kept.loop]]) one.setAttribute("aria-pressed", String(on));
    fitStage();
    setPlace(kept.place);
  }

  function fitStage() {
    const first = synced?.videos.find((video) => video.videoWidth);
    if (first) stage.style.setProperty("--aspect", `${first.videoWidth} / ${first.videoHeight}`);
  }

  function onTime(seconds) {
    const whole = synced?.duration() ?? 0;
    scrub.max = String(whole || 1);
    scrub.value = String(seconds);
    const frame = Math.floor(seconds * (synced?.rate() ?? 1) + 1e-3) + 1;
    clock.textContent = `${seconds.toFixed(2)} / ${whole.toFixed(2)} s`;
    scrub.setAttribute("aria-valuetext", `${seconds.toFixed(2)} of ${whole.toFixed(2)} seconds, frame ${frame}`);
    root.dataset.time = seconds.toFixed(3);
  }

  function onPlay(playing) {
    kept.playing = playing;
    playButton.textContent = playing ? "❚❚" : "▶";
    root.dataset.playing = playing ? "1" : "0";
  }

  // ---- the wipe

  function setPlace(place) {
    kept.place = Math.max(0, Math.min(place, 1));
    const percent = Math.round(100 * kept.place);
    stage.style.setProperty("--wipe", `${100 * kept.place}%`);
    handle.setAttribute("aria-valuenow", String(percent));
    if (clips.length === 2) handle.setAttribute("aria-valuetext", `${percent} % ${clips[0].label}, ${100 - percent} % ${clips[1].label}`);
  }

  const wiping = () => stage.classList.contains("wiping");
  let dragging = false;
  const drag = (event) => {
    const box = stage.getBoundingClientRect();
    setPlace((event.clientX - box.left) / box.width);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (!wiping() || event.button) return;
    dragging = true;
    stage.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    drag(event);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => dragging && drag(event));
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (dragging = false));
  stage.addEventListener("click", () => !wiping() && synced?.toggle());

  const move = (by) => wiping() && setPlace(kept.place + by);
  handle.addEventListener("keydown", (event) => {
    const by = event.shiftKey ? 0.1 : 0.02;
    const act = {
      ArrowLeft: () => move(-by), ArrowDown: () => move(-by), ArrowRight: () => move(by), ArrowUp: () => move(by),
      Home: () => setPlace(0), End: () => setPlace(1),
    }[event.key];
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  });

  // ---- the controls

  scrub.addEventListener("input", () => {
    synced?.pause();
    synced?.seek(Number(scrub.value));
  });
  scrub.addEventListener("keydown", (event) => {
    // A step of a slider without steps is a hundredth of its length; a frame is what a person wants.
    const frames = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!frames) return;
    synced?.step(frames);
    event.preventDefault();
  });
  speed.addEventListener("change", () => {
    kept.speed = Number(speed.value);
    synced?.setRate(kept.speed);
  });

  function setWipe(yes) {
    if (clips.length !== 2) return;
    kept.wipe = yes;
    draw();
  }

  function setLoop(yes) {
    kept.loop = yes;
    synced?.setLoop(yes);
    loopButton.setAttribute("aria-pressed", String(yes));
  }

  function fullScreen() {
    const whole = root.closest(".videoalign-compare") ?? root;
    if (document.fullscreenElement) document.exitFullscreen();
    else whole.requestFullscreen?.().catch(() => {});
  }

  return {
    element: root,
    show,
    acts: {
      toggle: () => synced?.toggle(),
      back: () => synced?.step(-1),
      on: () => synced?.step(1),
      wipe: () => setWipe(!kept.wipe),
      loop: () => setLoop(!kept.loop),
      full: fullScreen,
      left: () => move(-0.02),
      right: () => move(0.02),
    },
    close: () => synced?.close(),
  };
}
