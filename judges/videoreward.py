"""VideoReward as a judge: ``videoreward:SOURCE``, a converted file, checkpoint folder, model name or hub repository."""

from __future__ import annotations

from dataclasses import replace

from ..reward.loading import DTYPES, load_video_reward
from ..reward.video_reward import VideoReward
from . import JudgeError, JudgeOptions


def open_judge(source: str | None, options: JudgeOptions) -> VideoReward:
    """The reward model that ``source`` names; see ``load_video_reward``."""
    if not source:
        raise JudgeError(
            "The judge videoreward needs its weights: videoreward:FILE.safetensors, or videoreward:micro for the embedded one."
        )
    reward = load_video_reward(
        source,
        base=options.base,
        step=options.step,
        dtype=DTYPES.get(options.dtype),
        device=options.device,
        allow_download=options.download,
    )
    sampling = reward.settings.sampling
    if options.max_pixels is not None:
        sampling = sampling.limited(options.max_pixels)
    reward.settings = replace(reward.settings, sampling=sampling.overridden(**options.sampling))
    return reward
