"""The processes of a run, as accelerate sees them."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from ...backbones.devices import accelerator
from ...errors import VideoAlignError
from ...files.output_folder import held

if TYPE_CHECKING:
    from accelerate import PartialState


def process_state() -> PartialState:
    """This process among those that torchrun or accelerate launch started.

    Whoever asks first decides: accelerate joins processes without a GPU (over gloo) only when it is told to use the CPU, and
    otherwise each would train alone.

    Raises:
        VideoAlignError: they were started for DeepSpeed. Its engine clips and steps inside every backward pass, so after each
            micro batch, and keeps weights and optimizer state where this loop's checkpoints do not find them.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        raise VideoAlignError(
            "DeepSpeed is not supported. Start it with accelerate launch --multi_gpu (every GPU holds the whole model) or, for "
            "train dpo, rwr and sft, with accelerate launch --use_fsdp --fsdp_version 2 (the model in shards)."
        )
    from accelerate import PartialState

    return PartialState(cpu=accelerator() is None)


def holding_output(folder: Path, command: str) -> AbstractContextManager[None]:
    """Hold a training's output folder; the first of its processes does.

    Raises:
        VideoAlignError: another run holds it, see ``held``; or as ``process_state``.
    """
    return held(folder, command, wanted=process_state().is_main_process)
