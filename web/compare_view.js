// Clips of two or more settings, pair by pair: the player, what their marks differ by, and what that is over all pairs. It
// knows no server: ComfyUI's node and the page of `videoalign compare` each hand it addresses.
import { button, comparePlayer } from "./compare_player.js";
import { element } from "./element.js";

const ORDERS = [
  ["given", "in order"],
  ["lost", "most lost first"],
  ["gained", "most gained first"],
];

/** What a person sets, as it is at first; handed to a view again, it is as they left it. */
export function startingState() {
  return { wipe: false, place: 0.5, speed: 1, loop: true, playing: true, pair: 0, left: 0, right: 1, order: "given", measure: null, lost: false, gone: "This clip is no longer there." };
}

/**
 * The view.
 * @param {object} data as `reward/differences.py` and its callers make it:
 *   names of the sets; measures: {name, meaning, judge}; comparisons: {left, right, verdict, rows, guard: {outcome, sentence}, if there is one}; pairs: {prompt, seed, clips, cells};
 *   notes: sentences. cells["0 1"][i] is measure i of set 1 against set 0.
 * @param {function(object): string|null} address of an entry of a pair's clips; null where it is not at hand.
 * @param {object} state as `startingState` makes it; kept up to date here.
 * @returns {{element: HTMLElement, close: function(): void}}
 */
