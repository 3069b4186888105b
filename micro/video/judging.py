"""Judges clips of the micro video model by the world's own measurement, beside the clips that it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...backbones.loading import load_backbone
from ...backbones.micro_text import MicroTextEncoder
from ...backbones.sampling import generate
from ...backbones.vae_loading import load_vae
from ...clips.pixels import as_frames
from ...micro_world import measure
from ...micro_world.measure import Measurement
from ...micro_world.scene import TEXT_ATTRIBUTES, caption, parse_caption, sample_attributes

CAPTION_SEED = 4242


def judged_captions(count: int) -> list[str]:
    """Random captions, the same each time."""
    return [caption(sample_attributes(np.random.default_rng([CAPTION_SEED, i]))) for i in range(count)]


def sample_clips(dit_file: Path, vae_file: Path, captions: Sequence[str], **settings: float) -> list[np.ndarray]:
    """One clip [T, H, W, 3] uint8 a caption; seed i makes the noise of clip i. ``settings`` replace the file's."""
    import torch

    backbone, vae = load_backbone(dit_file, dtype=torch.float32), load_vae(vae_file)
    chosen = replace(backbone.sampling, **settings)
    seeds = list(range(len(captions)))
    made = generate(backbone, vae, MicroTextEncoder(), captions, seeds, chosen, batch_size=25)
    return [as_frames(clip.video) for clip in made]


def summary(measured: Sequence[Measurement], captions: Sequence[str]) -> dict[str, float]:
    """Means of the qualities, shares of clips with a shape and with each attribute right, and fault degrees."""
    described = [parse_caption(text) for text in captions]
    row = {name: float(np.mean([getattr(one, name) for one in measured])) for name in ("VQ", "MQ", "TA")}
    row["with_shape"] = float(np.mean([one.colour is not None for one in measured]))
    for name in TEXT_ATTRIBUTES:
        right = [getattr(one, name) == getattr(said, name) for one, said in zip(measured, described, strict=True)]
        row[name] = float(np.mean(right))
    for name in ("noise", "blur", "fade", "blocks"):
        row[name] = float(np.mean([getattr(one, name) for one in measured]))
    for name in ("jitter", "teleport", "freeze", "surge", "slow", "fast", "flicker", "missing"):
        row[name] = float(np.mean([getattr(one.motion, name) for one in measured]))
    return row


def judge(clips: Sequence[np.ndarray], captions: Sequence[str]) -> dict[str, float]:
    """Measure clips against their captions; see ``summary``."""
    return summary([measure(clip, text) for clip, text in zip(clips, captions, strict=True)], captions)


def contact_sheet(path: Path, clips: Sequence[np.ndarray], frames: int = 9) -> None:
    """Write a picture with one row a clip: ``frames`` of its frames, evenly spaced."""
    from PIL import Image

    rows = [np.concatenate(clip[np.linspace(0, len(clip) - 1, frames).round().astype(int)], axis=1) for clip in clips]
    Image.fromarray(np.concatenate(rows)).save(path)
