// A colour for each of the pack's own wires: without one all are grey.
import { app } from "../../scripts/app.js";

const COLOURS = {
  VIDEOALIGN_REWARD: "#e2a84b",
  VIDEOALIGN_LATENT_REWARD: "#e07b53",
  VIDEOALIGN_SCORES: "#58b883",
  VIDEOALIGN_WEIGHTS: "#6aa9de",
  VIDEOALIGN_RULES: "#d98bb0",
  VIDEOALIGN_TRACE: "#b48ee0",
};

/** Colour the sockets and wires, now and after ComfyUI has set those of another palette. */
export function colourSockets() {
  colour();
  app.ui?.settings?.addEventListener?.("Comfy.ColorPalette.change", () => setTimeout(colour, 200));
}

/** Again, where a graph was loaded: a palette that comes late forgets what it does not know. */
export function colour() {
  const canvas = window.LGraphCanvas ?? app.canvas?.constructor;
  for (const [type, value] of Object.entries(COLOURS)) {
    if (canvas?.link_type_colors) canvas.link_type_colors[type] = value;
    if (app.canvas?.default_connection_color_byType) app.canvas.default_connection_color_byType[type] = value;
    document.documentElement.style.setProperty(`--color-datatype-${type}`, value); // Nodes 2.0
  }
  app.canvas?.setDirty?.(true, true);
}
