"""Options of ``videoalign train latent-reward``; the defaults are the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ...cli.options import CommandConfig
from ..data_config import EncodedData, EncoderFiles, without_encoders
from ..loop.config import LoopConfig


class MarginConfig(CommandConfig):
    """What counts as better where clips come with scores instead of people's labels (``videoalign score`` output)."""

    VQ: float = Field(0.0, ge=0, description="Visual quality: a smaller lead is a tie, in the scores' unit.")
    MQ: float = Field(0.0, ge=0, description="Motion quality: a smaller lead is a tie, in the scores' unit.")
    TA: float = Field(0.0, ge=0, description="Text alignment: a smaller lead is a tie, in the scores' unit.")


class DataConfig(EncodedData):
    """Preference pairs, and the form in which their clips are encoded."""

    keep_in_memory: bool = Field(False, description="Hold the latents in memory once they were read.")
    group_by_prompt: bool = Field(
        False,
        description="Keep pairs of one prompt in one batch, at one noise: a clip in several pairs is run once.",
    )


class ModelConfig(EncoderFiles):
    """The video model that the reward grows from."""

    trunk: Path = Field(
        description="Video diffusion model: a ComfyUI .safetensors file or a diffusers folder. Only its first blocks are read. Either expert of Wan 2.2 serves: the reward learns at all noise levels."
    )
    blocks: int | None = Field(None, ge=1, description="Blocks of the trunk; block_share of them by default.")
    block_share: float = Field(0.27, gt=0, le=1, description="Share of the model's blocks that make the trunk.")
    head: Literal["motion", "attention", "mean", "query"] = Field(
        "motion",
        description="What reads the tokens: convolutions over space and time, attention in each frame, their mean, or learned queries over all of them.",
    )
    head_width: int = Field(128, ge=8, description="Hidden channels of each head.")
    freeze_trunk: bool = Field(
        False, description="Leave the trunk as it is and train the heads alone. With noise.draws they train in minutes."
    )
    lora: bool = Field(False, description="Train LoRA on the trunk (merged when saved); otherwise all of its weights.")
    lora_rank: int = Field(64, ge=1, description="LoRA rank.")
    lora_alpha: float = Field(128.0, gt=0, description="LoRA alpha; the update is scaled by alpha / rank.")
    gradient_checkpointing: bool = Field(False, description="Less memory for a third more time.")
    save_dtype: Literal["bfloat16", "float16", "float32"] = Field(
        "bfloat16", description="Type in which the weights are saved."
    )

    @model_validator(mode="after")
    def _check_trunk(self) -> ModelConfig:
        if self.freeze_trunk and self.lora:
            raise ValueError("a frozen trunk has no LoRA: leave out freeze_trunk or lora")
        return self


class NoiseConfig(CommandConfig):
    """Which noise levels sigma the reward learns at (0 clean, 1 noise)."""

    timesteps: Literal["uniform", "logit_normal", "shifted"] = Field(
        "uniform",
        description="uniform: every level alike; logit_normal: sigmoid of a normal number, fewer at the ends; shifted: uniform, then bent towards noise as the sampler's shift does.",
    )
    logit_mean: float = Field(0.0, description="Mean of the normal number of logit_normal; above 0 means more noise.")
    logit_std: float = Field(1.0, gt=0, description="Standard deviation of the normal number of logit_normal.")
    shift: float = Field(3.0, gt=0, description="Of shifted: sigma becomes shift sigma / (1 + (shift - 1) sigma).")
    shared: bool = Field(
        True,
        description="Both clips of a pair get the same noise, as in the paper; otherwise each has its own, as the seeds of a search do. The level is the same either way.",
    )
    draws: int | None = Field(
        None,
        ge=1,
        description="Noises that each clip is seen at, one in each of as many equal shares of the levels; a new one every time by default. With model.freeze_trunk what the trunk makes of them is computed once and kept in the cache.",
    )


class OptimizerConfig(CommandConfig):
    """Adam, as in the paper."""

    learning_rate: float = Field(5e-6, gt=0, description="Of the trunk (or its LoRA).")
    head_lr: float | None = Field(None, gt=0, description="Of the heads; that of the trunk by default.")
    weight_decay: float = Field(0.0, ge=0, description="Of weight matrices (AdamW); biases and norms have none.")


class LossConfig(CommandConfig):
    """What the pairs ask for."""

    type: Literal["bt", "btt", "reg", "margin", "constant_margin", "scaled"] = Field(
        "bt",
        description="Bradley-Terry on pairs with a winner (bt) or with ties counted too (btt); where both clips have Likert scores: regression on them, or a margin variant.",
    )
    tie_factor: float = Field(
        5.0, gt=1, description="theta of Bradley-Terry with ties: a lead of its logarithm wins half of the time."
    )
    reduction: Literal["mean", "mean_used"] = Field(
        "mean",
        description="mean: over all pairs and dimensions; mean_used: over those that carry a label, in each micro batch.",
    )


class EvaluationConfig(CommandConfig):
    """How the reward is judged on held-out pairs, and what is written into the file."""

    bins: int = Field(10, ge=1, le=100, description="Equal bins of sigma; each held-out pair is judged once in each.")
    pairs: int | None = Field(
        256, ge=1, description="Held-out pairs used while training; the final figures use all of them."
    )
    gradient_pairs: int = Field(32, ge=1, description="Held-out pairs whose gradients are measured, in each bin.")


class Config(LoopConfig):
    """Train a latent reward model: VQ, MQ and TA of a noisy latent, which reward guidance climbs.

    Takes preference pairs of any format, or clips scored by videoalign score with several clips of each prompt. Clips and
    captions are encoded once. Writes latent_reward.safetensors into the output folder; put it into ComfyUI's
    models/latent_reward_models. Training resumes by itself when the command is run again. For several GPUs start it with
    accelerate launch.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_encoders(cls, values: Any) -> Any:
        return cls.in_effect(values) if isinstance(values, dict) else values

    @classmethod
    def in_effect(cls, values: dict) -> dict:
        """Without encoders where the cache is enough."""
        return without_encoders(values)

    epochs: float = Field(2.0, gt=0, description="Passes over the data; ignored when max_steps is given.")
    batch_size: int = Field(144, ge=1, description="Pairs in an optimizer step, over all processes.")
    clean_latents: bool = Field(
        False,
        description="Show the network clean latents while it is told its noise level, to compare with: such a reward guides badly.",
    )
    data: DataConfig
    margin: MarginConfig = MarginConfig()
    model: ModelConfig
    noise: NoiseConfig = NoiseConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    loss: LossConfig = LossConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
