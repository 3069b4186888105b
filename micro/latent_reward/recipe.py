"""How the embedded latent reward is made: a trunk that has learnt to see, then ``videoalign train latent-reward``.

The same is done a second time with clean latents alone: the ablation that shows why a latent reward must see noise.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ...backbones.loading import load_backbone
from ...backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from ...files.atomic_file import replacing
from ...micro_world import ClipFormat, iterate_prompt_groups, write_prompt_groups
from ...training import train_latent_reward_command
from ...training.latent_cache import encode_rows, encoders_of
from ...training.latent_reward.config import Config
from ...training.latent_reward.pairs import load_pairs
from ...training.latent_reward.task import RESULT
from ..video.finished_files import save_dit
from ..video.generated_pairs import write_generated
from .pretraining import pretrain, truth_of

FINISHED, ABLATION = "micro_latent_reward.safetensors", "micro_latent_reward_clean.safetensors"


@dataclass(frozen=True)
class Recipe:
    """Sizes of the steps. The defaults make the embedded file; smaller ones make a test.

    Attributes:
        dit, vae: the micro video model.
        blocks: of it, that make the trunk.
        head_width: hidden channels of the heads.
        see_steps, see_batch, see_rate: the trunk's learning to see, in optimizer steps and clips.
        clean_see_steps: of the ablation, which has less to learn.
        prompts, clips_per_prompt: training data; every two clips of a prompt make a pair.
        held_out_prompts, held_out_clips: of other prompts and clips, for the evaluation.
        generated_prompts, held_out_generated: further prompts with clips of the micro video model, which is what guidance
            will see; their truth is the world's measurement.
        steps, batch_size, rate, head_rate: optimizer steps, pairs a step, highest learning rates of trunk and heads.
        data_seed, held_out_seed: of the clips.
    """

    dit: Path = MICRO_NETWORK
    vae: Path = MICRO_VAE
    blocks: int = 3
    head_width: int = 48
    see_steps: int = 6000
    clean_see_steps: int = 1000
    see_batch: int = 32
    see_rate: float = 1.5e-3
    prompts: int = 2000
    clips_per_prompt: int = 4
    held_out_prompts: int = 100
    held_out_clips: int = 3
    generated_prompts: int = 600
    held_out_generated: int = 50
    steps: int = 400
    batch_size: int = 96
    rate: float = 3e-4
    head_rate: float = 1e-3
    seed: int = 7
    data_seed: int = 21
    held_out_seed: int = 910_001
    generated_seed: int = 12
    held_out_generated_seed: int = 910_002


def make_data(folder: Path, recipe: Recipe) -> None:
    """Training and held-out pairs as MP4 files; each set is made once."""
    drawn = {
        "train": (recipe.prompts, recipe.clips_per_prompt, recipe.data_seed),
        "held_out": (recipe.held_out_prompts, recipe.held_out_clips, recipe.held_out_seed),
    }
    generated = {
        "generated": (recipe.generated_prompts, recipe.generated_seed),
        "held_out_generated": (recipe.held_out_generated, recipe.held_out_generated_seed),
    }
    for name in (*drawn, *generated):
        if not (folder / name / "pairs.jsonl").exists():
            shutil.rmtree(folder / name, ignore_errors=True)
            if name in drawn:
                prompts, clips, seed = drawn[name]
                write_prompt_groups(folder / name, prompts, clips, seed=seed)
            else:
                write_generated(folder / name, *generated[name], recipe.dit, recipe.vae)


def make_trunk(folder: Path, recipe: Recipe, clean: bool) -> Path:
    """The first blocks of the micro video model, taught to see on the training clips; made once."""
    file = trunk_file(folder, clean)
    if not file.exists():
        trunk = load_backbone(recipe.dit, dtype=torch.float32, num_blocks=recipe.blocks)
        config = training_config(folder, recipe)
        pairs = [pair for split in load_pairs(config) for pair in split]
        cache = encode_rows(pairs, config.data, encoders_of(config.model), config.output)
        latents, truths = [], []
        groups = itertools.islice(iterate_prompt_groups(recipe.data_seed, recipe.clips_per_prompt), recipe.prompts)
        for group, (described, clips) in enumerate(groups):
            for number, clip in enumerate(clips):
                latents.append(cache.latents(folder / "train" / "videos" / f"{group:06d}_{number}.mp4").half())
                truths.append(truth_of(clip, described))
        steps = recipe.clean_see_steps if clean else recipe.see_steps
        seeing = pretrain(
            trunk, torch.stack(latents), truths, steps, recipe.see_batch, recipe.see_rate, recipe.seed, clean
        )
        for step, parts in enumerate(seeing, 1):
            if step % 50 == 0:
                text = ", ".join(f"{part} {value:.3f}" for part, value in parts.items())
                print(f"seeing step {step}: {text}", file=sys.stderr)
        save_dit(file, trunk.module.state_dict())
    return file


def trunk_file(folder: Path, clean: bool) -> Path:
    """Where the trunk that has seen clips, noisy or clean, is kept."""
    return folder / ("trunk_clean.safetensors" if clean else "trunk.safetensors")


def training_config(folder: Path, recipe: Recipe, clean: bool = False, **changes: object) -> Config:
    """The configuration of ``videoalign train latent-reward``; ``changes`` replace values of its sections."""
    form = ClipFormat()
    values: dict = {
        "output": folder / ("clean" if clean else "noisy"),
        "clean_latents": clean,
        "max_steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "micro_batch_size": recipe.batch_size,
        "schedule": "cosine",
        "seed": recipe.seed,
        "data": {
            "train": [folder / name / "pairs.jsonl" for name in ("train", "generated")],
            "eval": [folder / name / "pairs.jsonl" for name in ("held_out", "held_out_generated")],
            "width": form.size,
            "height": form.size,
            "frames": form.frames,
            "fps": form.fps,
            "cache": folder / "cache",
            "keep_in_memory": True,
            "group_by_prompt": True,
        },
        "model": {
            "trunk": trunk_file(folder, clean),
            "vae": recipe.vae,
            "text_encoder": "micro",
            "blocks": recipe.blocks,
            "head_width": recipe.head_width,
            "save_dtype": "float16",
        },
        "optimizer": {"learning_rate": recipe.rate, "head_lr": recipe.head_rate, "weight_decay": 0.01},
        "evaluation": {"pairs": 60, "gradient_pairs": 60},
    }
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return Config.model_validate(values)


def make_latent_rewards(folder: Path, recipe: Recipe) -> Iterator[Path]:
    """Run all steps into ``folder``; yields the embedded file, then the ablation. What is there already is not made again."""
    make_data(folder, recipe)
    for clean, name in ((False, FINISHED), (True, ABLATION)):
        finished = folder / name
        if not finished.exists():
            make_trunk(folder, recipe, clean)
            config = training_config(folder, recipe, clean)
            if train_latent_reward_command.run(config) != 0:
                raise SystemExit(130)
            with replacing(finished) as temporary:
                shutil.copyfile(config.output / RESULT, temporary)
        yield finished
