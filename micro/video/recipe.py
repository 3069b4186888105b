"""How the embedded micro video model is made, stage by stage; each goes on where it was stopped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ...backbones.loading import load_backbone
from ...backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from ...backbones.vae_loading import load_vae
from ...clips.pixels import as_video
from .clips import write_shard
from .encoding import write_latents
from .finished_files import fold_statistics, save_dit, save_vae
from .flow_training import FlowTraining, LatentPool, begin_flow_from, new_dit, train_flow
from .linear_encoder import encode_linear
from .made_latents import read_made, write_made
from .vae_training import ClipPool, VaePhase, new_vae, train_vae

VAE_FILE, DIT_FILE = MICRO_VAE.name, MICRO_NETWORK.name
BEGUN_VAE_FILE, FLOW_STATE_FILE = "begun_vae.safetensors", "flow_state.pt"

VAE_PHASES = (
    VaePhase(frames=1, side=32, batch=32, steps=450, rate=4e-3, square_weight=10.0),
    VaePhase(frames=9, side=32, batch=6, steps=800, rate=3e-3, square_weight=0.5),
    VaePhase(frames=17, side=64, batch=2, steps=1000, rate=2e-3, square_weight=0.3),
)
FINISHING = VaePhase(frames=17, side=64, batch=2, steps=500, rate=1e-3, square_weight=0.3, made_share=0.6)


@dataclass(frozen=True)
class Recipe:
    """Sizes of the stages. The defaults make the embedded files; smaller ones make a test.

    Attributes:
        shards, shard_size: files of latents that the network learns from, and clips in each.
        vae_shards: files of clips that the decoder learns from, of as many clips.
        base_dim: base width of the VAE, a multiple of 8.
        vae_phases: of the decoder's training, before the network's.
        finishing: of the decoder's training afterwards, also on what the network makes.
        made: how many clips the network makes for that.
        flow: the DiT and its training.
    """

    shards: int = 260
    shard_size: int = 100
    vae_shards: int = 10
    base_dim: int = 8
    vae_phases: Sequence[VaePhase] = VAE_PHASES
    finishing: VaePhase = FINISHING
    made: int = 400
    flow: FlowTraining = field(default_factory=FlowTraining)
    clip_seed: int = 2026
    made_seed: int = 2027
    vae_seed: int = 31
    flow_seed: int = 77


def make_clips(folder: Path, recipe: Recipe) -> list[Path]:
    """Render the clips for the decoder; returns their files."""
    return [write_shard(folder / "clips", recipe.clip_seed, i, recipe.shard_size) for i in range(recipe.vae_shards)]


def make_vae(folder: Path, recipe: Recipe, clips: Sequence[Path]) -> Path:
    """Compute the encoder, train the decoder, and write their file: the network can learn from its latents."""
    begun = folder / BEGUN_VAE_FILE
    if not begun.exists():
        frames = np.load(clips[0], mmap_mode="r")
        vae = new_vae(recipe.base_dim, recipe.vae_seed, frames)
        fold_statistics(vae, encode_linear(vae, as_video(frames)))
        pool = ClipPool(clips, recipe.vae_seed)
        for _ in train_vae(folder / "vae_state.pt", vae, pool, recipe.vae_phases, report=_report):
            pass
        save_vae(begun, vae)
    return begun


def make_latents(folder: Path, vae_file: Path, recipe: Recipe) -> None:
    """Draw the clips that the network learns from, and keep their latents."""
    vae = load_vae(vae_file)
    for shard in range(recipe.shards):
        write_latents(folder / "latents", vae, recipe.clip_seed, shard, recipe.shard_size)


def make_dit(folder: Path, recipe: Recipe) -> Path:
    """Train the DiT; its file is there after the first saving and grows better with each one."""
    pool = LatentPool(folder / "latents")
    dit = new_dit(recipe.flow, recipe.flow_seed)
    for _, weights in train_flow(folder / FLOW_STATE_FILE, dit, pool, recipe.flow, recipe.flow_seed, report=_report):
        save_dit(folder / DIT_FILE, weights)
    return folder / DIT_FILE


def finish_vae(folder: Path, recipe: Recipe, clips: Sequence[Path], begun: Path, dit_file: Path) -> Path:
    """Train the decoder further on what the network makes; the encoder, and so the latents, stay as they are."""
    finished, made = folder / VAE_FILE, folder / "made.safetensors"
    if not finished.exists():
        vae = load_vae(begun)
        if not made.exists():
            write_made(made, load_backbone(dit_file, dtype=torch.float32), vae, recipe.made, recipe.made_seed)
        vae.module.requires_grad_(True)
        pool = ClipPool(clips, recipe.vae_seed, read_made(made))
        for _ in train_vae(folder / "finishing_state.pt", vae.module, pool, [recipe.finishing], report=_report):
            pass
        save_vae(finished, vae.module)
    return finished


def begin_from(folder: Path, network: Path, vae: Path, step: int) -> None:
    """Let the recipe go on from the files of a run whose states are lost, its network being that of ``step``.

    What the folder has already stays as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / BEGUN_VAE_FILE).exists():
        shutil.copyfile(vae, folder / BEGUN_VAE_FILE)
    if not (folder / FLOW_STATE_FILE).exists():
        begin_flow_from(folder / FLOW_STATE_FILE, load_backbone(network, dtype=torch.float32).module.state_dict(), step)


def make_video_model(folder: Path, recipe: Recipe | None = None) -> tuple[Path, Path]:
    """Run all stages into ``folder``; returns the files of the VAE and of the DiT."""
    recipe = recipe or Recipe()
    (folder / "latents").mkdir(parents=True, exist_ok=True)
    clips = make_clips(folder, recipe)
    begun = make_vae(folder, recipe, clips)
    make_latents(folder, begun, recipe)
    dit_file = make_dit(folder, recipe)
    return finish_vae(folder, recipe, clips, begun, dit_file), dit_file


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
