// Reward Guidance and Reward Trace: the triangle, and the curve that grows while the sampler works.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { traceView } from "./trace_view.js";
import { followWeights } from "./weights_view.js";

const EVENT = "videoalign.reward_trace";
const views = new Map(); // node -> its curve
let listening = false;

/** Reward Guidance: the triangle of its sliders, and the curve. */
export function attachGuidance(node, panel) {
  const weights = followWeights(node, panel);
  const curve = keepCurve(node);
  panel.show([...(weights ? [weights] : []), curve.element]);
}

/** Reward Trace: the curve, live from the guidance node that its wire comes from, and whole after the run. */
export function attachTrace(node, panel) {
  const curve = keepCurve(node);
  panel.show([curve.element]);
  panel.onOutput("videoalign_trace", ([trace]) => trace && curve.replace(trace));
}

function keepCurve(node) {
  if (!listening) {
    listening = true;
    api.addEventListener(EVENT, ({ detail }) => spread(detail));
  }
  const view = traceView();
  views.set(node, view);
  const removed = node.onRemoved;
  node.onRemoved = function (...values) {
    views.delete(node);
    return removed?.apply(this, values);
  };
  return view;
}

function spread(message) {
  const source = nodeOf(String(message.node));
  if (!source) return;
  for (const [node, view] of views) {
    if (node === source || comesFrom(node, source)) view.add(message);
  }
}

/** The node that runs under this id; "3:7" is node 7 of the subgraph that node 3 stands for. */
function nodeOf(id) {
  let graph = app.rootGraph ?? app.graph?.rootGraph ?? app.graph;
  let node = null;
  for (const part of id.split(":")) {
    node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part));
    graph = node?.subgraph;
  }
  return node ?? null;
}

function comesFrom(node, source) {
  const place = node.inputs?.findIndex((input) => input.name === "trace") ?? -1;
  return place >= 0 && node.getInputNode?.(place) === source;
}
