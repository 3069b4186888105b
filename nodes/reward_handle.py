"""A VideoReward in ComfyUI's hands: what travels along a REWARD wire."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .comfy_compat import model_management
from .whole_model_patcher import WholeModelPatcher

if TYPE_CHECKING:
    import torch

    from ..reward.clip import PreparedClip
    from ..reward.scores import ClipScores
    from ..reward.video_reward import VideoReward


class RewardHandle:
    """A reward model that ComfyUI's memory manager moves to the GPU for scoring, and away when others need the room.

    Attributes:
        name: what people call the model.
        reward: the library's model.
        patcher: the memory manager's hold on it.
    """

    def __init__(self, name: str, reward: VideoReward, load_device: torch.device) -> None:
        self.name = name
        self.reward = reward
        self.patcher = WholeModelPatcher(reward.network, load_device, offload_device=reward.device)

    @classmethod
    def load(cls, name: str, path: Path, dtype: torch.dtype | None, on_cpu: bool) -> RewardHandle:
        """Read a checkpoint; its weights go to the GPU when they are first used.

        Args:
            dtype: arithmetic; the checkpoint's own when None.
            on_cpu: never use the GPU.

        Raises:
            CheckpointError: the file or folder cannot be used.
        """
        import torch

        from ..reward.loading import load_video_reward

        cpu = torch.device("cpu")
        load_device = cpu if on_cpu else model_management.get_torch_device()
        offload_device = cpu if on_cpu else model_management.unet_offload_device()
        with torch.inference_mode(False):
            reward = load_video_reward(path, dtype=dtype, device=offload_device)
        return cls(name, reward, load_device)

    def score(self, clip: PreparedClip, caption: str | None) -> ClipScores:
        """Score one clip, after making room for it.

        Raises:
            ClipError, CaptionError: it cannot be scored.
            torch.OutOfMemoryError: it does not fit beside the model; ComfyUI answers by unloading everything.
        """
        model_management.load_models_gpu(
            [self.patcher], memory_required=self._working_memory(clip), force_full_load=True
        )
        return self.reward.score_prepared([clip], [(caption,)])[0][0]

    def _working_memory(self, clip: PreparedClip) -> int:
        """Bytes that scoring takes beside the weights, generously: a block's widest activations, a few of them at once."""
        visual = self.reward.network.visual.config
        text = self.reward.network.language_model.config
        patches = 4 * clip.video_tokens * visual.embed_dim * visual.mlp_ratio
        tokens = 2 * clip.video_tokens * text.intermediate_size  # the caption and the template are the smaller half
        return int(4 * 4 * max(patches, tokens))
