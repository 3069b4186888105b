"""``videoalign train dpo``: preference pairs in, a Flow-DPO LoRA out."""

from __future__ import annotations

from .flow.config import FlowConfig
from .flow.methods.dpo import DpoOptions, FlowDpo

__all__ = ["Config", "run"]


class Config(FlowConfig):
    """Train a LoRA from preference pairs with Flow-DPO: what people (or a reward) chose becomes likelier, the rest less.

    Writes a LoRA that ComfyUI's stock loader applies, a log with curves (curves.html) and, after every evaluation, what they
    mean. Clips and captions are encoded once. Training resumes by itself when the command is run again. For several GPUs
    start it with accelerate launch --multi_gpu, or with --use_fsdp --fsdp_version 2 to keep the network in shards.
    """

    dpo: DpoOptions = DpoOptions()


def run(config: Config) -> int:
    """Train and export; returns the exit status (130 when interrupted, with the state saved)."""
    from .flow.run import run_method

    return run_method(config, FlowDpo(config.dpo))
