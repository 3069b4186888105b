"""``videoalign train sft``: the chosen clips in, a LoRA out."""

from __future__ import annotations

from .flow.config import FlowConfig
from .flow.methods.sft import FlowSft, SftOptions

__all__ = ["Config", "run"]


class Config(FlowConfig):
    """Train a LoRA on the chosen clips alone, the plain flow loss.

    Writes a LoRA that ComfyUI's stock loader applies, a log with curves (curves.html) and, after every evaluation, what they
    mean. Clips and captions are encoded once. Training resumes by itself when the command is run again. For several GPUs
    start it with accelerate launch --multi_gpu, or with --use_fsdp --fsdp_version 2 to keep the network in shards.
    """

    sft: SftOptions = SftOptions()


def run(config: Config) -> int:
    """Train and export; returns the exit status (130 when interrupted, with the state saved)."""
    from .flow.run import run_method

    return run_method(config, FlowSft(config.sft))
