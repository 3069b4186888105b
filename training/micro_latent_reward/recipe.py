"""How the embedded latent reward is made, with ``videoalign train latent-reward`` on clips of the micro world.

The same is trained a second time on clean latents: the ablation that shows why a latent reward must see noise.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...reward.atomic_file import replacing
from .. import train_latent_reward_command
from ..latent_reward.config import Config
from ..latent_reward.task import RESULT
from ..micro_world import ClipFormat, write_prompt_groups
from .clip_encoding import fill_cache

EMBEDDED = Path(__file__).resolve().parents[2] / "backbones" / "embedded"
DIT, VAE = EMBEDDED / "micro_wan.safetensors", EMBEDDED / "micro_wan_vae.safetensors"
FINISHED, ABLATION = "micro_latent_reward.safetensors", "micro_latent_reward_clean.safetensors"


@dataclass(frozen=True)
class Recipe:
    """Sizes of the steps. The defaults make the embedded file; smaller ones make a test.

    Attributes:
        dit, vae: the micro video model.
        blocks: of it, that make the trunk.
        head_width: hidden channels of the heads.
        prompts, clips_per_prompt: training data; every two clips of a prompt make a pair.
        held_out_prompts, held_out_clips: of other prompts and clips, for the evaluation.
        steps, batch_size, rate, head_rate: optimizer steps, pairs a step, highest learning rates of trunk and heads.
        data_seed, held_out_seed: of the clips.
    """

    dit: Path = DIT
    vae: Path = VAE
    blocks: int = 3
    head_width: int = 48
    prompts: int = 1500
    clips_per_prompt: int = 4
    held_out_prompts: int = 100
    held_out_clips: int = 3
    steps: int = 700
    batch_size: int = 96
    rate: float = 5e-4
    head_rate: float = 1e-3
    seed: int = 7
    data_seed: int = 21
    held_out_seed: int = 910_001


def make_data(folder: Path, recipe: Recipe) -> tuple[Path, Path]:
    """Training and held-out pairs as MP4 files; each is made once."""
    sizes = {
        "train": (recipe.prompts, recipe.clips_per_prompt, recipe.data_seed),
        "held_out": (recipe.held_out_prompts, recipe.held_out_clips, recipe.held_out_seed),
    }
    files = []
    for name, (prompts, clips, seed) in sizes.items():
        files.append(folder / name / "pairs.jsonl")
        if not files[-1].exists():
            shutil.rmtree(folder / name, ignore_errors=True)
            write_prompt_groups(folder / name, prompts, clips, seed=seed)
    return files[0], files[1]


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
            "train": [folder / "train" / "pairs.jsonl"],
            "eval": [folder / "held_out" / "pairs.jsonl"],
            "width": form.size,
            "height": form.size,
            "frames": form.frames,
            "fps": form.fps,
            "cache": folder / "cache",
            "keep_in_memory": True,
            "group_by_prompt": True,
        },
        "model": {
            "trunk": recipe.dit,
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
    if not (folder / ABLATION).exists():
        fill_cache(training_config(folder, recipe))
    for clean, name in ((False, FINISHED), (True, ABLATION)):
        finished = folder / name
        if not finished.exists():
            config = training_config(folder, recipe, clean)
            if train_latent_reward_command.run(config) != 0:
                raise SystemExit(130)
            with replacing(finished) as temporary:
                shutil.copyfile(config.output / RESULT, temporary)
        yield finished
