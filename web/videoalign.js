// Pictures in the pack's nodes. The nodes' widgets and outputs are the truth; without this file everything still works.
import { app } from "../../scripts/app.js";
import { attachChoices } from "./choose_node.js";
import { attachGuidance, attachTrace } from "./guidance_nodes.js";
import { addPanel } from "./panel.js";
import { drawRanking } from "./ranking_view.js";
import { drawSaved, drawScores } from "./scores_view.js";
import { attachWeights } from "./weights_view.js";

// Node id -> key of its output, and what draws that output into the panel.
const VIEWS = {
  VideoAlignScoreVideo: { key: "videoalign_scores", draw: drawScores },
  VideoAlignLoadScores: { key: "videoalign_scores", draw: drawScores },
  VideoAlignPickBest: { key: "videoalign_ranking", draw: drawRanking },
  VideoAlignSaveScores: { key: "videoalign_saved", draw: drawSaved },
};

// Node id -> what fills its panel by itself.
const ATTACHED = {
  VideoAlignRewardWeights: attachWeights,
  VideoAlignRewardGuidance: attachGuidance,
  VideoAlignRewardTrace: attachTrace,
  VideoAlignChoosePair: attachChoices,
};

function attach(node) {
  const attachTo = ATTACHED[node.comfyClass];
  if (attachTo) {
    attachTo(node, addPanel(node));
    return;
  }
  const view = VIEWS[node.comfyClass];
  if (!view) return;
  const panel = addPanel(node);
  panel.onOutput(view.key, (entries) => panel.show(view.draw(entries)));
}

app.registerExtension({
  name: "videoalign.Pictures",
  nodeCreated: attach,
});
