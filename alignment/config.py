"""Options of ``videoalign align``."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..cli.options import CommandConfig, positional
from ..errors import VideoAlignError
from ..evaluation.scoring.scoring_run import further_judges
from ..generation import generate_command
from ..generation.prompts import read_prompts
from ..generation.sampling_options import distilled_field
from ..preferences import pairs_command
from ..reward.guard.verdict import LEAST_PROMPTS
from ..reward.weight_options import WeightOptions
from ..training.data_config import TEXT_ENCODER_BITS
from ..training.flow.methods import method_summaries

USUAL_SHARE = 0.2


class PairOptions(CommandConfig):
    """Which clips of a prompt become a pair; as in videoalign pairs."""

    pairing: Literal["best_worst", "margin", "dominance"] = Field("best_worst", description="Which clips make a pair.")
    margin: float = Field(0.0, ge=0, description="Least difference of the ranking scores, in standard deviations.")
    pairs_per_prompt: int | None = Field(None, ge=1, description="At most so many pairs a prompt, the clearest first.")
    weight: list[str] = Field(
        [], description="NAME=WEIGHT of a mark, in z-scores, in the place of [weights]; repeatable."
    )
    gate: list[str] = Field([], description="NAME<BOUND or NAME>BOUND that a clip must keep to; repeatable.")
    dominate: list[str] = Field([], description="A mark that counts for dominance; repeatable.")
    least: int | None = Field(None, ge=1, description="Of these marks, in how many the chosen clip must be better.")
    weights: WeightOptions = WeightOptions()
    gaps: pairs_command.Gaps = pairs_command.Gaps()

    @model_validator(mode="after")
    def _a_rule(self) -> PairOptions:
        pairs_command.check_rule(self)
        return self


class Config(CommandConfig):
    """Generate clips of the prompts, score them, pair the best with the worst, train a LoRA (Flow-DPO, or --method rvm), and compare.

    Some prompts are held out of the training; on them the model with the LoRA is compared with the model without. Further
    rounds generate with the LoRA so far and go on training it. The comparison ends with a verdict: gained, hacked, lost, or too few prompts to tell. A run that was stopped, at whatever point, goes on
    when the same command is given again. The output folder holds round_1/ (clips, scores, pairs, training and, in the last
    round, comparison/: open its index.html) and lora.safetensors, which ComfyUI's stock loader applies.
    """

    prompts: Path | None = positional(
        default=None, description="Text file with one prompt a line, or CSV/JSONL with a prompt column."
    )
    output: Path = Field(description="Folder for everything.")
    model: str = Field("micro", description='Network: ComfyUI file or diffusers folder, or "micro", the embedded one.')
    vae: str | None = Field(None, description="VAE file or folder; found by itself in a diffusers folder.")
    text_encoder: str | None = Field(None, description="Text encoder file or folder; likewise.")
    text_encoder_bits: Literal["8bit", "4bit"] | None = Field(None, description=TEXT_ENCODER_BITS)
    lora: list[str] = Field(
        [],
        description="LoRA that all clips are made with, file.safetensors or file.safetensors:strength, such as one that distils the model; it stays frozen under the one that is trained. Repeatable.",
    )
    distilled: str | None = distilled_field()
    reward: str = Field(
        "micro",
        description="What scores the clips: a VideoReward as --model of videoalign score, or another judge as its --judge.",
    )
    panel: list[str] = Field(
        [],
        description="A further judge that scores the clips in the same pass, as NAME or NAME:SOURCE; repeatable. --pairs.weight, gate and dominate name its marks.",
    )
    rounds: int = Field(1, ge=1, description="How often to generate, score, pair and train.")
    clips_per_prompt: int = Field(6, ge=2, description="Clips of each training prompt in a round.")
    held_out: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the prompts that is kept for the comparison. A fifth by default, but six prompts, of which a verdict can be told, where twice as many are left.",
    )
    compare_clips: int = Field(4, ge=1, description="Clips of each held-out prompt in the comparison.")
    judge: list[str] = Field([], description="A further judge of the comparison, as NAME or NAME:SOURCE; repeatable.")
    stop_on_hacking: bool = Field(
        False,
        description=(
            'Compare after every round, and end before the first whose verdict is "hacked": the LoRA is that of the round before. '
            "Takes OpenCV or a --judge, and clips of the held-out prompts in every round."
        ),
    )
    method: str = Field(
        "dpo",
        description="How the LoRA is trained: as videoalign train dpo, or rvm, which learns from all clips of a prompt, or rwr or sft.",
    )
    train: Path | None = Field(None, description="TOML file with options of videoalign train of that method.")
    steps: int | None = Field(None, ge=1, description="Optimizer steps of a round; wins over the file.")
    learning_rate: float | None = Field(None, gt=0, description="Of the LoRA; wins over the file.")
    seed: int = Field(0, ge=0, description="Of prompts, clips and training.")
    batch_size: int = Field(1, ge=1, description="Clips sampled together.")
    device: str | None = Field(None, description="For sampling and scoring; a GPU by default where there is one.")
    dry_run: bool = Field(False, description="Only tell what all stages will take, as videoalign plan align does.")
    sampling: generate_command.Sampling = generate_command.Sampling()
    pairs: PairOptions = PairOptions()

    _judges = field_validator("judge", "panel", mode="before")(further_judges)

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        if method not in method_summaries():
            raise ValueError(f"there is no training method {method!r}; known are {', '.join(method_summaries())}")
        return method

    @model_validator(mode="after")
    def _has_prompts(self) -> Config:
        if self.prompts is None:
            raise ValueError("name the file of prompts")
        return self


def split_of(config: Config) -> tuple[list[str], list[str]]:
    """The training and the held-out prompts; see ``split_prompts``."""
    prompts = read_prompts(config.prompts)
    if len(prompts) < 2:
        raise VideoAlignError(f"{config.prompts} holds one prompt; align needs one to train on and one to compare on.")
    share = USUAL_SHARE if config.held_out is None else config.held_out
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1)
    if config.held_out is None and len(prompts) >= 3 * LEAST_PROMPTS:
        count = max(count, LEAST_PROMPTS)
    kept = set(random.Random(config.seed).sample(prompts, count))
    return [one for one in prompts if one not in kept], [one for one in prompts if one in kept]
