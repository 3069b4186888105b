// Three weights as sliders, as shares of their sum, and as a point of a triangle.

/** Table 5 of "Improving Video Generation with Human Feedback": weights VQ : MQ : TA and the win rates that they gave, in %. */
export const PAPER_POINTS = [
  { weights: [0, 0, 1], wins: [60.6, 46.5, 70.4] },
  { weights: [0.1, 0.1, 0.8], wins: [66.5, 63.7, 60.9] },
  { weights: [0.1, 0.1, 0.6], wins: [68.9, 67.6, 53.3] },
  { weights: [0.5, 0.5, 0], wins: [86.4, 93.2, 26.7] },
];

/** Divided by their sum; a third each when all are 0. */
export function sharesOf(weights) {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => (sum > 0 ? weight / sum : 1 / 3));
}

/**
 * Slider values with these shares and this sum, rounded to the sliders' step so that they still have that sum.
 * A sum that would take the largest one beyond its slider's end is lowered to what fits.
 */
export function weightsOf(shares, sum, step, most) {
  const largest = Math.max(...shares);
  const units = Math.min(Math.round(sum / step), Math.floor(most / step / largest + 1e-6));
  const exact = shares.map((share) => share * units);
  const whole = exact.map((value) => Math.floor(value + 1e-6));
  // What rounding down has left goes to those who lost most.
  const order = [0, 1, 2].sort((a, b) => exact[b] - whole[b] - (exact[a] - whole[a]));
  const left = units - whole.reduce((total, value) => total + value, 0);
  for (const place of order.slice(0, left)) whole[place] += 1;
  return whole.map((value) => Number((value * step).toFixed(6)));
}

/** The point of a triangle with corners [[x, y], ...]. */
export function pointOf(shares, corners) {
  return [0, 1].map((axis) => corners.reduce((total, corner, place) => total + shares[place] * corner[axis], 0));
}

/** Shares of the point of the triangle that is next to (x, y). */
export function sharesAt([x, y], corners) {
  const [[ax, ay], [bx, by], [cx, cy]] = corners;
  const area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy);
  const first = ((by - cy) * (x - cx) + (cx - bx) * (y - cy)) / area;
  const second = ((cy - ay) * (x - cx) + (ax - cx) * (y - cy)) / area;
  const shares = [first, second, 1 - first - second];
  if (Math.min(...shares) >= 0) return shares;
  // Outside: the nearest point of the three edges.
  const near = corners.map((from, place) => {
    const to = corners[(place + 1) % 3];
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const along = Math.min(Math.max(((x - from[0]) * dx + (y - from[1]) * dy) / (dx * dx + dy * dy), 0), 1);
    const found = [0, 0, 0];
    found[place] = 1 - along;
    found[(place + 1) % 3] = along;
    return { found, far: Math.hypot(from[0] + along * dx - x, from[1] + along * dy - y) };
  });
  return near.reduce((best, one) => (one.far < best.far ? one : best)).found;
}

/** Shares after one of them grew by an amount, the other two giving it up in proportion. */
export function grown(shares, place, amount) {
  const now = Math.min(Math.max(shares[place] + amount, 0), 1);
  const rest = 1 - shares[place];
  return shares.map((share, other) => (other === place ? now : rest > 1e-9 ? (share * (1 - now)) / rest : (1 - now) / 2));
}

/** Shares after an amount went from one to another, as far as there is any. */
export function moved(shares, from, to, amount) {
  const step = Math.min(amount, shares[from]);
  return shares.map((share, place) => share + (place === to ? step : place === from ? -step : 0));
}
