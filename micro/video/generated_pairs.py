"""Clips of the micro video model and what the world's own measurement says of them: pairs of the kind that is judged later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...backbones.backbone import Backbone
from ...backbones.loading import load_backbone
from ...backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from ...backbones.micro_text import MicroTextEncoder
from ...backbones.sampling import generate
from ...backbones.vae import VAE
from ...backbones.vae_loading import load_vae
from ...clips.pixels import as_frames
from ...micro_world import DIMENSIONS, ClipFormat, JudgedClip, caption, measure, sample_attributes, write_groups

GUIDANCE_SCALES = (1.0, 1.0, 4.0, 4.0)  # of the clips of a prompt: without it and as the model is used
PROMPTS_AT_ONCE = 25
MARGIN = 0.05  # of ties; clips of one model differ less than drawn ones


def write_generated(
    folder: Path, prompts: int, seed: int, network: Path = MICRO_NETWORK, vae: Path = MICRO_VAE
) -> Path:
    """Write ``generated_groups`` as a data set of pairs, see ``micro_world.write_dataset``; returns its pairs.jsonl."""
    groups = generated_groups(prompts, seed, network, vae)
    return write_groups(folder, groups, f"micro-wan-{seed}", MARGIN, made_by="micro-wan")


def generated_groups(
    prompts: int,
    seed: int,
    network: Path = MICRO_NETWORK,
    vae: Path = MICRO_VAE,
    scales: Sequence[float] = GUIDANCE_SCALES,
) -> Iterator[list[JudgedClip]]:
    """For each of some random captions a clip at each guidance scale, measured. Equal seeds give equal clips."""
    models = load_backbone(network, dtype=torch.float32), load_vae(vae)
    for first in range(0, prompts, PROMPTS_AT_ONCE):
        yield from _groups(range(first, min(first + PROMPTS_AT_ONCE, prompts)), seed, *models, scales)


def _groups(indices: range, seed: int, backbone: Backbone, vae: VAE, scales: Sequence[float]) -> list[list[JudgedClip]]:
    form = ClipFormat()
    size = {"width": form.size, "height": form.size, "frames": form.frames, "fps": form.fps}
    texts = [caption(sample_attributes(np.random.default_rng([seed, index]))) for index in indices]
    columns = []
    for number, scale in enumerate(scales):
        seeds = [index * len(scales) + number for index in indices]
        settings = replace(backbone.sampling, guidance_scale=scale, **size)
        made = generate(backbone, vae, MicroTextEncoder(), texts, seeds, settings, batch_size=PROMPTS_AT_ONCE)
        columns.append([_judged(as_frames(clip.video), clip.prompt, clip.fps) for clip in made])
    return [list(group) for group in zip(*columns, strict=True)]


def _judged(frames: np.ndarray, text: str, fps: float) -> JudgedClip:
    measured = measure(frames, text, fps)
    return JudgedClip(frames, fps, text, {name: getattr(measured, name) for name in DIMENSIONS})
