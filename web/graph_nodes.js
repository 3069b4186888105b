// A node's names: the id that it runs under, and the one that ComfyUI keeps its outputs by.
import { app } from "../../scripts/app.js";

/** The graph that all subgraphs are part of. */
export const rootGraph = () => app.rootGraph ?? app.graph?.rootGraph ?? app.graph;

/** The node that runs under this id; "3:7" is node 7 of the subgraph that node 3 stands for. */
export function nodeOf(id) {
  let graph = rootGraph();
  let node = null;
  for (const part of id.split(":")) {
    node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part));
    graph = node?.subgraph;
  }
  return node ?? null;
}

/** ComfyUI's name of a node in its outputs: of one in a subgraph, with the subgraph's id in front. */
export function locatorOf(node) {
  const graph = node.graph;
  const root = app.rootGraph ?? graph?.rootGraph ?? app.graph;
  return graph && graph !== root && graph.id ? `${graph.id}:${node.id}` : String(node.id);
}
