// The three weights as shares of a bar, following the sliders; a preset moves the sliders, a slider leaves the preset.
import { DIMENSIONS, element } from "./elements.js";
import { chain } from "./panel.js";

const CUSTOM = "custom (the sliders)";

/** Connect a Reward Weights node's widgets with its panel. */
export function followWeights(node, panel) {
  const widget = (name) => node.widgets?.find((one) => one.name === name);
  const sliders = DIMENSIONS.map(([name]) => widget(name));
  const preset = widget("preset");
  if (!preset || sliders.includes(undefined)) return;
  let settling = false;

  const draw = () => panel.show(drawShares(presetValues(preset.value) ?? sliders.map((slider) => Number(slider.value))));

  chain(preset, "callback", () => {
    const values = presetValues(preset.value);
    if (values && !settling) {
      settling = true;
      sliders.forEach((slider, place) => {
        slider.value = values[place];
        slider.callback?.(values[place]);
      });
      settling = false;
    }
    draw();
  });
  for (const slider of sliders) {
    chain(slider, "callback", () => {
      if (settling) return;
      const values = presetValues(preset.value);
      if (values && sliders.some((one, place) => Number(one.value) !== values[place])) preset.value = CUSTOM;
      draw();
    });
  }
  chain(node, "onConfigure", draw);
  // Weights that arrive by wire are known after a run.
  panel.onOutput("videoalign_weights", ([weights]) => panel.show(drawShares(Object.values(weights.as_given))));
  draw();
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
  return [element("div", "videoalign-shares", ...parts), element("div", "videoalign-note", `divided by their sum: ${note}`)];
}
