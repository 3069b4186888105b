// Choosing between two clips: the clips, four questions, the keys. It knows no server: ComfyUI's node and the page of
// `videoalign choose` each hand it theirs.
import { QUESTIONS, answerOfKey, keyHelp, questionRows } from "./choose_questions.js";
import { element } from "./element.js";
import { twoClips } from "./two_clips.js";

const AT_HAND = 3; // pairs whose clips are fetched before they are shown
const FETCHING = "The clips are on their way.";
const MOST_SKIPPED = 1000; // pairs left for later that the server is told of; a request must stay short
const AGAIN = 2000; // ms between attempts to reach a server that does not answer

/**
 * The view.
 * @param {{ask: function(string, object): Promise<object>, clip: function(string, string): string}} server
 *   ask: send "state", "choose" or "back" with values, get the state; rejects as `answerOf` does.
 *   clip: address of clip "A" or "B" of a pair.
 * @returns {{element: HTMLElement, refresh: function(): Promise<void>, close: function(): void}}
 *   refresh: ask what there is to choose, when it may have changed.
 */
export function chooseView(server) {
  const screen = element("div", "");
  const prompt = element("div", "videoalign-prompt");
  const progress = element("div", "videoalign-progress");
  const bar = element("div", "videoalign-meter", element("span", ""));
  const saying = element("div", "videoalign-saying");
  saying.setAttribute("role", "status");
  const questions = questionRows((place, answer) => {
    row = place;
    give(answer);
    root.focus({ preventScroll: true });
  });
  const keys = keyHelp();
  const body = element("div", "videoalign-choosing", screen, questions.element);
  const root = element("div", "videoalign-choose", element("div", "videoalign-head", progress, bar), prompt, body, saying, keys);
  root.tabIndex = 0;
  root.setAttribute("aria-label", "Choose the better of two clips");

  let waiting = []; // pairs to show; the first one is on the screen
  let total = 0;
  let done = 0;
  let answers = {};
  let before = {}; // answers that were taken back, shown until there are new ones
  let row = 0; // the question that the keys answer
  let skipped = [];
  let unsaved = []; // choices that the server has not confirmed
  const settled = new Set(); // pairs that it has, whatever an older answer says
  let sending = false;
  let closed = false;
  let showing = null; // id of the pair on the screen
  const players = new Map(); // id of a pair -> its two clips, fetched before they are shown

  // ---- what is on the screen

  function draw() {
    const pair = waiting[0];
    const counted = done + unsaved.length;
    progress.textContent = total ? `${counted} of ${total} pairs chosen` : "";
    bar.firstChild.style.width = total ? `${(100 * counted) / total}%` : "0";
    bar.hidden = !total;
    body.hidden = prompt.hidden = keys.hidden = !pair;
    questions.draw(row, answers, before);
    if (pair) prompt.replaceChildren(element("span", "videoalign-label", "Prompt"), pair.prompt);
    else if (!total) say("No clips to choose between yet. Connect clips and run, or name a folder that has some.");
    else if (!unsaved.length) say(`All ${total} pairs are chosen.`);
  }

  function say(text, bad = false) {
    saying.textContent = text;
    saying.classList.toggle("bad", bad);
  }

  async function showFirst() {
    const pair = waiting[0];
    draw();
    if (!pair) {
      forget();
      return;
    }
    const player = playerOf(pair.pair);
    if (showing !== pair.pair) {
      showing = pair.pair;
      root.dataset.ready = "0";
      screen.replaceChildren(player.element);
      play(pair.pair, player);
    }
    await player.ready.catch(() => {}); // what is on the screen comes first
    if (closed) return;
    const next = waiting.slice(0, AT_HAND).map((one) => one.pair);
    next.forEach(playerOf);
    for (const [name, old] of players) {
      if (next.includes(name) || name === showing) continue;
      players.delete(name);
      old.close();
    }
  }

  async function play(pair, player) {
    try {
      await player.ready;
      if (showing !== pair || closed) return;
      root.dataset.ready = "1";
      if (saying.textContent === FETCHING) say("");
      await player.play();
    } catch (error) {
      // The player does not know why; the server may.
      const answer = await fetch(server.clip(pair, "A")).catch(() => null);
      const other = answer?.ok ? await fetch(server.clip(pair, "B")).catch(() => null) : answer;
      const told = other && !other.ok ? (await other.json().catch(() => ({}))).error : null;
      players.delete(pair);
      if (showing === pair) say(`${told ?? error.message} Key N passes to the next pair.`, true);
    }
  }

  function playerOf(pair) {
    if (!players.has(pair)) players.set(pair, twoClips(server.clip(pair, "A"), server.clip(pair, "B")));
    return players.get(pair);
  }

  function forget() {
    for (const player of players.values()) player.close();
    players.clear();
    showing = null;
  }

  // ---- answers

  function give(answer, rest = false) {
    if (!waiting[0]) return;
    if (root.dataset.ready !== "1") {
      if (!saying.textContent) say(FETCHING); // nobody can judge what is not on the screen
      return;
    }
    const asked = rest ? QUESTIONS.slice(row) : [QUESTIONS[row]];
    for (const [name] of asked) answers[name] = answer;
    const open = QUESTIONS.findIndex(([name]) => !(name in answers));
    row = open < 0 ? QUESTIONS.length - 1 : open;
    draw();
    if (open < 0) keep();
  }

  /** Send the answers and go on at once; the server's word comes when it comes. */
  function keep() {
    if (!waiting[0] || !Object.keys(answers).length) return;
    unsaved.push({ pair: waiting[0].pair, answers });
    next();
    send();
  }

  function next() {
    waiting = waiting.slice(1);
    answers = {};
    before = {};
    row = 0;
    showFirst();
  }

  function skip() {
    const pair = waiting[0];
    if (!pair) return;
    skipped = [...skipped.filter((one) => one !== pair.pair), pair.pair].slice(-MOST_SKIPPED);
    waiting = [...waiting, pair]; // the last one if the server knows no other
    next();
    refresh();
  }

  async function back() {
    if (Object.keys(answers).length) {
      // Within a pair: the last answer that was given.
      const given = QUESTIONS.map(([name]) => name).filter((name) => name in answers);
      const last = given[given.length - 1];
      delete answers[last];
      row = QUESTIONS.findIndex(([name]) => name === last);
      draw();
      return;
    }
    for (let waited = 0; unsaved.length && waited < AGAIN; waited += 50) await new Promise((later) => setTimeout(later, 50));
    if (unsaved.length || Object.keys(answers).length) return; // the server does not answer, or the person went on
    try {
      const state = await server.ask("back", { skipped });
      if (state.again) {
        const { pair, prompt: text, answers: given } = state.again;
        skipped = skipped.filter((one) => one !== pair);
        settled.delete(pair);
        take({ ...state, waiting: [{ pair, prompt: text }, ...state.waiting.filter((one) => one.pair !== pair)] }, false);
        before = given;
        row = 0;
        draw();
      }
    } catch (error) {
      say(error.message, true);
    }
  }

  // ---- the server

  async function send() {
    if (sending) return;
    sending = true;
    while (unsaved.length && !closed) {
      try {
        const state = await server.ask("choose", { ...unsaved[0], skipped });
        settled.add(unsaved.shift().pair);
        if (!unsaved.length) say("");
        take(state);
      } catch (error) {
        if (error.refused) {
          unsaved.shift();
          say(`Not kept: ${error.message}`, true);
        } else {
          const count = unsaved.length === 1 ? "1 choice is" : `${unsaved.length} choices are`;
          say(`${error.told ? error.message : "The server does not answer."} ${count} not kept yet. Leave this page open; it tries again by itself.`, true);
          await new Promise((later) => setTimeout(later, AGAIN));
        }
      }
    }
    sending = false;
  }

  /** Take over what the server says; the pair on the screen stays. */
  function take(state, keepFirst = true) {
    total = state.total;
    done = state.done;
    const mine = new Set([...settled, ...unsaved.map((one) => one.pair)]);
    const open = state.waiting.filter((one) => !mine.has(one.pair));
    const first = keepFirst && waiting[0] && !mine.has(waiting[0].pair) ? [waiting[0]] : [];
    waiting = [...first, ...open.filter((one) => one.pair !== first[0]?.pair)];
    root.dataset.done = String(done);
    showFirst();
  }

  async function refresh(anew = false) {
    if (anew) {
      waiting = [];
      answers = {};
      before = {};
      row = 0;
      skipped = [];
      settled.clear();
      forget();
    }
    try {
      say("");
      take(await server.ask("state", { skipped }));
    } catch (error) {
      total = 0;
      waiting = [];
      draw();
      say(error.message, true);
    }
  }

  // ---- keys

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const answer = answerOfKey(event);
    const act = {
      " ": () => onScreen()?.toggle(), r: () => onScreen()?.play(), ".": () => onScreen()?.step(1), ",": () => onScreen()?.step(-1),
      enter: keep, backspace: back, n: skip, f: fullScreen,
    }[key];
    if (!answer && !act) return;
    event.preventDefault();
    event.stopPropagation(); // ComfyUI has meanings of its own for these keys
    if (answer) {
      if (!event.repeat) give(answer, event.shiftKey);
    } else act();
  });
  root.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // do not move the node
    if (!event.target.closest("button")) root.focus({ preventScroll: true });
  });
  const onScreen = () => players.get(showing);

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.().catch(() => {});
  }

  draw();
  return {
    element: root,
    refresh,
    close() {
      closed = true;
      forget();
    },
  };
}
