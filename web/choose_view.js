// Choosing between two clips: the clips, four questions, buttons and keys. It knows no server: ComfyUI's node and the page of
// `videoalign choose` each hand it theirs.
import { emptyView, endView } from "./choose_ends.js";
import { judgedClips } from "./choose_judged.js";
import { layout } from "./choose_layout.js";
import { clipPlayers } from "./choose_players.js";
import { promptText } from "./choose_prompt.js";
import { QUESTIONS, answerOfKey, inWords, questionRows } from "./choose_questions.js";
import { button, tools } from "./choose_tools.js";
import { element } from "./element.js";

const AT_HAND = 3; // pairs whose clips are fetched before they are shown
const FETCHING = "The clips are on their way.";
const MOST_SKIPPED = 1000; // pairs left for later that the server is told of; a request must stay short
const AGAIN = 2000; // ms between attempts to reach a server that does not answer
const UNDO_STAYS = 10000; // ms in which a saved choice can be taken back where it is said that it is saved
const USUAL_SHAPE = 16 / 9; // of clips, until it is known

/**
 * The view.
 * @param {{ask: function(string, object): Promise<object>, clip: function(string, string): string}} server
 *   ask: send "state", "choose" or "back" with values, get the state; rejects as `answerOf` does.
 *   clip: address of clip "A" or "B" of a pair.
 * @param {{empty: string, more: string, fills: boolean}} place where the view is.
 *   empty: what to do where there are no clips. more: how more clips come. fills: whether its height is given from outside.
 * @returns {{element: HTMLElement, refresh: function(): Promise<void>, close: function(): void}}
 *   refresh: ask what there is to choose, when it may have changed.
 */
