// The three weights as a point of a triangle and as shares of a bar. The sliders are the truth: the triangle moves them
// and follows them; a preset moves them, and where they come to stand on a preset's values its name is shown.
import { app } from "../../scripts/app.js";
import { DIMENSIONS, element } from "./element.js";
import { chain } from "./kept_results.js";
import { weightsOf } from "./weight_shares.js";
import { weightTriangle } from "./weight_triangle.js";

const CUSTOM = "custom (the sliders)";

/** Reward Weights: the triangle fills the panel. */
export function attachWeights(node, panel) {
  const view = followWeights(node, panel);
  if (view) panel.show([view]);
}

/**
 * Connect a node's widgets VQ, MQ and TA (and preset, where it has one) with its panel.
 * @returns {HTMLElement | null} what was made, for a panel that shows more than this; null where the widgets are missing.
 */
export function followWeights(node, panel) {
  const widget = (name) => node.widgets?.find((one) => one.name === name);
  const sliders = DIMENSIONS.map(([name]) => widget(name));
  const preset = widget("preset");
  if (sliders.includes(undefined)) return null;
  let settling = false;
  let held = 0; // the sum that moving the point keeps; where a corner cannot hold it, it comes back farther inside

  const step = Number(sliders[0].options?.step2 ?? 0.01);
  const most = Math.min(...sliders.map((slider) => Number(slider.options?.max ?? 1)));
  const onSliders = () => sliders.map((slider) => Number(slider.value));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const byWire = () => node.inputs?.some((input) => input.name === "weights" && input.link != null) ?? false;

  const triangle = weightTriangle({
    move: (shares) => moveSliders(weightsOf(shares, held || 1, step, most), held || 1),
    set: (weights) => moveSliders(weights),
    begin: () => app.canvas?.emitBeforeChange?.(), // ComfyUI's undo takes what lies between as one step
    end: () => app.canvas?.emitAfterChange?.(),
  });
  const shares = element("div", "");
  const view = element("div", "", triangle.element, shares);

  /** The preset with these very values, or that there is none. */
  function presetOf(values) {
    const names = [preset.value, ...(preset.options?.values ?? [])]; // of two with the same values the one that is chosen
    return names.find((name) => presetValues(name)?.every((one, place) => Math.abs(one - values[place]) < 1e-6)) ?? CUSTOM;
  }

  function draw(values = presetValues(preset?.value) ?? onSliders()) {
    triangle.update(values, byWire());
    shares.replaceChildren(...drawShares(values));
    if (byWire()) shares.append(element("div", "videoalign-note", "weights is connected: its values are used, not these sliders."));
  }

  function moveTo(values) {
    settling = true;
    sliders.forEach((slider, place) => {
      if (Number(slider.value) === values[place]) return;
      slider.value = values[place];
      slider.callback?.(values[place]);
    });
    settling = false;
  }

  function moveSliders(values, keep = sum(values)) {
    settling = true;
    moveTo(values);
    settling = true;
    if (preset) {
      preset.value = presetOf(values);
      preset.callback?.(preset.value);
    }
    settling = false;
    held = keep;
    draw();
    node.setDirtyCanvas?.(true, true);
  }

  if (preset) {
    chain(preset, "callback", () => {
      if (settling) return;
      const values = presetValues(preset.value);
      if (values) {
        moveTo(values);
        held = sum(values);
      }
      draw();
    });
  }
  for (const slider of sliders) {
    chain(slider, "callback", () => {
      if (settling) return;
      if (preset) preset.value = presetOf(onSliders());
      held = sum(onSliders());
      draw();
    });
  }
  const anew = () => {
    held = sum(presetValues(preset?.value) ?? onSliders());
    draw();
  };
  chain(node, "onConfigure", anew);
  chain(node, "onConnectionsChange", () => setTimeout(anew)); // after the wire is there, or gone
  // Weights that arrive by wire are known after a run.
  panel.onOutput("videoalign_weights", ([weights]) => draw(Object.values(weights.as_given)));
  if (preset) preset.value = presetOf(onSliders()); // of a new node; one from a file has its own put over it
  anew();
  return view;
}

// A preset's name ends in its three values, "0.1 : 0.1 : 0.8".
function presetValues(name) {
  const found = /([\d.]+) : ([\d.]+) : ([\d.]+)$/.exec(String(name));
  return found ? found.slice(1).map(Number) : null;
}

function drawShares(values) {
  const sum = values.reduce((total, value) => total + value, 0);
  if (!(sum > 0)) return [element("div", "videoalign-warning", "All three weights are 0: nothing would count. Raise one of them.")];
  const parts = DIMENSIONS.map(([name, meaning], place) => {
    const share = values[place] / sum;
    const label = `${name} ${Math.round(share * 100)} %`;
    const part = element("span", `videoalign-share ${name}`, share >= 0.16 ? label : "");
    part.style.flexGrow = share;
    part.title = `${meaning}: ${values[place]} as given, ${label} of the sum`;
    return part;
  });
  const note = DIMENSIONS.map(([name], place) => `${name} ${(values[place] / sum).toFixed(2)}`).join(" : ");
  return [element("div", "videoalign-shares", ...parts), element("div", "videoalign-note", `sum ${Number(sum.toFixed(4))}, divided by it: ${note}`)];
}
