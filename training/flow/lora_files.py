"""The LoRA files that a run leaves: after every checkpoint, at its best, and at its end.

    lora_newest.safetensors   of the last checkpoint, also after Ctrl-C
    lora_best.safetensors     of the evaluation with the highest held-out accuracy
    lora.safetensors          of the run's end

With a moving average of the weights (``ema``) these are its, and called lora_ema, lora_ema_newest and lora_ema_best; at the end there
is lora_raw.safetensors beside it, of the last step's own weights.

All are for ComfyUI's stock loader; the name is ``lora.name``, and one of Wan 2.2's experts is in it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from ...errors import VideoAlignError
from ...lora.adapters import LoraWeights, adapter_weights
from ...lora.comfyui_folder import copy_into_loras, expert_path
from ...lora.metadata import LoraMetadata
from ...lora.writing import save_lora
from ..loop.callback import Callback, Run, Say
from .adapter import TRAINED
from .config import FlowConfig
from .task import FlowTask

RAW = "raw"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def lora_file(config: FlowConfig, which: str = "") -> Path:
    """Where the LoRA is written: of the run's end, or ``newest``, or ``best``; ``RAW``: of the last step, beside an average."""
    parts = [
        config.lora.name,
        *(["ema"] if config.ema is not None and which != RAW else []),
        *([which] if which else []),
    ]
    return expert_path(config.output / f"{'_'.join(parts)}.safetensors", config.model.expert)


class LoraFiles(Callback):
    """Writes the newest and the best LoRA while the run goes on, so that one that is stopped leaves something usable."""

    def __init__(self, task: FlowTask) -> None:
        self.task = task
        self._numbers: Mapping[str, float] = {}

    def evaluated(self, run: Run, numbers: Mapping[str, float], say: Say) -> None:
        self._numbers = numbers
        if run.evaluations.best is not None and run.evaluations.best[0] == run.step:
            self._write(run, "best", numbers)

    def saved(self, run: Run, say: Say) -> None:
        judged = run.evaluations.values and run.evaluations.values[-1][0] == run.step
        self._write(run, "newest", self._numbers if judged else {})

    def _write(self, run: Run, which: str, numbers: Mapping[str, float]) -> None:
        adapter = adapter_weights(self.task.backbone.module, TRAINED)  # of shards every process gives its own
        if run.accelerator.is_main_process:
            write_lora(self.task, lora_file(self.task.config, which), run.step, numbers, None, adapter)


def write_lora(
    task: FlowTask, file: Path, step: int, numbers: Mapping[str, float],
    scores: tuple[dict[str, float], dict[str, float]] | None, adapter: Mapping[str, LoraWeights], averaged: bool = True,
) -> None:  # fmt: skip
    """Write a LoRA with what is known about the run so far.

    Args:
        numbers: the evaluation of this step, if there was one.
        scores: of the previews before and after.
        averaged: with a moving average of the weights, whether the adapter is that.

    Raises:
        LoraFileError: it cannot be written.
    """
    config = task.config
    plain = {name: round(value, 6) for name, value in numbers.items() if "/" not in name}
    described = {key: value for key, value in task.method.description.items() if key != "extra"}
    metadata = LoraMetadata(
        base_model=config.model.name,
        data_hash=task.data_hash(),
        sigma_range=(config.noise.sigma_min, config.noise.sigma_max),
        expert=config.model.expert,
        resolution=f"{config.data.width}x{config.data.height}",
        steps=step,
        learning_rate=config.optimizer.learning_rate,
        seed=config.seed,
        scores_before=scores[0] if scores else None,
        scores_after=scores[1] if scores else None,
        extra={
            "held_out": plain or "not measured",
            "data_content": task.content_hash(),
            **({"trained_on_top_of": [Path(one).name for one in config.model.lora]} if config.model.lora else {}),
            **(
                {}
                if config.ema is None
                else {"weights": f"moving average, decay {config.ema:g}" if averaged else "last step"}
            ),
            **task.method.description.get("extra", {}),
        },
        **described,
    )
    save_lora(file, task.backbone, adapter, metadata=metadata, dtype=DTYPES[config.lora.dtype], overwrite=True)


def export(
    task: FlowTask, file: Path, step: int, metrics: Mapping[str, float],
    scores: tuple[dict[str, float], dict[str, float]] | None = None, adapter: Mapping[str, LoraWeights] | None = None,
) -> Path:  # fmt: skip
    """Write the LoRA of a run's end, and copy it into ComfyUI where that is asked for.

    Args:
        metrics: the last evaluation's.
        scores: of the previews before and after.
        adapter: what is written; the network's by default.

    Raises:
        VideoAlignError: it cannot be written, or not be copied; the message says where it is then.
    """
    config = task.config
    adapter = adapter_weights(task.backbone.module, TRAINED) if adapter is None else adapter
    write_lora(task, file, step, metrics, scores, adapter)
    path = file
    if config.lora.comfyui is not None:
        try:
            path = copy_into_loras(file, config.lora.comfyui)
        except VideoAlignError as error:
            raise VideoAlignError(
                f"The LoRA is finished and lies in {file}, but could not be copied into ComfyUI's folder: {error}"
            ) from None
    beside = "".join(f", together with {one}" for one in config.model.lora)
    print(f"{path} is ready: load it with ComfyUI's LoRA loader at strength 1{beside}.", file=sys.stderr)
    return file
