"""``videoalign train rwr``: scored clips in, a reward-weighted LoRA out."""

from __future__ import annotations

from .flow.config import FlowConfig
from .flow.methods.rwr import FlowRwr, RwrOptions

__all__ = ["Config", "run"]


class Config(FlowConfig):
    """Train a LoRA by reward-weighted regression: every clip counts by its reward.

    Takes pairs with scores, or the output of videoalign score with several clips of each prompt.

    Writes a LoRA that ComfyUI's stock loader applies, a log with curves (curves.html) and, after every evaluation, what they
    mean. Clips and captions are encoded once. Training resumes by itself when the command is run again. For several GPUs
    start it with accelerate launch --multi_gpu, or with --use_fsdp --fsdp_version 2 to keep the network in shards.
    """

    rwr: RwrOptions = RwrOptions()


def run(config: Config) -> int:
    """Train and export; returns the exit status (130 when interrupted, with the state saved)."""
    from .flow.run import run_method

    return run_method(config, FlowRwr(config.rwr))
