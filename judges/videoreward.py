"""VideoReward as a judge: ``videoreward:SOURCE``, a converted file, checkpoint folder, model name or hub repository."""

from __future__ import annotations

from dataclasses import replace

from ..micro_world.domain import outside_note
from ..reward.loading import DTYPES, EMBEDDED_NAME, load_video_reward
from ..reward.settings import EMBEDDED_FILE
from ..reward.video_reward import VideoReward
from . import JudgeError, JudgeOptions


def open_judge(source: str | None, options: JudgeOptions) -> VideoReward:
    """The reward model that ``source`` names; see ``load_video_reward``."""
    if not source:
        raise JudgeError(
            "The judge videoreward needs its weights: videoreward:FILE.safetensors, or videoreward:micro for the embedded one."
        )
    if options.weights != "auto":
        raise JudgeError(f"The judge videoreward cannot keep its weights in {options.weights}; leave --weights out.")
    reward = load_video_reward(
        source,
        base=options.base,
        step=options.step,
        dtype=DTYPES.get(options.dtype, "auto"),
        device=options.device,
        compute_device=options.compute_device,
        allow_download=options.download,
    )
    if options.compile:
        reward.compile()
    sampling = reward.settings.sampling
    if options.max_pixels is not None:
        sampling = sampling.limited(options.max_pixels)
    reward.settings = replace(reward.settings, sampling=sampling.overridden(**options.sampling))
    return told_its_domain(reward, source)


def told_its_domain(reward: VideoReward, source: object) -> VideoReward:
    """The reward, which remarks on clips that it does not know, where it is the embedded one."""
    if str(source) == EMBEDDED_NAME or source == EMBEDDED_FILE:
        reward.remark = lambda clip, caption: outside_note(clip.frame_size, clip.fps, caption)
    return reward
