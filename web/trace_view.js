// The rewards over a sampling run: three curves over the noise level, from pure noise on the left to the clean clip.
import { DIMENSIONS, element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [420, 170];
const AREA = { left: 34, right: WIDTH - 8, top: 8, bottom: HEIGHT - 34 }; // below it: how much each step was moved

/**
 * A picture that grows point by point.
 * @returns {{element: HTMLElement, add: function(object): void, replace: function(object): void}}
 *   add: a live message {run, index, point}; index -1 begins a run. replace: a whole trace {run, points, ...}.
 */
export function traceView() {
  const root = element("div", "videoalign-trace");
  let run = null;
  let points = [];
  let about = null;

  function add(message) {
    if (message.run !== run || message.index < 0) {
      run = message.run;
      points = [];
      about = null;
    }
    if (message.point) points[message.index] = message.point;
    draw();
  }

  function replace(trace) {
    ({ run, points } = trace);
    about = trace;
    draw();
  }

  function draw() {
    const there = points.filter(Boolean);
    const rated = there.filter((point) => point.VQ !== null && point.VQ !== undefined);
    root.dataset.points = String(there.length);
    if (!there.length) {
      root.replaceChildren(element("div", "videoalign-note", run === null ? "The rewards appear here while the guided model samples." : "Sampling begins: the first step, pure noise, is not guided."));
      return;
    }
    const last = rated[rated.length - 1];
    const legend = DIMENSIONS.map(([name, meaning]) => {
      const entry = element("span", "videoalign-legend", element("i", name), `${name} `, element("b", "", last ? signed(last[name]) : "–"));
      entry.title = `${meaning} at the last step, as the latent reward model sees the unfinished clip`;
      return entry;
    });
    const seconds = there.reduce((total, point) => total + (point.seconds ?? 0), 0);
    const capped = there.filter((point) => point.capped).length;
    const facts = [`${there.length} evaluations`, `${seconds.toFixed(1)} s`];
    if (about) facts.push(`strength ${Number(about.strength.toFixed(3))} (${about.strength_mode})`);
    if (capped) facts.push(`${capped} capped`);
    root.replaceChildren(
      element("div", "videoalign-legends", ...legend, element("span", "videoalign-note", facts.join(" · "))),
      picture(there, rated),
    );
  }

  draw();
  return { element: root, add, replace };
}

function picture(points, rated) {
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "videoalign-curve", role: "img", "aria-label": "rewards over the noise level" });
  const values = rated.flatMap((point) => DIMENSIONS.map(([name]) => point[name]));
  let [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
  if (high - low < 0.5) [low, high] = [(low + high) / 2 - 0.25, (low + high) / 2 + 0.25];
  const x = (sigma) => AREA.left + (1 - sigma) * (AREA.right - AREA.left);
  const y = (value) => AREA.bottom - ((value - low) / (high - low)) * (AREA.bottom - AREA.top);
  for (const value of ticks(low, high)) {
    svg.append(make("line", { x1: AREA.left, x2: AREA.right, y1: y(value), y2: y(value), class: value === 0 ? "zero" : "grid" }));
    svg.append(words(AREA.left - 5, y(value) + 3.5, "end", String(Number(value.toFixed(2))).replace("-", "−")));
  }
  for (const sigma of [1, 0.75, 0.5, 0.25, 0]) {
    svg.append(make("line", { x1: x(sigma), x2: x(sigma), y1: AREA.top, y2: AREA.bottom, class: "grid" }));
    svg.append(words(x(sigma), HEIGHT - 3, sigma === 1 ? "start" : sigma === 0 ? "end" : "middle", sigma === 1 ? "1 noise" : sigma === 0 ? "clip 0" : String(sigma)));
  }
  const most = Math.max(...points.map((point) => point.shift_ratio ?? 0), 1e-9);
  for (const point of points) {
    const height = (16 * (point.shift_ratio ?? 0)) / most;
    const bar = make("rect", { x: x(point.sigma) - 1.5, y: HEIGHT - 15 - height, width: 3, height, class: point.capped ? "shift capped" : "shift" });
    bar.append(titled(`σ ${point.sigma.toFixed(3)}: the prediction was moved by ${((point.shift_ratio ?? 0) * 100).toFixed(1)} %${point.capped ? ", cut by the cap" : ""}`));
    svg.append(bar);
  }
  for (const [name] of DIMENSIONS) {
    svg.append(make("polyline", { points: rated.map((point) => `${x(point.sigma).toFixed(1)},${y(point[name]).toFixed(1)}`).join(" "), class: `curve ${name}` }));
    for (const point of rated) {
      const dot = make("circle", { cx: x(point.sigma), cy: y(point[name]), r: rated.length > 60 ? 1 : 2, class: `dot ${name}` });
      dot.append(titled(`${name} ${signed(point[name])} at σ ${point.sigma.toFixed(3)}${point.model === "model_low_noise" ? ", low-noise expert" : ""}`));
      svg.append(dot);
    }
  }
  return svg;
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
