// The weights as a point of a triangle with VQ, MQ and TA at its corners, and the paper's points with what they did.
import { DIMENSIONS, element } from "./element.js";
import { PAPER_POINTS, grown, moved, pointOf, sharesAt, sharesOf } from "./weight_shares.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [220, 186];
const CORNERS = [[22, 162], [198, 162], [110, 18]]; // VQ, MQ, TA
const NEAR = 6; // pixels from a paper's point that still mean it
const STEP = 0.05; // of the sum, for a key; with Shift 0.01

/**
 * The picker.
 * @param {{move: function(number[]): void, set: function(number[]): void, begin: function(): void, end: function(): void}} act
 *   move: the person wants these shares, whatever the sum; set: these very weights. A drag, a key or a click lies between begin and end.
 * @returns {{element: HTMLElement, update: function(number[], boolean): void}}
 *   update: show these weights; the second argument tells that they come by wire and cannot be moved here.
 */
export function weightTriangle({ move, set, begin, end }) {
  let shares = [1 / 3, 1 / 3, 1 / 3];
  let fixed = false;
  const inOne = (act) => {
    begin();
    act();
    end();
  };
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: "videoalign-triangle" });
  picture.append(draw("polygon", { points: CORNERS.map((corner) => corner.join()).join(" "), class: "area" }));
  for (const share of [0.25, 0.5, 0.75]) {
    for (const place of [0, 1, 2]) {
      const ends = [1, 2].map((turn) => {
        const at = [0, 0, 0];
        at[place] = share;
        at[(place + turn) % 3] = 1 - share;
        return pointOf(at, CORNERS);
      });
      picture.append(draw("line", { x1: ends[0][0], y1: ends[0][1], x2: ends[1][0], y2: ends[1][1], class: "grid" }));
    }
  }
  const names = [[14, 178, "start"], [206, 178, "end"], [110, 11, "middle"]];
  DIMENSIONS.forEach(([name, meaning], place) => {
    const [x, y, anchor] = names[place];
    const text = draw("text", { x, y, "text-anchor": anchor, class: `corner ${name}` });
    text.textContent = name;
    text.append(titled(meaning));
    picture.append(text);
  });
  PAPER_POINTS.forEach((point, place) => {
    const [x, y] = pointOf(sharesOf(point.weights), CORNERS);
    const side = place % 2 ? 1 : -1; // two of them lie close to each other
    const label = draw("text", { x: x + 14 * side, y: y + 4, "text-anchor": "middle", class: "number" });
    label.textContent = String(place + 1);
    const dot = draw("circle", { cx: x, cy: y, r: 3.5, class: "paper" });
    dot.append(titled(described(point)));
    picture.append(dot, label);
  });
  const handle = draw("g", { class: "handle", tabindex: 0, role: "slider", "aria-label": "Weights of VQ, MQ and TA" });
  handle.append(draw("circle", { r: 8, class: "ring" }), draw("circle", { r: 2, class: "centre" }));
  picture.append(handle);

  const rows = PAPER_POINTS.map((point, place) => {
    const wins = DIMENSIONS.map(([name], which) => element("span", `videoalign-win ${name}${point.wins[which] < 50 ? " loss" : ""}`, point.wins[which].toFixed(1)));
    const row = element("button", "videoalign-point", element("b", "", String(place + 1)), element("span", "", point.weights.join(" : ")), ...wins);
    Object.assign(row, { type: "button", title: described(point) });
    row.addEventListener("click", () => fixed || inOne(() => set(point.weights)));
    return row;
  });
  const head = element("div", "videoalign-point head", element("b", ""), element("span", "", "VQ : MQ : TA"), ...DIMENSIONS.map(([name]) => element("span", `videoalign-win ${name}`, name)));
  const note = element("div", "videoalign-note", "1–4: the paper's points (Table 5), with how often guided clips won over unguided ones there, in %.");
  const root = element("div", "videoalign-picker", picture, element("div", "videoalign-points", head, ...rows, note));

  const position = (event) => {
    const box = picture.getBoundingClientRect(); // as it is on the screen, zoomed with the canvas
    return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
  };
  picture.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // do not move the node
    if (fixed || event.button) return;
    picture.setPointerCapture(event.pointerId);
    begin();
    const over = new AbortController(); // wherever the button is let go, even when the node is gone by then
    for (const last of ["pointerup", "pointercancel"]) {
      window.addEventListener(last, () => (over.abort(), end()), { capture: true, signal: over.signal });
    }
    handle.focus({ preventScroll: true });
    const at = position(event);
    const near = PAPER_POINTS.map((point) => ({ point, far: Math.hypot(...pointOf(sharesOf(point.weights), CORNERS).map((one, axis) => one - at[axis])) }));
    const nearest = near.reduce((best, one) => (one.far < best.far ? one : best));
    if (nearest.far <= NEAR) set(nearest.point.weights);
    else move(sharesAt(at, CORNERS));
  });
  picture.addEventListener("pointermove", (event) => {
    if (!picture.hasPointerCapture(event.pointerId)) return;
    event.stopPropagation();
    if (Math.hypot(event.movementX, event.movementY) > 0) move(sharesAt(position(event), CORNERS));
  });
  picture.addEventListener("mousedown", (event) => event.preventDefault()); // the point keeps the keys
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.01 : STEP;
    const key = {
      ArrowUp: () => move(grown(shares, 2, step)),
      ArrowDown: () => move(grown(shares, 2, -step)),
      ArrowLeft: () => move(moved(shares, 1, 0, step)),
      ArrowRight: () => move(moved(shares, 0, 1, step)),
      Home: () => move([1 / 3, 1 / 3, 1 / 3]),
    }[event.key];
    const point = PAPER_POINTS[Number(event.key) - 1];
    if (!key && !point) return;
    event.preventDefault();
    event.stopPropagation(); // ComfyUI moves the selected node by arrow keys
    if (fixed) return;
    inOne(point ? () => set(point.weights) : key);
  });

  function update(weights, byWire) {
    fixed = byWire;
    shares = sharesOf(weights);
    const [x, y] = pointOf(shares, CORNERS);
    handle.setAttribute("transform", `translate(${x} ${y})`);
    handle.setAttribute("aria-valuetext", DIMENSIONS.map(([name], place) => `${name} ${Math.round(shares[place] * 100)} %`).join(", "));
    handle.setAttribute("aria-valuenow", Math.round(shares[2] * 100));
    handle.setAttribute("aria-disabled", String(fixed));
    root.classList.toggle("fixed", fixed);
    PAPER_POINTS.forEach((point, place) => {
      rows[place].classList.toggle("current", point.weights.every((weight, which) => Math.abs(weight - weights[which]) < 1e-6));
    });
  }

  return { element: root, update };
}

function described({ weights, wins }) {
  const rates = DIMENSIONS.map(([name], place) => `${name} ${wins[place]} %`).join(", ");
  return `VQ : MQ : TA = ${weights.join(" : ")}: guided clips won ${rates} (the paper's Table 5)`;
}

function draw(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function titled(text) {
  const title = draw("title", {});
  title.textContent = text;
  return title;
}
