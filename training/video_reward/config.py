"""Options of ``videoalign train video-reward``; the defaults are the official trainer's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ...cli.options import CommandConfig
from ...preferences.splits import PairFiles
from ..loop.config import LoopConfig


class DataConfig(PairFiles):
    """Preference pairs and how their clips are looked at."""

    eval_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="Share of the prompts that is held out when eval is empty, one prompt at least; 0: none is.",
    )
    fps: float = Field(2.0, gt=0, description="Sampled frames per second of clip.")
    min_frames: int = Field(4, ge=2, description="Fewest sampled frames.")
    min_frame_pixels: int = Field(
        128 * 28 * 28, ge=784, description="Smallest height * width of a frame; smaller ones are enlarged."
    )
    max_frame_pixels: int = Field(448 * 448, ge=784, description="Largest height * width of a frame, in pixels.")
    template: str = Field(
        "detailed_special", description="Prompt template: a shipped name, or a text with {text_prompt} in it."
    )
    keep_in_memory: bool = Field(False, description="Decode each clip once and keep its resized frames in memory.")
    group_by_prompt: bool = Field(
        False, description="Keep pairs of one prompt in one batch: a clip in several pairs is run once."
    )


class ModelConfig(CommandConfig):
    """Where training starts and what is trained."""

    base: Path = Field(
        description="Folder of the Qwen2-VL model to start from (config, tokenizer, safetensors weights)."
    )
    checkpoint: Path | None = Field(
        None, description="Official checkpoint folder to go on from, with the same base, LoRA rank and head."
    )
    reward_token: Literal["special", "last"] = Field(
        "special", description="Read each score at its own token, or all three at the last token."
    )
    output_dim: Literal[1, 3] = Field(
        1, description="Outputs of the reward head: one shared by the tokens, or one for each dimension."
    )
    torch_dtype: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="Type in which the result is saved and meant to be run."
    )
    lora: bool = Field(True, description="Train LoRA on the language model; otherwise all of its weights.")
    lora_rank: int = Field(64, ge=1, description="LoRA rank.")
    lora_alpha: float = Field(128, gt=0, description="LoRA alpha; the update is scaled by alpha / rank.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="LoRA dropout.")
    train_vision: bool = Field(True, description="Train the vision tower and its merger.")
    train_embeddings: Literal["reward_tokens", "all"] = Field(
        "reward_tokens", description="Token embeddings that move."
    )

    @model_validator(mode="after")
    def _last_needs_three(self) -> ModelConfig:
        if self.reward_token == "last" and self.output_dim != 3:
            raise ValueError("reward_token = last needs output_dim = 3: one token gives all three scores")
        return self


class OptimizerConfig(CommandConfig):
    """Learning rates by part, for AdamW."""

    learning_rate: float = Field(2e-6, gt=0, description="Of LoRA (or the language model) and of the reward head.")
    vision_lr: float = Field(2e-6, gt=0, description="Of the vision tower.")
    merger_lr: float = Field(2e-6, gt=0, description="Of the layers between the vision tower and the language model.")
    special_token_lr: float = Field(2e-6, gt=0, description="Of the token embeddings.")
    weight_decay: float = Field(0.0, ge=0, description="Of weight matrices; biases, norms and embeddings have none.")


class LossConfig(CommandConfig):
    """What the pairs ask for."""

    type: Literal["btt", "bt", "reg", "margin", "constant_margin", "scaled"] = Field(
        "btt",
        description="Bradley-Terry with ties, plain Bradley-Terry, regression on Likert scores, or a margin variant.",
    )
    reduction: Literal["mean", "mean_used"] = Field(
        "mean",
        description="mean: over all pairs and dimensions, as published; mean_used: over those that carry a label.",
    )


class Config(LoopConfig):
    """Train a VideoReward from preference pairs.

    Reads any preference format (native JSONL, VideoAlign / VideoGen-RewardBench CSV, GenAI-Bench, VideoDPO, ...).
    Writes, into the output folder, the official layout (model_config.json, checkpoint-N/) and one videoreward.safetensors;
    training resumes by itself when the command is run again. For several GPUs start it with accelerate launch.
    """

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    loss: LossConfig = LossConfig()
    save_full_model: bool = Field(
        False, description="Save checkpoint-N/model.pth instead of adapter and trained parts."
    )
