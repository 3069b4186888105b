// What a node showed last comes back: from ComfyUI's own outputs after a switch of workflow tabs and after an undo, and from a
// small copy in the node's properties after a reload of the page.
import { app } from "../../scripts/app.js";

const PROPERTY = "videoalign_shown";
const followers = new Set(); // {node, key, show}

/**
 * Call a function with the node's output of a key: after each run, and when an earlier run's output comes back.
 * @param {function(object[]): void} show draws it.
 * @param {function(object[]): object[]} shorten what is kept in the workflow file; small, of plain values.
 */
export function followOutput(node, key, show, shorten = (entries) => entries) {
  let shown = null; // the very object that is drawn, or its copy's text
  const follower = { node, key, draw: (entries) => entries !== shown && show((shown = entries)) };
  followers.add(follower);
  chain(node, "onRemoved", () => followers.delete(follower));
  chain(node, "onExecuted", (output) => {
    if (!Array.isArray(output?.[key])) return;
    follower.draw(output[key]);
    keepResult(node, key, shorten(output[key]));
  });
  chain(node, "onConfigure", () => restore(follower));
}

/** For the hook of the same name: ComfyUI has put the outputs of a workflow back. */
export function nodeOutputsUpdated() {
  for (const follower of followers) restore(follower);
}

function restore({ node, key, draw }) {
  const entries = app.nodeOutputs?.[locatorOf(node)]?.[key] ?? node.properties?.[PROPERTY]?.[key];
  if (Array.isArray(entries)) draw(entries);
}

/** ComfyUI's name of a node in its outputs: of one in a subgraph, with the subgraph's id in front. */
function locatorOf(node) {
  const graph = node.graph;
  const root = app.rootGraph ?? graph?.rootGraph ?? app.graph;
  return graph && graph !== root && graph.id ? `${graph.id}:${node.id}` : String(node.id);
}

/** Put plain values into the node, for ``followOutput`` after a reload. */
export function keepResult(node, key, entries) {
  const copy = JSON.parse(JSON.stringify(entries));
  node.properties ??= {};
  node.properties[PROPERTY] = { ...node.properties[PROPERTY], [key]: copy };
  // Also in the state that ComfyUI compares with and restores after a reload: a run is not a step to be undone.
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  const saved = savedNode(tracker?.activeState, node);
  if (!saved) return;
  saved.properties = { ...saved.properties, [PROPERTY]: JSON.parse(JSON.stringify(node.properties[PROPERTY])) };
  tracker.updateModified?.();
}

function savedNode(state, node) {
  const inner = state?.definitions?.subgraphs?.find((one) => one.id === node.graph?.id);
  return (inner ?? state)?.nodes?.find((one) => String(one.id) === String(node.id));
}

/** Call a function after one of an object's own methods. */
export function chain(owner, method, after) {
  const before = owner[method];
  owner[method] = function (...values) {
    const result = before?.apply(this, values);
    after.apply(this, values);
    return result;
  };
}
