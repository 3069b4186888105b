"""How the embedded latent reward is made: a trunk that has learnt to see, then ``videoalign train latent-reward``, twice.

The second training, "ranking", goes on from the first one's trunk with new heads, and learns mostly from groups of the model's own
samples of one prompt: which of two seeds is better is another question than which of two clips is spoilt.

Trunk and first training are done once more with clean latents alone: the ablation that shows why a latent reward must see noise.
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
from ...reward.latent.reward_file import load_latent_reward
from ...training import train_latent_reward_command
from ...training.latent_cache import encode_rows, encoders_of
from ...training.latent_reward.config import Config
from ...training.latent_reward.pairs import load_pairs
from ...training.latent_reward.task import RESULT
from ..video.finished_files import save_dit
from ..video.generated_pairs import write_generated
from .own_samples import (
    HELD_OUT_SEED,
    HELD_OUT_SEEDS_FROM,
    distinct_prompts,
    make_own_samples,
    random_prompts,
    write_own_pairs,
)
from .pretraining import pretrain, truth_of

FINISHED, ABLATION = "micro_latent_reward.safetensors", "micro_latent_reward_clean.safetensors"
RANKING_TRUNK = "ranking_trunk.safetensors"
OWN_SEEDS_FROM = 6_000_000
EVALUATED_ELSEWHERE = (*random_prompts(40, 77), *random_prompts(100, 31_000))
"""Prompts that benchmarks search seeds of and guide: what learns to rank seeds does not see them."""


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
        own_prompts, own_seeds: groups of the micro model's own samples, with classifier-free guidance, of prompts that no held-out group
            has.
        held_out_own, held_out_own_clips: groups to evaluate on, and how many clips of each.
        ranking_prompts, ranking_generated: prompts of drawn clips and of generated ones that are mixed in, as in the first training.
        ranking_held_out, ranking_held_out_generated: of these, to evaluate on.
        ranking_head, ranking_steps, ranking_rate: of the second training.
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
    own_prompts: int = 64
    own_seeds: int = 8
    own_seed: int = 13
    held_out_own: int = 60
    held_out_own_clips: int = 4
    ranking_prompts: int = 160
    ranking_generated: int = 40
    ranking_held_out: int = 40
    ranking_held_out_generated: int = 15
    ranking_seed: int = 22
    ranking_generated_seed: int = 14
    ranking_head: str = "query"
    ranking_steps: int = 240
    ranking_rate: float = 1e-4


def make_data(folder: Path, recipe: Recipe) -> None:
    """Training and held-out pairs of the first training as MP4 files; each set is made once."""
    _drawn(folder / "train", recipe.prompts, recipe.clips_per_prompt, recipe.data_seed)
    _drawn(folder / "held_out", recipe.held_out_prompts, recipe.held_out_clips, recipe.held_out_seed)
    _generated(folder / "generated", recipe.generated_prompts, recipe.generated_seed, recipe)
    _generated(folder / "held_out_generated", recipe.held_out_generated, recipe.held_out_generated_seed, recipe)


def make_ranking_data(folder: Path, recipe: Recipe) -> None:
    """The same for the second training; groups of own samples are made prompt by prompt."""
    held_out = distinct_prompts(recipe.held_out_own, HELD_OUT_SEED)
    prompts = distinct_prompts(recipe.own_prompts, recipe.own_seed, {*held_out, *EVALUATED_ELSEWHERE})
    models = recipe.dit, recipe.vae
    for name, texts, first, clips in (
        ("own", prompts, OWN_SEEDS_FROM, None),
        ("held_out_own", held_out, HELD_OUT_SEEDS_FROM, recipe.held_out_own_clips),
    ):
        if not (folder / name / "pairs.jsonl").exists():
            files = list(make_own_samples(folder / name, texts, recipe.own_seeds, first, *models))
            write_own_pairs(folder / name, files, clips)
    _drawn(folder / "ranking_drawn", recipe.ranking_prompts, recipe.clips_per_prompt, recipe.ranking_seed)
    _drawn(folder / "ranking_held_out", recipe.ranking_held_out, recipe.held_out_clips, recipe.held_out_seed)
    _generated(folder / "ranking_generated", recipe.ranking_generated, recipe.ranking_generated_seed, recipe)
    held_out_generated = recipe.ranking_held_out_generated, recipe.held_out_generated_seed
    _generated(folder / "ranking_held_out_generated", *held_out_generated, recipe)


def _drawn(folder: Path, prompts: int, clips: int, seed: int) -> None:
    if not (folder / "pairs.jsonl").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_prompt_groups(folder, prompts, clips, seed=seed)


def _generated(folder: Path, prompts: int, seed: int, recipe: Recipe) -> None:
    if not (folder / "pairs.jsonl").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_generated(folder, prompts, seed, recipe.dit, recipe.vae)


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


def ranking_config(folder: Path, recipe: Recipe, **changes: object) -> Config:
    """The configuration of the second training, of its own trunk; ``changes`` as of ``training_config``."""
    sets = {
        "train": ("own", "ranking_drawn", "ranking_generated"),
        "eval": ("held_out_own", "ranking_held_out", "ranking_held_out_generated"),
    }
    values: dict = {
        "output": folder / "ranking",
        "max_steps": recipe.ranking_steps,
        "data": {key: [folder / name / "pairs.jsonl" for name in names] for key, names in sets.items()},
        "model": {"trunk": folder / RANKING_TRUNK, "head": recipe.ranking_head},
        "optimizer": {"learning_rate": recipe.ranking_rate},
    }
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return training_config(folder, recipe, **values)


def make_latent_rewards(folder: Path, recipe: Recipe) -> Iterator[Path]:
    """Run all steps into ``folder``; yields the embedded file, then the ablation. What is there already is not made again."""
    make_data(folder, recipe)
    finished = folder / FINISHED
    if not finished.exists():
        first = folder / "noisy" / RESULT
        if not first.exists():
            make_trunk(folder, recipe, clean=False)
            _train(training_config(folder, recipe))
        make_ranking_data(folder, recipe)
        make_ranking_trunk(folder, first)
        _finish(finished, ranking_config(folder, recipe))
    yield finished
    ablation = folder / ABLATION
    if not ablation.exists():
        make_trunk(folder, recipe, clean=True)
        _finish(ablation, training_config(folder, recipe, clean=True))
    yield ablation


def make_ranking_trunk(folder: Path, first: Path) -> Path:
    """The trunk of a latent reward as a model that another one can grow from; made once."""
    file = folder / RANKING_TRUNK
    if not file.exists():
        save_dit(file, load_latent_reward(first).network.state_dict())
    return file


def _finish(file: Path, config: Config) -> None:
    _train(config)
    with replacing(file) as temporary:
        shutil.copyfile(config.output / RESULT, temporary)


def _train(config: Config) -> None:
    if train_latent_reward_command.run(config) != 0:
        raise SystemExit(130)
