"""``videoalign train latent-reward``: preference pairs in, a latent reward model out."""

from __future__ import annotations

import sys

from .latent_reward.config import Config

__all__ = ["Config", "run", "tell"]


def run(config: Config) -> int:
    """Encode, train, measure and save; returns the exit status (130 when interrupted, with the state saved)."""
    if config.dry_run:
        return tell(config)
    from .loop.processes import holding_output

    with holding_output(config.output, "train latent-reward"):
        return _run(config)


def tell(config: Config) -> int:
    """Print what the training will take; returns 0."""
    from ..planning.report import plan_text
    from .plan.latent_reward_plan import plan_latent_reward

    print(plan_text(plan_latent_reward(config)))
    return 0


def _run(config: Config) -> int:
    from .latent_reward.task import RESULT, accuracy_table, build_task
    from .loop.trackers import trackers
    from .loop.train_loop import TrainLoop

    callbacks = trackers(config)  # what is not installed is said before anything is read
    task = build_task(config)
    task.compute_features()
    loop = TrainLoop(task, config, len(task.train), task.fingerprint(), task.groups, callbacks)
    main = loop.accelerator.is_main_process
    if main:
        if config.overwrite:
            (config.output / RESULT).unlink(missing_ok=True)
        print(f"{len(task.train)} training pairs, {len(task.held_out)} held out, {loop.steps} steps.", file=sys.stderr)
    try:
        loop.run()
    except KeyboardInterrupt:
        print("videoalign train: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130
    task.calibrate()
    if main:
        file = task.export(loop.step)
        print(accuracy_table(task.reward), file=sys.stderr)
        print(f"{file} is ready: put it into ComfyUI's models/latent_reward_models.", file=sys.stderr)
    loop.accelerator.wait_for_everyone()
    return 0
