// What a node showed last comes back: from ComfyUI's own outputs after a switch of workflow tabs and after an undo, from a small
// copy in the node's properties after a reload of the page, and from the server's history when the run ended unheard (`runs.js`).
import { app } from "../../scripts/app.js";
import { locatorOf, nodeOf, rootGraph } from "./graph_nodes.js";
import { isOpen, workflowOf } from "./runs.js";

const PROPERTY = "videoalign_shown";
const followers = new Set(); // {node, key, draw, drawAgain, keep}

/**
 * Call a function with the node's output of a key: after each run, and when an earlier run's output comes back.
 * @param {function(object[]): void} show draws it.
 * @param {function(object[]): object[]} shorten what is kept in the workflow file; small, of plain values.
 */
export function followOutput(node, key, show, shorten = (entries) => entries) {
  let shown = null;
  const follower = {
    node,
    key,
    draw: (entries) => show((shown = entries)),
    // What is there already stays: whoever is about to click in it would click into the void.
    drawAgain: (entries) => !same(entries, shown) && show((shown = entries)),
    keep: (entries) => keepResult(node, key, shorten(entries)),
  };
  followers.add(follower);
  chain(node, "onRemoved", () => followers.delete(follower));
  chain(node, "onExecuted", (output) => {
    // ComfyUI tells a node of the open workflow of another workflow's run, too, where it has the other node's id.
    if (!Array.isArray(output?.[key]) || !isOpen(workflowOf())) return;
    follower.draw(output[key]);
    follower.keep(output[key]);
  });
  chain(node, "onConfigure", () => restore(follower));
}

/** For the hook of the same name: ComfyUI has put the outputs of a workflow back. */
export function nodeOutputsUpdated() {
  for (const follower of followers) restore(follower);
}

/**
 * Draw outputs that no node was told of, {execution id: {type, output}}, of the open workflow, and keep them as if one had been.
 * @returns {Promise<boolean>} false: another workflow has been opened in the meantime.
 */
export async function showOutputs(outputs) {
  const { id: open } = rootGraph();
  // ComfyUI has the graph before it knows which of its workflows that is.
  for (let tries = 0; tries < 50 && openState()?.id !== open; tries += 1) await new Promise((done) => setTimeout(done, 100));
  if (rootGraph().id !== open) return false;
  for (const [id, { type, output }] of Object.entries(outputs)) {
    const node = nodeOf(id);
    if (node?.comfyClass !== type) continue; // another node has its id by now
    for (const follower of followers) {
      const entries = follower.node === node ? output[follower.key] : null;
      if (!Array.isArray(entries)) continue;
      const locator = locatorOf(node);
      if (app.nodeOutputs) app.nodeOutputs[locator] = { ...app.nodeOutputs[locator], [follower.key]: entries };
      follower.drawAgain(entries);
      follower.keep(entries);
    }
  }
  return true;
}

function same(entries, others) {
  return entries === others || (others !== null && JSON.stringify(entries) === JSON.stringify(others));
}

function restore({ node, key, drawAgain }) {
  const entries = app.nodeOutputs?.[locatorOf(node)]?.[key] ?? node.properties?.[PROPERTY]?.[key];
  if (Array.isArray(entries)) drawAgain(entries);
}

/** Put plain values into the node, for ``followOutput`` after a reload. */
export function keepResult(node, key, entries) {
  const copy = JSON.parse(JSON.stringify(entries));
  node.properties ??= {};
  node.properties[PROPERTY] = { ...node.properties[PROPERTY], [key]: copy };
  // Also in the state that ComfyUI compares with and restores after a reload: a run is not a step to be undone.
  const state = openState();
  const saved = state?.id === rootGraph()?.id ? savedNode(state, node) : null; // while a workflow is opened the state is the last one's
  if (!saved) return;
  saved.properties = { ...saved.properties, [PROPERTY]: JSON.parse(JSON.stringify(node.properties[PROPERTY])) };
  tracker().updateModified?.();
}

const tracker = () => app.extensionManager?.workflow?.activeWorkflow?.changeTracker;

/** The open workflow as ComfyUI keeps it. */
const openState = () => tracker()?.activeState;

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