export function compareView(data, address, state = startingState()) {
  const { names, measures, comparisons, pairs } = data;
  const player = comparePlayer(state);
  const verdict = element("div", "videoalign-verdict");
  verdict.setAttribute("role", "status");
  const guard = element("div", "videoalign-guard"); // what the first judge's gain may have been bought with
  const where = element("div", "videoalign-pair");
  const pager = element("div", "videoalign-pager");
  const pickers = element("div", "videoalign-pager");
  const cells = element("div", "videoalign-deltas");
  const whole = element("div", "videoalign-whole");
  const notes = element("div", "", ...data.notes.map((note) => element("div", "videoalign-caution", note)));
  const root = element("div", "videoalign-compare", verdict, guard, pickers, pager, where, player.element, cells, whole, notes);
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `Compare ${names.join(", ")}`);

  // ---- which two, and in which order the pairs come

  const comparison = () =>
    comparisons.find((one) => one.left === state.left && one.right === state.right) ?? choose(comparisons[0]);

  function choose(one) {
    [state.left, state.right] = [one.left, one.right];
    return one;
  }

  const cellsOf = (pair) => pair.cells[`${state.left} ${state.right}`] ?? [];
  const marked = () => measures.map((_, place) => place).filter((place) => pairs.some((pair) => cellsOf(pair)[place]?.gain != null));
  /** The measure that pairs are sorted by at first: the last, overall one of the first judge that marked anything. */
  const firstMeasure = (found) => found.filter((place) => measures[place].judge === measures[found[0]].judge).at(-1) ?? null;
  const gain = (pair) => cellsOf(pair)[state.measure]?.gain ?? null;

  function listed() {
    let list = pairs.filter((pair) => pair.clips[state.left] || pair.clips[state.right]);
    if (state.lost) list = list.filter((pair) => gain(pair) < 0);
    const sign = { lost: 1, gained: -1 }[state.order];
    if (sign) {
      const known = list.filter((pair) => gain(pair) !== null).sort((a, b) => sign * (gain(a) - gain(b)));
      list = [...known, ...list.filter((pair) => gain(pair) === null)];
    }
    return list;
  }

  const select = (label, options, chosen, take) => {
    const made = element("select", "videoalign-pick", ...options.map(([value, text]) => new Option(text, value, false, String(value) === String(chosen))));
    made.setAttribute("aria-label", label);
    made.title = label;
    made.addEventListener("change", () => {
      take(made.value);
      draw();
      root.querySelector(`[aria-label="${label}"]`)?.focus({ preventScroll: true });
    });
    return made;
  };

  function drawPickers() {
    pickers.hidden = names.length < 3;
    if (pickers.hidden) return;
    const lefts = [...new Set(comparisons.map((one) => one.left))];
    const rights = comparisons.filter((one) => one.left === state.left).map((one) => one.right);
    const named = (places) => places.map((place) => [place, names[place]]);
    pickers.replaceChildren(
      select("compare with", named(lefts), state.left, (value) => {
        const of = comparisons.filter((one) => one.left === Number(value));
        choose(of.find((one) => one.right === state.right) ?? of[0]);
      }),
      element("span", "", "against"),
      select("compared", named(rights), state.right, (value) => (state.right = Number(value))),
    );
  }

  function drawPager(list) {
    const found = marked();
    if (!found.includes(state.measure)) state.measure = firstMeasure(found);
    pager.hidden = pairs.length < 2;
    if (pager.hidden) return;
    const count = element("span", "videoalign-count", list.length ? `pair ${state.pair + 1} of ${list.length}` : "no pair");
    const several = new Set(measures.map((one) => one.judge)).size > 1;
    const text = (place) => (several ? `${measures[place].name}, ${measures[place].judge}` : measures[place].name);
    const lost = button("where it lost", `only pairs that ${names[state.right]} lost`, "X", () => act.x());
    lost.setAttribute("aria-pressed", String(state.lost));
    const previous = button("‹", "the pair before", "P", () => act.p());
    const next = button("›", "the next pair", "N", () => act.n());
    previous.disabled = next.disabled = list.length < 2;
    pager.replaceChildren(
      previous,
      count,
      next,
      ...(found.length
        ? [
            select("order of the pairs", ORDERS, state.order, (value) => Object.assign(state, { order: value, pair: 0 })),
            select("by", found.map((place) => [place, text(place)]), state.measure, (value) => Object.assign(state, { measure: Number(value), pair: 0 })),
            lost,
          ]
        : []),
    );
  }

  // ---- what is on the screen

  function draw() {
    const chosen = comparison();
    if (state.measure === null) state.measure = firstMeasure(marked());
    const list = listed();
    state.pair = Math.max(0, Math.min(state.pair, list.length - 1));
    const pair = list[state.pair];
    verdict.textContent = chosen.verdict;
    verdict.hidden = !chosen.verdict;
    guard.hidden = !chosen.guard;
    guard.dataset.outcome = chosen.guard?.outcome ?? "";
    guard.replaceChildren(...(chosen.guard?.outcome ? [element("b", "", chosen.guard.outcome), " "] : []), chosen.guard?.sentence ?? "");
    drawPickers();
    drawPager(list);
    const about = pair ? [pair.prompt, pair.seed === null ? null : `seed ${pair.seed}`].filter(Boolean).join(" · ") : `${names[state.right]} lost no pair.`;
    where.textContent = about;
    where.title = about;
    where.hidden = !about;
    player.element.hidden = cells.hidden = !pair;
    if (pair) {
      player.show(
        [state.left, state.right].map((side) => {
          const clip = pair.clips[side];
          return { address: clip ? address(clip) : null, label: names[side], fps: clip?.fps ?? null };
        }),
      );
      cells.replaceChildren(...drawDeltas(cellsOf(pair)));
    }
    whole.replaceChildren(...drawWhole(chosen.rows));
    root.dataset.pair = pair ? String(pairs.indexOf(pair)) : "";
  }

  function drawDeltas(found) {
    const shown = found.map((cell, place) => [cell, measures[place]]).filter(([cell]) => cell.base !== "–" || cell.candidate !== "–");
    if (!shown.length) return [];
    const rows = [];
    let judge = "";
    const head = () =>
      element("div", "videoalign-delta head", element("span", ""), element("span", "", names[state.left]), element("span", "", names[state.right]), element("span", "videoalign-better", "better →"), element("span", "", "change"));
    for (const [cell, measure] of shown) {
      if (measure.judge && measure.judge !== judge) rows.push(element("div", "videoalign-judge", measure.judge));
      if (!rows.length || measure.judge !== judge) rows.push(head());
      judge = measure.judge;
      const fill = element("span", `videoalign-reach ${cell.kind}`);
      const reach = Math.abs(cell.bar) * 50;
      Object.assign(fill.style, { width: `${reach}%`, left: cell.bar >= 0 ? "50%" : `${50 - reach}%` });
      const row = element(
        "div",
        "videoalign-delta",
        element("b", "", cell.name),
        element("span", "", cell.base),
        element("span", "", cell.candidate),
        element("span", "videoalign-middle", fill),
        element("span", `videoalign-by ${cell.kind}`, cell.text),
      );
      const said = cell.gain === null ? "not known" : cell.kind ? `${names[state.right]} ${cell.kind} by ${cell.text}` : "equal";
      row.setAttribute("role", "img");
      row.setAttribute("aria-label", `${measure.meaning}: ${cell.base} and ${cell.candidate}, ${said}`);
      row.title = measure.meaning;
      rows.push(row);
    }
    return rows;
  }

  function drawWhole(rows) {
    if (!rows.length) return [];
    const cell = (tag, className, text) => element(tag, className, text);
    const head = element("tr", "", ...["all pairs", "mean difference", `${names[state.right]} won`, ""].map((text) => cell("th", "", text)));
    const body = rows.map((row) => {
      const made = element(
        "tr",
        row.kind,
        cell("th", "", row.name),
        cell("td", "", row.interval ? `${row.mean} (${row.interval})` : row.mean),
        cell("td", "", row.won),
        cell("td", "videoalign-by", row.verdict),
      );
      made.title = row.interval ? `${row.meaning}; in brackets the 95 % interval` : row.meaning;
      return made;
    });
    return [element("table", "", element("thead", "", head), element("tbody", "", ...body))];
  }

  // ---- keys

  function turn(by) {
    const count = listed().length;
    if (count > 1) state.pair = (state.pair + by + count) % count;
    draw();
  }

  const { acts } = player;
  const act = {
    " ": acts.toggle, ",": acts.back, ".": acts.on, w: acts.wipe, l: acts.loop, f: acts.full, arrowleft: acts.left, arrowright: acts.right,
    n: () => turn(1),
    p: () => turn(-1),
    x: () => (Object.assign(state, { lost: !state.lost && state.measure !== null, pair: 0 }), draw()),
  };

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation(); // ComfyUI has meanings of its own for these keys
    const own = event.target.closest("select, button, input");
    const key = event.key.toLowerCase();
    if (own && (own.tagName === "SELECT" || key === " " || key.startsWith("arrow"))) return; // what they do themselves
    if (!act[key]) return;
    event.preventDefault();
    act[key]();
  });
  root.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // do not move the node
    if (!event.target.closest("button, select, input, [role=slider]")) root.focus({ preventScroll: true });
  });

  draw();
  return { element: root, close: player.close };
}
