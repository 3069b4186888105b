// The rewards over a sampling run: three curves over the steps, with the noise level below, and behind them the run before or
// the one that they are compared with.
import { DIMENSIONS, element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [420, 184];
const AREA = { left: 34, right: WIDTH - 12, top: 8, bottom: HEIGHT - 48 }; // below it: how much each step was moved
const BARS = HEIGHT - 29; // where those bars stand
const ENDED = { stopped: "stopped", failed: "failed" };

/**
 * A picture that grows point by point.
 * @returns {{element: HTMLElement, add: function(object): void, replace: function(object): void, kept: function(): object}}
 *   add: a live message {run, index, point}; index -1 begins a run, null ends it. replace: a whole trace {run, points, ...}.
 */
export function traceView() {
  const root = element("div", "videoalign-trace");
  let now = { run: null, points: [] };
  let before = null; // the run before this one
  let asked = null; // the frame that draws what has changed

  function begin(next) {
    if (rated(now.points).length > 1 && now.ended !== "failed") before = { points: now.points, name: nameOf(now, "the run before") };
    now = next;
  }

  function add(message) {
    if (message.index === null) {
      if (message.run === now.run) now.ended = message.ended;
    } else if (message.run !== now.run || message.index < 0) {
      begin({ run: message.run, seed: message.seed, steps: message.steps, points: [...(message.points ?? [])] });
    }
    if (message.point) now.points[message.index] = message.point;
    draw();
  }

  function replace(trace) {
    const next = { ...trace, about: trace.strength === undefined ? null : trace, ended: trace.ended ?? "done" };
    if (trace.run === now.run) now = next;
    else begin(next);
    draw();
  }

  function draw() {
    root.dataset.points = String(now.points.filter(Boolean).length);
    root.dataset.ended = now.ended ?? "";
    // Points come faster than a page draws; a long run's picture is made once a frame, and not at all where nobody sees it.
    asked ??= requestAnimationFrame(() => {
      asked = null;
      drawNow();
    });
  }

  function drawNow() {
    const points = now.points.filter(Boolean);
    const note = now.note ? [element("div", "videoalign-warning", now.note)] : [];
    if (!points.length) {
      root.replaceChildren(...(note.length ? note : [element("div", "videoalign-note", nothingYet())]));
      return;
    }
    const other = now.ghost?.points?.length ? { points: now.ghost.points, name: nameOf(now.ghost, "the other run") } : before;
    root.replaceChildren(legends(points), picture(points, other?.points ?? [], now.steps), ...behind(other), ...note);
  }

  function nothingYet() {
    if (now.run === null) return "The rewards appear here while the guided model samples.";
    if (now.ended) return `Sampling ${ENDED[now.ended] ?? "ended"} before any step was guided.`;
    return "Sampling begins: the first step, pure noise, is not guided.";
  }

  function legends(points) {
    const last = rated(points).at(-1);
    const entries = DIMENSIONS.map(([name, meaning]) => {
      const entry = element("span", "videoalign-legend", element("i", name), `${name} `, element("b", "", last ? signed(last[name]) : "–"));
      entry.title = `${meaning} at the last step, as the latent reward model sees the unfinished clip`;
      return entry;
    });
    const seconds = points.reduce((total, point) => total + (point.seconds ?? 0), 0);
    const capped = points.filter((point) => point.capped).length;
    const facts = ENDED[now.ended] ? [`${ENDED[now.ended]} after ${points.length}`] : [`${points.length} evaluations`];
    facts.push(`${seconds.toFixed(1)} s`);
    if (now.seed !== null && now.seed !== undefined) facts.unshift(`seed ${now.seed}`);
    if (now.about) facts.push(`strength ${Number(now.about.strength.toFixed(3))} (${now.about.strength_mode})`);
    if (capped) facts.push(`${capped} capped`);
    return element("div", "videoalign-legends", ...entries, element("span", "videoalign-note", facts.join(" · ")));
  }

  draw();
  drawNow();
  /** The curve so far, for `replace`. */
  const kept = () => ({ ...now, points: now.points.filter(Boolean), about: undefined });

  return { element: root, add, replace, kept };
}

const behind = (other) => (other ? [element("div", "videoalign-note", `thin: ${other.name}`)] : []);

function nameOf(trace, otherwise) {
  const facts = [];
  if (trace.strength === 0 || trace.about?.strength === 0) facts.push("unguided (strength 0)");
  if (trace.seed !== null && trace.seed !== undefined) facts.push(`seed ${trace.seed}`);
  return facts.length ? facts.join(", ") : otherwise;
}

const rated = (points) => points.filter((point) => point && point.VQ !== null && point.VQ !== undefined);

/** A point's step; of a run whose schedule is not known, its place among the points. */
const stepOf = (point, points) => point.step ?? points.indexOf(point);

function picture(points, ghost, steps) {
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "videoalign-curve", role: "img", "aria-label": spoken(points) });
  const values = [...rated(points), ...rated(ghost)].flatMap((point) => DIMENSIONS.map(([name]) => point[name]));
  let [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
  if (high - low < 0.5) [low, high] = [(low + high) / 2 - 0.25, (low + high) / 2 + 0.25];
  const last = Math.max((steps ?? 1) - 1, ...points.map((point) => stepOf(point, points)), ...ghost.map((point) => stepOf(point, ghost)), 1);
  const x = (point, all) => AREA.left + (stepOf(point, all) / last) * (AREA.right - AREA.left);
  const y = (value) => AREA.bottom - ((value - low) / (high - low)) * (AREA.bottom - AREA.top);
  for (const value of ticks(low, high)) {
    svg.append(make("line", { x1: AREA.left, x2: AREA.right, y1: y(value), y2: y(value), class: value === 0 ? "zero" : "grid" }));
    svg.append(words(AREA.left - 5, y(value) + 3.5, "end", String(Number(value.toFixed(2))).replace("-", "−")));
  }
  for (const point of labelled(points)) {
    const at = x(point, points);
    svg.append(make("line", { x1: at, x2: at, y1: AREA.top, y2: AREA.bottom, class: "grid" }));
    svg.append(words(at, HEIGHT - 15, "middle", String(Number((stepOf(point, points) + 1).toFixed(1)))));
    svg.append(words(at, HEIGHT - 3, "middle", `σ ${point.sigma.toFixed(2)}`));
  }
  svg.append(words(2, HEIGHT - 15, "start", "step"));
  const most = Math.max(...points.map((point) => point.shift_ratio ?? 0), 1e-9);
  for (const point of points) {
    const height = (16 * (point.shift_ratio ?? 0)) / most;
    const bar = make("rect", { x: x(point, points) - 1.5, y: BARS - height, width: 3, height, class: point.capped ? "shift capped" : "shift" });
    bar.append(titled(`${placeOf(point, points)}: the prediction was moved by ${((point.shift_ratio ?? 0) * 100).toFixed(1)} %${point.capped ? ", cut by the cap" : ""}`));
    svg.append(bar);
  }
  for (const [all, kind] of [[ghost, "ghost"], [points, "curve"]]) {
    for (const [name] of DIMENSIONS) {
      const line = rated(all).map((point) => `${x(point, all).toFixed(1)},${y(point[name]).toFixed(1)}`);
      if (line.length) svg.append(make("polyline", { points: line.join(" "), class: `${kind} ${name}` }));
    }
  }
  const count = rated(points).length;
  for (const point of rated(points)) {
    for (const [name] of DIMENSIONS) {
      const dot = make("circle", { cx: x(point, points), cy: y(point[name]), r: count > 60 ? 1 : 2, class: `dot ${name}` });
      dot.append(titled(`${name} ${signed(point[name])} at ${placeOf(point, points)}${point.model === "model_low_noise" ? ", low-noise expert" : ""}`));
      svg.append(dot);
    }
  }
  return svg;
}

function placeOf(point, points) {
  return `step ${Number((stepOf(point, points) + 1).toFixed(2))}, σ ${point.sigma.toFixed(3)}`;
}

/** At most seven points, at whole steps where there are some, far enough apart to be read. */
function labelled(points) {
  const whole = points.filter((point) => Number.isInteger(stepOf(point, points)));
  const from = whole.length > 1 ? whole : points;
  const every = Math.ceil(from.length / 7);
  return from.filter((_, place) => place % every === 0);
}

function spoken(points) {
  const all = rated(points);
  if (!all.length) return "rewards over the steps";
  return `rewards over the steps: ${DIMENSIONS.map(([name, meaning]) => `${meaning} from ${signed(all[0][name])} to ${signed(all.at(-1)[name])}`).join(", ")}`;
}

function ticks(low, high) {
  const rough = (high - low) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * size).find((one) => one >= rough);
  const found = [];
  for (let place = Math.ceil(low / step); place * step <= high + 1e-9; place += 1) found.push(place * step);
  return found;
}

function signed(value) {
  return `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`;
}

function make(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function words(x, y, anchor, text) {
  const made = make("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

function titled(text) {
  const title = make("title", {});
  title.textContent = text;
  return title;
}
