"""``videoalign train video-reward``: preference pairs in, a VideoReward out."""

from __future__ import annotations

import sys

from .video_reward.config import Config

__all__ = ["Config", "run", "tell"]


def run(config: Config) -> int:
    """Train and export; returns the exit status (130 when interrupted, with the state saved)."""
    if config.dry_run:
        return tell(config)
    from .loop.processes import holding_output  # a launch that cannot work is refused before anything is read

    with holding_output(config.output, "train video-reward"):
        return _run(config)


def tell(config: Config) -> int:
    """Print what the training will take; returns 0."""
    from ..planning.report import plan_text
    from .plan.video_reward_plan import plan_video_reward

    print(plan_text(plan_video_reward(config)))
    return 0


def _run(config: Config) -> int:
    from .loop.trackers import trackers
    from .loop.train_loop import TrainLoop
    from .video_reward.official_layout import remove_result
    from .video_reward.task import VideoRewardTask

    callbacks = trackers(config)
    task = VideoRewardTask(config)
    groups = task.prompts if config.data.group_by_prompt else None
    loop = TrainLoop(task, config, len(task.train), task.fingerprint(), groups, callbacks)
    main = loop.accelerator.is_main_process
    if config.overwrite and main:
        remove_result(config.output)
    if main:
        print(f"{len(task.train)} training pairs, {len(task.held_out)} held out, {loop.steps} steps.", file=sys.stderr)
    try:
        metrics = loop.run()
    except KeyboardInterrupt:
        print("videoalign train: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130
    if main:
        file = task.export(loop.step, task.normalisation())
        measured = ", ".join(
            f"{name.removeprefix('acc_')} {share:.1%}" for name, share in metrics.items() if name != "acc"
        )
        print(
            f"Held-out accuracy: {measured or 'not measured, as no held-out pair says which clip is better'}.",
            file=sys.stderr,
        )
        print(f"{file} is ready: videoalign score CLIPS --prompt TEXT --model {file}", file=sys.stderr)
    loop.accelerator.wait_for_everyone()
    return 0
