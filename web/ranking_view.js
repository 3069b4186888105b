// The ranking: the best clips in full, the others as lines that open; any of them can be played, and chosen in the winner's place.
import { DIMENSIONS, clipTitle, element, filmstrip, inSigma, scoreBar, scoreBars } from "./elements.js";
import { chain } from "./kept_results.js";
import { allMarks, markText, marksOf, ownName, reasons, refusals, withMarksEach } from "./marks.js";
import { compareCandidates } from "./ranking_compare.js";

const COMPARE_STYLE = new URL("./compare.css", import.meta.url).href;
const IN_FULL = 3; // places; the others are lines until they are opened
const USE_THIS = "use_this";
const MOST_IN_A_LINE = 3; // marks

/** Entries of `videoalign_ranking`: one ranking, of Search Seeds with a `summary`. `node` is the node itself. */
export function drawRanking([shown], node) {
  if (!shown) return [];
  const ranking = { ...shown, clips: withMarksEach(shown.clips) };
  const widget = node.widgets?.find((one) => one.name === USE_THIS);
  const places = element("div", "videoalign-places");
  places.setAttribute("role", "list");
  let order = "total";
  let rows = [];
  let two = []; // the candidates that are compared, by their use_this
  let view = null;
  const compared = element("div", "videoalign-compared");

  function fill() {
    const clips = [...ranking.clips];
    if (order !== "total") clips.sort((a, b) => meritOf(b, order) - meritOf(a, order));
    rows = clips.map((clip, place) => placeOf(clip, place < IN_FULL || clip.picked, choose, compare, ranking));
    places.replaceChildren(...rows.map((row) => row.element));
    mark();
  }

  function choose(clip) {
    if (!widget) return;
    widget.value = widget.value === clip.use_this ? "" : clip.use_this;
    widget.callback?.(widget.value);
    node.setDirtyCanvas?.(true, true);
    mark();
  }

  function compare(clip) {
    two = two.includes(clip.use_this) ? two.filter((one) => one !== clip.use_this) : [...two, clip.use_this].slice(-2);
    view?.close();
    view = null;
    compared.replaceChildren();
    if (two.length === 2) {
      const [a, b] = two.map((one) => ranking.clips.find((other) => other.use_this === one));
      const style = Object.assign(element("link", ""), { rel: "stylesheet", href: COMPARE_STYLE });
      view = compareCandidates(a, b, ranking.by_z);
      compared.replaceChildren(style, view.element);
    } else if (two.length === 1) compared.replaceChildren(element("div", "videoalign-note", "Choose another candidate to compare it with."));
    mark();
  }

  function mark() {
    const wanted = String(widget?.value ?? "").trim();
    for (const row of rows) row.mark(wanted, two);
    const asked = ranking.clips.find((clip) => clip.use_this === wanted);
    const handedOn = ranking.clips.find((clip) => clip.picked);
    const changed = Boolean(asked) !== Boolean(handedOn) || (asked && !asked.picked);
    pending.hidden = !changed;
    pending.textContent = asked ? `Your choice: ${asked.title}. Run again to hand it on.` : "Run again to hand on the best clip.";
  }

  const pending = element("div", "videoalign-pending");
  pending.setAttribute("role", "status");
  const shares = Object.entries(ranking.weights).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
  const count = ranking.count ?? ranking.clips.length;
  const head = element("div", "videoalign-rankhead", element("span", "videoalign-note", `Total = weighted mean${ranking.by_z ? " of z-scores" : ""}: ${shares.join(" · ")}`));
  if (ranking.by_z) head.title = "z: standard deviations above the mean of these candidates, more is always better";
  if (count > 2) head.append(orderPicker(["total", ...counted(ranking)], (chosen) => ((order = chosen), fill())));
  fill();
  const missing = count - ranking.clips.length;
  return [
    head,
    ...(ranking.summary ? [element("div", "videoalign-note videoalign-summary", ranking.summary)] : []),
    ...ranking.notes.map((note) => element("div", "videoalign-warning", note)),
    pending,
    compared,
    places,
    ...(missing > 0 ? [element("div", "videoalign-note", `and ${missing} more; run again to see all`)] : []),
    ...(count > IN_FULL ? [element("div", "videoalign-note", `${count} candidates; a click on a line opens it`)] : []),
  ];
}

/** Names of the marks that a ranking is about: VideoReward's three, or those with a weight. */
const counted = (ranking) => (ranking.clips[0]?.marks ? Object.keys(ranking.weights) : DIMENSIONS.map(([name]) => name));

function meritOf(clip, name) {
  const value = clip[name] ?? null;
  if (value === null) return -Infinity;
  return marksOf(clip).get(name)?.higher_is_better === false ? -value : value;
}

function orderPicker(names, pick) {
  const select = element("select", "videoalign-order", ...names.map((name) => Object.assign(element("option", "", name), { value: name })));
  select.onchange = () => pick(select.value);
  const label = element("label", "videoalign-note", "sort by ", select);
  return label;
}

