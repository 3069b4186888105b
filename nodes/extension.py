"""The pack's nodes, and where ComfyUI keeps their models."""

from __future__ import annotations

from .choice_routes import register_choice_routes
from .choose_pair_node import ChoosePair
from .clip_routes import register_clip_routes
from .comfy_compat import ComfyExtension, register_model_folder
from .compare_clips_node import CompareClips
from .latent_reward_models import FOLDER as LATENT_FOLDER
from .load_judge_node import LoadJudge, Measurements
from .load_latent_reward_node import LoadLatentReward
from .load_video_reward_node import LoadVideoReward
from .micro_caption_node import MicroCaptionEncode, register_micro_model
from .micro_clip_node import MicroClip
from .panel_node import PanelNode
from .pick_best_node import PickBest
from .ranking_rules_node import RankingRulesNode
from .resampling_sampler_node import ResamplingSampler
from .reward_guidance_node import RewardGuidance
from .reward_models import FOLDER
from .reward_trace_node import RewardTraceNode
from .reward_weights_node import RewardWeightsNode
from .score_files_node import LoadScores, SaveScores
from .score_video_node import ScoreVideo
from .search_seeds_node import SearchSeeds
from .steering_sampler_node import SteeringSampler
from .trace_routes import register_trace_routes


class VideoAlignExtension(ComfyExtension):
    """Table of contents."""

    def __init__(self) -> None:
        # Not in on_load, which ComfyUI 0.3.64 does not call.
        register_model_folder(FOLDER)
        register_model_folder(LATENT_FOLDER)
        register_micro_model()
        register_choice_routes()
        register_clip_routes()
        register_trace_routes()

    async def get_node_list(self) -> list:
        """All nodes, in the order of a first graph."""
        return [
            LoadVideoReward,
            LoadJudge,
            Measurements,
            PanelNode,
            ScoreVideo,
            RewardWeightsNode,
            RankingRulesNode,
            PickBest,
            SearchSeeds,
            CompareClips,
            SaveScores,
            LoadScores,
            ChoosePair,
            LoadLatentReward,
            RewardGuidance,
            RewardTraceNode,
            ResamplingSampler,
            SteeringSampler,
            MicroCaptionEncode,
            MicroClip,
        ]
