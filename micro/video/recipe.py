"""How the embedded micro video model is made, stage by stage; each goes on where it was stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ...backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from ...backbones.vae_loading import load_vae
from ...backbones.wan_whole_clip import encode_whole
from ...clips.pixels import as_video
from .clips import write_shard
from .encoding import captions_of, write_latents
from .finished_files import fold_statistics, save_dit, save_vae
from .flow_training import FlowTraining, LatentPool, new_dit, train_flow
from .vae_training import ClipPool, VaePhase, new_vae, train_vae

VAE_FILE, DIT_FILE = MICRO_VAE.name, MICRO_NETWORK.name

VAE_PHASES = (
    VaePhase(frames=1, side=32, batch=32, steps=450, rate=4e-3, square_weight=10.0),
    VaePhase(frames=9, side=32, batch=6, steps=400, rate=3e-3, square_weight=3.0),
    VaePhase(frames=9, side=32, batch=6, steps=300, rate=1.5e-3, square_weight=0.3),
    VaePhase(frames=9, side=32, batch=6, steps=500, rate=3e-3, square_weight=0.5),
    VaePhase(frames=17, side=64, batch=2, steps=400, rate=2e-3, square_weight=0.3, decoder_only=True),
)


@dataclass(frozen=True)
class Recipe:
    """Sizes of the stages. The defaults make the embedded files; smaller ones make a test.

    Attributes:
        shards, shard_size: files of rendered clips, and clips in each.
        base_dim: base width of the VAE, a multiple of 8 suits CPUs.
        vae_phases: of the VAE's training.
        statistics_clips: for the mean and the standard deviation of the latents.
        flow: the DiT and its training.
    """

    shards: int = 70
    shard_size: int = 100
    base_dim: int = 8
    vae_phases: Sequence[VaePhase] = VAE_PHASES
    statistics_clips: int = 100
    flow: FlowTraining = field(default_factory=FlowTraining)
    clip_seed: int = 2026
    vae_seed: int = 31
    flow_seed: int = 77


def make_clips(folder: Path, recipe: Recipe) -> list[Path]:
    """Render the clips; returns their files."""
    return [write_shard(folder / "clips", recipe.clip_seed, shard, recipe.shard_size) for shard in range(recipe.shards)]


def make_vae(folder: Path, recipe: Recipe, clips: Sequence[Path]) -> Path:
    """Train the VAE and write its file."""
    finished = folder / VAE_FILE
    if not finished.exists():
        vae = new_vae(recipe.base_dim, recipe.vae_seed)
        pool = ClipPool(clips, recipe.vae_seed)
        for _ in train_vae(folder / "vae_state.pt", vae, pool, recipe.vae_phases, report=_report):
            pass
        frames = np.load(clips[0], mmap_mode="r")[: recipe.statistics_clips]
        with torch.no_grad():
            latents = torch.cat([encode_whole(vae, as_video(frames[i : i + 1]))[0] for i in range(len(frames))])
        fold_statistics(vae, latents)
        save_vae(finished, vae)
    return finished


def make_latents(folder: Path, vae_file: Path, clips: Sequence[Path]) -> None:
    """Encode the clips with the finished VAE."""
    vae = load_vae(vae_file)
    for file in clips:
        write_latents(folder / "latents", vae, file)


def make_dit(folder: Path, recipe: Recipe) -> Path:
    """Train the DiT; its file is there after the first saving and grows better with each one."""
    pool = LatentPool(folder / "latents", lambda file: captions_of(folder / "clips", file))
    dit = new_dit(recipe.flow, recipe.flow_seed)
    for _, weights in train_flow(folder / "flow_state.pt", dit, pool, recipe.flow, recipe.flow_seed, report=_report):
        save_dit(folder / DIT_FILE, weights)
    return folder / DIT_FILE


def make_video_model(folder: Path, recipe: Recipe | None = None) -> tuple[Path, Path]:
    """Run all stages into ``folder``; returns the files of the VAE and of the DiT."""
    recipe = recipe or Recipe()
    (folder / "latents").mkdir(parents=True, exist_ok=True)
    clips = make_clips(folder, recipe)
    vae_file = make_vae(folder, recipe, clips)
    make_latents(folder, vae_file, clips)
    return vae_file, make_dit(folder, recipe)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
