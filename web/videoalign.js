// Pictures in the pack's nodes. The nodes' widgets and outputs are the truth; without this file everything still works.
import { app } from "../../scripts/app.js";
import { attachChoices } from "./choose_node.js";
import { addPanel } from "./panel.js";
import { drawRanking } from "./ranking_view.js";
import { drawSaved, drawScores } from "./scores_view.js";
import { followWeights } from "./weights_view.js";

// Node id -> key of its output, and what draws that output into the panel.
const VIEWS = {
  VideoAlignScoreVideo: { key: "videoalign_scores", draw: drawScores },
  VideoAlignLoadScores: { key: "videoalign_scores", draw: drawScores },
  VideoAlignPickBest: { key: "videoalign_ranking", draw: drawRanking },
  VideoAlignSaveScores: { key: "videoalign_saved", draw: drawSaved },
};

function attach(node) {
  if (node.comfyClass === "VideoAlignRewardWeights") {
    followWeights(node, addPanel(node));
    return;
  }
  if (node.comfyClass === "VideoAlignChoosePair") {
    attachChoices(node, addPanel(node));
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
