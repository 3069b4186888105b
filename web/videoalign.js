// Pictures in the pack's nodes. The nodes' widgets and outputs are the truth; without this file everything still works.
import { app } from "../../scripts/app.js";
import { attachChoices } from "./choose_node.js";
import { attachComparison } from "./compare_node.js";
import { takeDroppedClip } from "./dropped_clip.js";
import { attachGuidance, attachTrace, listenToTraces } from "./guidance_nodes.js";
import { nodeOutputsUpdated, showOutputs } from "./kept_results.js";
import { foldLinkedTexts } from "./linked_texts.js";
import { withMarksOnce } from "./marks.js";
import { addPanel } from "./panel.js";
import { drawRanking, labelGates } from "./ranking_view.js";
import { followRuns, showMissed } from "./runs.js";
import { drawSaved, drawScores } from "./scores_view.js";
import { colour, colourSockets } from "./socket_colours.js";
import { attachWeights } from "./weights_view.js";

const MOST_KEPT = 24; // clips of a node that a workflow file keeps

/** The first clips of a list of scores. */
const firstClips = (clips) => withMarksOnce(clips.slice(0, MOST_KEPT));

/** A ranking's first clips, and how many there were. */
const bestClips = ([ranking]) =>
  ranking ? [{ ...ranking, clips: firstClips(ranking.clips), count: ranking.count ?? ranking.clips.length }] : [];

// Node id -> key of its output, what draws that output into the panel, and what of it is kept.
const VIEWS = {
  VideoAlignScoreVideo: { key: "videoalign_scores", draw: drawScores, shorten: firstClips, attach: takeDroppedClip },
  VideoAlignLoadScores: { key: "videoalign_scores", draw: drawScores, shorten: firstClips },
  VideoAlignPickBest: { key: "videoalign_ranking", draw: drawRanking, shorten: bestClips, attach: labelGates },
  VideoAlignSearchSeeds: { key: "videoalign_ranking", draw: drawRanking, shorten: bestClips },
  VideoAlignSaveScores: { key: "videoalign_saved", draw: drawSaved },
};

// Node id -> what fills its panel by itself.
const ATTACHED = {
  VideoAlignRewardWeights: attachWeights,
  VideoAlignRewardGuidance: attachGuidance,
  VideoAlignRewardTrace: attachTrace,
  VideoAlignChoosePair: attachChoices,
  VideoAlignCompareClips: attachComparison,
};

function attach(node) {
  if (node.comfyClass?.startsWith("VideoAlign")) foldLinkedTexts(node);
  const attachTo = ATTACHED[node.comfyClass];
  if (attachTo) {
    attachTo(node, addPanel(node));
    return;
  }
  const view = VIEWS[node.comfyClass];
  if (!view) return;
  const panel = addPanel(node);
  panel.onOutput(view.key, (entries) => panel.show(view.draw(entries, node)), view.shorten);
  view.attach?.(node);
}

app.registerExtension({
  name: "videoalign.Pictures",
  setup() {
    colourSockets();
    followRuns(showOutputs);
    return listenToTraces();
  },
  afterConfigureGraph() {
    colour();
    showMissed();
  },
  nodeCreated: attach,
  onNodeOutputsUpdated: nodeOutputsUpdated,
});
