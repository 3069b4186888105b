"""``videoalign convert``: an official checkpoint folder -> one safetensors file that loads in seconds."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from ..cli.options import CommandConfig, positional


class Config(CommandConfig):
    """Merge an official VideoReward checkpoint into one safetensors file that needs no base model and no pickle."""

    checkpoint: str = positional(
        description="Folder with model_config.json and checkpoint-N/, its name in ComfyUI's models/reward_models, or a hub repository."
    )
    output: Path = Field(Path("videoreward.safetensors"), description="File to write.")
    base: Path | None = Field(None, description="Folder of the base model (tokenizer; weights for the adapter layout).")
    step: int | None = Field(None, description="Which checkpoint-N; the highest by default.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Type of the weights; auto: the checkpoint's own."
    )
    download: bool = Field(False, description="Permit downloading from the hub.")
    overwrite: bool = Field(False, description="Replace an existing output file.")


def run(config: Config) -> int:
    """Convert; returns the exit status."""
    from ..errors import CheckpointError, listed
    from .checkpoint_files import open_checkpoint
    from .converted_file import save_converted
    from .loading import DTYPES, locate, read_official

    if config.output.exists() and not config.overwrite:
        raise CheckpointError(f"{config.output} exists. Choose another --output, or allow --overwrite.")
    start = time.perf_counter()
    checkpoint = open_checkpoint(locate(config.checkpoint, config.download), config.step)
    reward = read_official(checkpoint, config.base, DTYPES.get(config.dtype), config.download)
    damaged = [name for name, tensor in reward.weights.items() if not tensor.isfinite().all()]
    if damaged:  # every score would be an error
        raise CheckpointError(
            f"{checkpoint.weights} holds values that are not finite in {listed(damaged)}. Download it again, or take another checkpoint."
        )
    save_converted(config.output, reward)
    size = config.output.stat().st_size / 1e6
    seconds = time.perf_counter() - start
    print(
        f"{checkpoint.weights} -> {config.output}: {len(reward.weights)} tensors, {size:.1f} MB, {seconds:.1f} s",
        file=sys.stderr,
    )
    return 0