export function chooseView(server, { empty, more, fills = false }) {
  const stage = element("div", "videoalign-stage");
  const prompt = promptText();
  const progress = element("div", "videoalign-progress");
  const bar = element("div", "videoalign-meter", element("span", ""));
  const status = element("span", "");
  const saying = element("div", "videoalign-saying", status);
  const ends = element("div", "videoalign-ends");
  status.setAttribute("role", "status");
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", "Pairs chosen");
  const undo = button("videoalign-undo", "Undo: take the saved choice back", "Undo");
  undo.addEventListener("click", () => takeBack());
  const questions = questionRows({
    answered(place, answer, event) {
      row = place;
      give(answer, event.shiftKey || rest);
      if (!event.detail && waiting[0]) questions.focus(row); // by keyboard: it goes on from question to question
    },
    turned(place) {
      if (place === row) return;
      row = place;
      draw();
    },
  });
  const players = clipPlayers(server.clip, (pair) => {
    if (showing !== pair || closed) return;
    drawButtons();
    places.fit();
  });
  const onScreen = () => players.get(showing);
  const buttons = tools({
    restart: () => onScreen()?.play(), earlier: () => onScreen()?.step(-1), toggle: () => onScreen()?.toggle(), further: () => onScreen()?.step(1),
    full: fullScreen, back, skip, keep,
    rest: () => {
      rest = !rest;
      drawButtons();
    },
  });
  const choosing = [prompt.element, stage, buttons.clip, questions.element, buttons.pair];
  const root = element("div", "videoalign-choose", element("div", "videoalign-head", progress, bar), ...choosing, ends, saying);
  root.tabIndex = 0;
  root.setAttribute("role", "application");
  root.setAttribute("aria-label", "Choose the better of two clips");
  root.classList.toggle("fills", fills);

  let waiting = []; // pairs to show; the first one is on the screen
  let total = 0;
  let done = 0;
  let known = null; // what the server said last: a state, or the Error that came in its place
  let answers = {};
  let before = {}; // answers that were taken back, shown until there are new ones
  const drafts = new Map(); // id of a pair that was left -> its answers so far
  let row = 0; // the question that the keys answer
  let rest = false; // whether an answer counts for all questions that are left
  let skipped = [];
  let unsaved = []; // choices that the server has not confirmed
  const settled = new Set(); // pairs that it has, whatever an older answer says
  let sending = false;
  let closed = false;
  let showing = null; // id of the pair on the screen
  let shape = USUAL_SHAPE;
  let hiding = null; // the timer that takes the undo button away
  const places = layout(root, stage, () => {
    shape = onScreen()?.aspect() || shape; // the last pair's, until this one's is known
    return shape;
  });

  // ---- what is on the screen

  function draw() {
    const pair = waiting[0];
    const counted = done + unsaved.length;
    progress.textContent = total ? `${counted} of ${total} ${total === 1 ? "pair" : "pairs"} chosen` : "";
    bar.firstChild.style.width = total ? `${(100 * counted) / total}%` : "0";
    bar.setAttribute("aria-valuemax", String(total));
    bar.setAttribute("aria-valuenow", String(counted));
    bar.hidden = !total;
    const focused = root.contains(document.activeElement);
    root.classList.toggle("choosing", Boolean(pair));
    for (const part of choosing) part.hidden = !pair;
    questions.draw(row, answers, before);
    if (pair) prompt.draw(pair.prompt);
    drawButtons();
    drawEnds(pair);
    if (focused && !root.contains(document.activeElement)) root.focus({ preventScroll: true });
  }

  function drawButtons() {
    buttons.draw({ playing: onScreen()?.playing() ?? true, rest, answered: Object.keys(answers).length > 0 });
  }

  const look = () => refresh();
  let ended = null; // what the view without a pair was drawn from
  function drawEnds(pair) {
    const from = pair || unsaved.length ? null : known;
    if (from === ended) return;
    ended = from;
    if (!from) ends.replaceChildren();
    else if (from instanceof Error) ends.replaceChildren(emptyView(from.message, true, look));
    else if (!total) ends.replaceChildren(emptyView(empty, false, look));
    else if (from.end) ends.replaceChildren(endView(from, more, { back, look }));
  }

  function say(text, bad = false) {
    clearTimeout(hiding);
    while (saying.lastChild !== status) saying.lastChild.remove();
    status.textContent = text;
    saying.classList.toggle("bad", bad);
  }

  /** A choice is on the disk: say so, with a button that takes it back, and what judges said of the clips. */
  function sayKept({ answers: kept, pictures }, judged) {
    say(`Saved: ${inWords(kept)}.`);
    saying.append(...judgedClips(judged, pictures), undo);
    const hide = () => {
      if (saying.querySelector(":is(:hover, :focus-visible, [aria-expanded='true'])")) hiding = setTimeout(hide, UNDO_STAYS);
      else say("");
    };
    hiding = setTimeout(hide, UNDO_STAYS);
  }

  async function showFirst() {
    const pair = waiting[0];
    draw();
    if (!pair) {
      forget();
      return;
    }
    const player = players.of(pair.pair);
    if (showing !== pair.pair) {
      showing = pair.pair;
      root.dataset.ready = "0";
      stage.replaceChildren(player.element);
      places.fit();
      play(pair.pair, player);
    }
    await player.ready.catch(() => {}); // what is on the screen comes first
    if (closed || !showing) return;
    players.only([showing, ...waiting.slice(0, AT_HAND).map((one) => one.pair)]);
  }

  async function play(pair, player) {
    try {
      await player.ready;
      if (showing !== pair || closed) return;
      root.dataset.ready = "1";
      if (status.textContent === FETCHING) say("");
      await player.play();
    } catch (error) {
      const reason = await players.failed(pair, error);
      if (showing === pair) say(`${reason} "Later" passes to the next pair.`, true);
    }
  }

  function forget() {
    players.only([]);
    showing = null;
  }

  // ---- answers

  function give(answer, all) {
    if (!waiting[0]) return;
    if (root.dataset.ready !== "1") {
      if (!status.textContent) say(FETCHING); // nobody can judge what is not on the screen
      return;
    }
    QUESTIONS.forEach(([name], place) => {
      if (place === row || (all && !(name in answers))) answers[name] = answer;
    });
    const open = QUESTIONS.findIndex(([name]) => !(name in answers));
    row = open < 0 ? QUESTIONS.length - 1 : open;
    draw();
    if (open < 0) keep();
  }

  /** Send the answers and go on at once; the server's word comes when it comes. */
  function keep() {
    if (!waiting[0]) return;
    if (!Object.keys(answers).length) {
      say("Answer at least one question first.");
      return;
    }
    say(""); // what was saved before can be taken back by Back alone: Undo means the choice that it stands beside
    unsaved.push({ pair: waiting[0].pair, answers, pictures: onScreen()?.pictures() });
    next();
    send();
  }

  function next() {
    waiting = waiting.slice(1);
    answers = drafts.get(waiting[0]?.pair) ?? {};
    drafts.delete(waiting[0]?.pair);
    before = {};
    row = Math.max(QUESTIONS.findIndex(([name]) => !(name in answers)), 0);
    showFirst();
  }

  function skip() {
    const pair = waiting[0];
    if (!pair) return;
    skipped = [...skipped.filter((one) => one !== pair.pair), pair.pair].slice(-MOST_SKIPPED);
    drafts.set(pair.pair, answers);
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
    await takeBack();
  }

  /** The pair that was kept last comes again; what is on the screen waits, with its answers so far. */
  async function takeBack() {
    for (let waited = 0; unsaved.length && waited < AGAIN; waited += 50) await new Promise((later) => setTimeout(later, 50));
    if (unsaved.length) return; // the server does not answer
    try {
      const state = await server.ask("back", { skipped });
      if (!state.again) {
        say("There is nothing to take back.");
        return;
      }
      const { pair, prompt: text, answers: given } = state.again;
      if (waiting[0]) drafts.set(waiting[0].pair, answers);
      skipped = skipped.filter((one) => one !== pair);
      settled.delete(pair);
      answers = {};
      before = given;
      row = 0;
      say("Taken back. Choose anew.");
      take({ ...state, waiting: [{ pair, prompt: text }, ...state.waiting.filter((one) => one.pair !== pair)] }, false);
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
        const { pair, answers: given } = unsaved[0];
        const state = await server.ask("choose", { pair, answers: given, skipped });
        const kept = unsaved.shift();
        settled.add(kept.pair);
        if (!unsaved.length) sayKept(kept, state.judged);
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
    known = state;
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
      drafts.clear();
      skipped = [];
      settled.clear();
      forget();
    }
    try {
      say("");
      take(await server.ask("state", { skipped }));
    } catch (error) {
      known = error;
      total = 0;
      waiting = [];
      draw();
    }
  }

  // ---- keys

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const answer = answerOfKey(event);
    const act = buttons.acts[key];
    const pressed = (key === " " || key === "enter") && event.target.closest("button"); // it does what it says
    const scrolls = !waiting[0] && !["backspace", "f"].includes(key);
    const moved = !pressed && waiting[0] && questions.move(event);
    if (!answer && !act && !moved) return;
    event.stopPropagation(); // ComfyUI has meanings of its own for these keys
    if (pressed || scrolls) return;
    event.preventDefault();
    if (moved) return;
    if (!answer) act();
    else if (!event.repeat) give(answer, event.shiftKey || rest);
  });
  root.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // do not move the node
    if (!event.target.closest("button")) root.focus({ preventScroll: true });
  });
  root.addEventListener("click", (event) => {
    if (event.detail && event.target.closest("button")) root.focus({ preventScroll: true }); // the keys go on meaning what they say
  });
  root.addEventListener("fullscreenchange", () => {
    root.classList.toggle("fills", fills || document.fullscreenElement === root);
    places.fit();
  });

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
      clearTimeout(hiding);
      places.close();
      forget();
    },
  };
}
