// A video file that is dropped on Score Video becomes its clip: ComfyUI's own Load Video takes the file, wired to the node.

const LOADER = "LoadVideo";
const GAP = 40; // pixels between the two nodes

/** Let a node's input `clip` be filled by a drop. */
export function takeDroppedClip(node) {
  node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file" && item.type.startsWith("video/"));
  node.onDragDrop = async (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length !== 1 || !files[0].type.startsWith("video/")) return false; // ComfyUI's own ways with files
    const place = node.inputs?.findIndex((input) => input.name === "clip") ?? -1;
    const wired = place >= 0 && node.inputs[place].link != null;
    const source = wired ? node.getInputNode(place) : null;
    // A clip that something else makes stays wired: its file is then a node beside it, as anywhere on the canvas.
    if (place < 0 || (wired && source?.comfyClass !== LOADER)) return false;
    const loader = source ?? makeLoader(node);
    if (!loader?.onDragDrop) return false;
    if (!wired) loader.connect(0, node, place);
    event.preventDefault?.();
    return loader.onDragDrop(event); // uploads it, and sets the file
  };
}

function makeLoader(node) {
  const loader = window.LiteGraph?.createNode(LOADER);
  if (!loader) return null;
  loader.pos = [node.pos[0] - loader.size[0] - GAP, node.pos[1]];
  node.graph.add(loader);
  return loader;
}
