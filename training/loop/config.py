"""Options of the training loop that every trainer shares."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ...cli.options import CommandConfig


class LoopConfig(CommandConfig):
    """How long, in which portions, and what is kept."""

    output: Path = Field(Path("output"), description="Folder for checkpoints, logs and the result.")
    dry_run: bool = Field(False, description="Only tell what the run will take, as videoalign plan does.")
    resume: bool = Field(True, description="Go on from the newest checkpoint in the output folder, if there is one.")
    overwrite: bool = Field(False, description="Delete what an earlier run left in the output folder.")
    epochs: float = Field(
        1.0,
        gt=0,
        description="Passes over the data; ignored when max_steps is given. Without epochs, max_steps and batch_size few data get smaller batches and more passes.",
    )
    max_steps: int | None = Field(
        None, ge=1, description="Optimizer steps. A run that was stopped or has finished goes on to a larger number."
    )
    batch_size: int = Field(32, ge=1, description="Rows in an optimizer step, over all processes.")
    micro_batch_size: int = Field(1, ge=1, description="Rows that a process holds in memory at once.")
    seed: int = Field(42, ge=0, description="Seed of the data order, of initial weights and of dropout.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises from 0.")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "constant", description="Learning rate after the warm-up."
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Arithmetic; trained weights stay float32."
    )
    log_every: int = Field(10, ge=1, description="Steps between lines in the log.")
    eval_every: int | None = Field(
        None,
        ge=1,
        description="Steps between evaluations; by default a tenth of the run, in flow training more where evaluations would take over a twentieth of its work.",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="End after so many evaluations without a better held-out accuracy; never by default.",
    )
    save_every: int | None = Field(
        None, ge=1, description="Steps between checkpoints; a quarter of the run by default."
    )
    log_with: list[str] = Field(
        [],
        description="Trackers that get the curves too: tensorboard, wandb, comet_ml, mlflow or another of accelerate's; repeat for several. Their packages read their own environment variables.",
    )
    log_project: str = Field("videoalign", description="Project (experiment) that trackers file the run under.")
    keep_checkpoints: int = Field(2, ge=1, description="Newest checkpoints that are kept for resuming.")