function placeOf(clip, open, choose, compare, ranking) {
  const root = element("div", "videoalign-ranked");
  root.setAttribute("role", "listitem");
  const use = element("button", "videoalign-use");
  use.type = "button";
  use.onclick = (event) => {
    event.stopPropagation();
    choose(clip);
  };
  const against = element("button", "videoalign-use videoalign-against", "compare");
  against.type = "button";
  against.title = "play this clip beside another candidate, in step";
  against.onclick = (event) => {
    event.stopPropagation();
    compare(clip);
  };
  let opened = open;

  function draw() {
    root.classList.toggle("line", !opened);
    root.replaceChildren(...(opened ? inFull(clip, use, against, ranking) : inALine(clip, use, against, ranking, () => ((opened = true), draw()))));
  }

  function mark(wanted, two) {
    against.setAttribute("aria-pressed", String(two.includes(clip.use_this)));
    against.setAttribute("aria-label", `compare ${clip.title}`);
    const mine = wanted !== "" && wanted === clip.use_this;
    const state = clip.picked ? "picked" : clip.rank === 1 && clip.chosen ? "winner" : clip.chosen ? "chosen" : "rejected";
    root.className = `videoalign-ranked ${state}${opened ? "" : " line"}${mine ? " mine" : ""}`;
    use.textContent = mine ? "✓ your choice" : "use this one";
    use.title = mine ? "take your choice back: the best clip is handed on" : "hand this clip on in the winner's place, whatever the scores say";
    use.setAttribute("aria-pressed", String(mine));
    use.setAttribute("aria-label", `${use.textContent}: ${clip.title}`);
  }

  draw();
  return { element: root, mark };
}

function inFull(clip, use, against, ranking) {
  const badge = clip.picked ? "YOURS" : clip.rank === 1 && clip.chosen ? "BEST" : "";
  const place = element(
    "div",
    "videoalign-place",
    element("div", "videoalign-rank", rankOf(clip)),
    element("div", "videoalign-total", totalOf(clip, ranking)),
    ...(badge ? [element("div", "videoalign-best", badge)] : []),
    use,
    ...(clip.play ? [against] : []),
  );
  const body = element("div", "videoalign-body", clipTitle(clip), ...filmstrip(clip));
  body.append(...marksInFull(clip, ranking));
  if (clip.why) body.append(element("div", "videoalign-note", clip.why));
  for (const reason of clip.gate_failures) body.append(element("div", "videoalign-warning", reason));
  return [place, body];
}

/** What counts first: VideoReward's bars, or a bar of the z-score of each mark with weight; reasons; then, folded, all that the judges say. */
function marksInFull(clip, ranking) {
  if (!clip.marks) return allMarks(clip);
  const known = marksOf(clip);
  const bars = ranking.by_z
    ? Object.keys(ranking.weights).map((name) => zBar(known.get(name) ?? { name, meaning: name, unit: "" }, clip))
    : [scoreBars(clip)];
  const every = element("details", "videoalign-every", element("summary", "", "all marks"), ...allMarks({ ...clip, errors: {} }));
  return [...refusals(clip), ...bars, ...reasons(clip), every];
}

function zBar(mark, clip) {
  const z = clip.z?.[mark.name] ?? null;
  const row = scoreBar(ownName(mark.name), mark.meaning, z);
  const value = clip[mark.name] ?? null;
  row.classList.add("videoalign-zbar");
  row.lastElementChild.textContent = markText(mark, value);
  const where = z === null ? "not compared" : `${inZ(z)} among the candidates`;
  row.title = `${mark.name}: ${mark.meaning}, ${markText(mark, value)}${mark.unit && mark.unit !== "σ" ? ` (${mark.unit})` : ""}; ${where}`;
  row.setAttribute("aria-valuetext", `${markText(mark, value)}, ${where}`);
  return row;
}

const inZ = (value) => (value === null || value === undefined ? "–" : inSigma(value).replace("σ", "z"));
const totalOf = (clip, ranking) => (ranking.by_z ? inZ(clip.total) : inSigma(clip.total));

function inALine(clip, use, against, ranking, open) {
  const known = marksOf(clip);
  const marks = counted(ranking).slice(0, MOST_IN_A_LINE).map((name) => element("span", "videoalign-mark", `${ownName(name)} ${markText(known.get(name), clip[name])}`));
  const line = element(
    "button",
    "videoalign-open",
    element("b", "", rankOf(clip)),
    element("span", "videoalign-total", totalOf(clip, ranking)),
    element("span", "videoalign-title", clip.title ?? clip.name),
    ...marks,
  );
  line.type = "button";
  line.title = [clip.why, ...clip.gate_failures].filter(Boolean).join("\n");
  line.setAttribute("aria-label", `open ${clip.title ?? clip.name}, ${rankOf(clip)}, ${totalOf(clip, ranking)}`);
  line.onclick = open;
  return [...filmstrip({ ...clip, frames: clip.frames?.slice(0, 1) }), line, ...(clip.play ? [against] : []), use];
}

const rankOf = (clip) => (clip.rank === null ? "out" : `#${clip.rank}`);

/** Gates that are off say so: their widgets' numbers look like settings. */
export function labelGates(node) {
  for (const widget of node.widgets ?? []) {
    if (!widget.name.startsWith("min_")) continue;
    const label = () => (widget.label = widget.value <= (widget.options?.min ?? -10) ? `${widget.name} (off)` : widget.name);
    chain(widget, "callback", label);
    chain(node, "onConfigure", label);
    label();
  }
}
