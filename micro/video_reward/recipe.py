"""How the embedded micro reward is made, step by step, with the product's own training command."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...micro_world import write_dataset, write_prompt_groups
from ...reward.converted_file import load_converted, save_converted
from ...reward.reward_tokenizer import RewardTokenizer
from ...reward.settings import FrameSampling
from ...training import train_video_reward_command
from ...training.video_reward.config import Config
from ..video.generated_pairs import write_generated
from .base_model import load_base, micro_tokenizer, new_network, save_base
from .pretraining import DESCRIPTION, pretrain
from .vision_pretraining import pretrain_vision
from .watching import pretrain_watching

TEMPLATE = "micro"
PIXELS = 56 * 56
FPS = 8.0


@dataclass(frozen=True)
class Recipe:
    """Sizes of the steps. The defaults make the embedded file; smaller ones make a test.

    Attributes:
        vision_steps, vision_batch, vision_rate: seeing, from random weights, in optimizer steps and clips.
        pretrain_steps, pretrain_batch, pretrain_rate: describing clips.
        watch_steps, watch_batch, watch_rate: following clips over time and checking captions.
        prompts, clips_per_prompt: training data; every two clips of a prompt make a pair.
        generated_prompts: further training data, clips of the micro video model: a reward that has seen drawn clips alone
            takes blurred shapes for good ones.
        held_out_pairs: pairs of other prompts and drawn clips for the evaluation.
        steps, batch_size: preference training, in optimizer steps and pairs.
    """

    vision_steps: int = 3000
    vision_batch: int = 32
    vision_rate: float = 1.5e-3
    pretrain_steps: int = 350
    pretrain_batch: int = 48
    pretrain_rate: float = 1e-3
    watch_steps: int = 3000
    watch_batch: int = 16
    watch_rate: float = 8e-4
    prompts: int = 2500
    clips_per_prompt: int = 4
    generated_prompts: int = 600
    held_out_pairs: int = 600
    steps: int = 400
    batch_size: int = 72
    rate: float = 3e-4
    seed: int = 123
    data_seed: int = 11
    generated_seed: int = 12
    held_out_seed: int = 900_001


def make_base(folder: Path, recipe: Recipe) -> Path:
    """Random weights taught to see, to describe and to watch clips, as a base model folder; a finished stage is kept."""
    tokenizer = micro_tokenizer(TEMPLATE)
    bound = RewardTokenizer(tokenizer, DESCRIPTION)  # appends the reward tokens
    sampling = FrameSampling(fps=FPS, min_pixels=PIXELS, max_pixels=PIXELS)
    network = new_network(tokenizer, recipe.seed)
    stages = {
        "seeing": lambda: pretrain_vision(
            network, sampling, recipe.vision_steps, recipe.vision_batch, recipe.vision_rate, recipe.seed
        ),
        "describing": lambda: pretrain(
            network, bound, sampling, recipe.pretrain_steps, recipe.pretrain_batch, recipe.pretrain_rate, recipe.seed
        ),
        "watching": lambda: pretrain_watching(
            network, bound, sampling, recipe.watch_steps, recipe.watch_batch, recipe.watch_rate, recipe.seed
        ),
    }
    for name, stage in stages.items():
        if (folder / name / "model.safetensors").exists():
            load_base(folder / name, network)
            continue
        for step, parts in enumerate(stage(), 1):
            if step % 50 == 0:
                text = ", ".join(f"{part} {value:.3f}" for part, value in parts.items())
                print(f"{name} step {step}: {text}", file=sys.stderr)
        save_base(folder / name, network, tokenizer)
    return folder / name


def make_data(folder: Path, recipe: Recipe) -> tuple[list[Path], Path]:
    """Training and held-out pairs as MP4 files; each is made once."""
    train, held_out, generated = folder / "train", folder / "held_out", folder / "generated"
    if not (train / "pairs.csv").exists():
        shutil.rmtree(train, ignore_errors=True)
        write_prompt_groups(train, recipe.prompts, recipe.clips_per_prompt, seed=recipe.data_seed)
    if not (held_out / "pairs.csv").exists():
        shutil.rmtree(held_out, ignore_errors=True)
        write_dataset(held_out, recipe.held_out_pairs, seed=recipe.held_out_seed)
    if not (generated / "pairs.csv").exists():
        shutil.rmtree(generated, ignore_errors=True)
        write_generated(generated, recipe.generated_prompts, recipe.generated_seed)
    return [train / "pairs.csv", generated / "pairs.csv"], held_out / "pairs.csv"


def training_config(
    output: Path, base: Path, train: list[Path], held_out: Path, recipe: Recipe, **changes: object
) -> Config:
    """The configuration of ``videoalign train video-reward``; ``changes`` replace values of its sections."""
    values: dict = {
        "output": output,
        "max_steps": recipe.steps,
        "eval_every": max(recipe.steps // 4, 1),  # on 600 pairs it costs as much as 30 steps
        "batch_size": recipe.batch_size,
        "micro_batch_size": recipe.batch_size,
        "schedule": "cosine",
        "seed": recipe.seed,
        "data": {
            "train": train,
            "eval": [held_out],
            "fps": FPS,
            "min_frame_pixels": PIXELS,
            "max_frame_pixels": PIXELS,
            "template": TEMPLATE,
            "keep_in_memory": True,
            "group_by_prompt": True,
        },
        "model": {"base": base, "lora": False, "train_embeddings": "all", "torch_dtype": "float32"},
        "optimizer": {
            "learning_rate": recipe.rate,
            "vision_lr": recipe.rate,
            "merger_lr": recipe.rate,
            "special_token_lr": recipe.rate,
            "weight_decay": 0.01,
        },
    }
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return Config.model_validate(values)


def make_reward(folder: Path, recipe: Recipe | None = None) -> Path:
    """Run all steps into ``folder``; returns the finished file. What is there already is not made again."""
    recipe = recipe or Recipe()
    base = make_base(folder, recipe)
    train, held_out = make_data(folder, recipe)
    config = training_config(folder / "reward", base, train, held_out, recipe)
    if train_video_reward_command.run(config) != 0:
        raise SystemExit(130)
    finished = folder / "micro_videoreward.safetensors"
    save_converted(finished, in_half_precision(config.output / "videoreward.safetensors"))
    return finished


def in_half_precision(file: Path):
    """The content of a converted file with its weights as float16: half the size; it is still run in float32."""
    reward = load_converted(file)
    settings = replace(reward.settings, base_model="micro")
    return replace(reward, settings=settings, weights={n: w.to(torch.float16) for n, w in reward.weights.items()})
