"""Groups of the micro model's own samples of one prompt, with the noisy latents that the sampler went through.

Re-noised clips do not tell what a sampler's latents do: there the noise is the one that the clip came from, and
classifier-free guidance has bent the way. One file a prompt, so that a run that was stopped goes on:

    FOLDER/INDEX.safetensors    "x" [seeds, steps + 1, C, T, H, W] float16 at the levels from noise to clean;
                                "measured", "reward" [seeds, 3] VQ, MQ, TA by the world and by the micro VideoReward;
                                metadata: prompt, seeds and levels as JSON
    FOLDER/videos/INDEX_SEED.mp4
    FOLDER/pairs.jsonl          every two clips of each prompt, labelled by the measurement, as the other pairs are
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backbones.backbone import Backbone
from ...backbones.conditioning import collate
from ...backbones.flow_path import seeded_noise, sigmas
from ...backbones.loading import load_backbone
from ...backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from ...backbones.micro_text import MicroTextEncoder
from ...backbones.sampling import guided_velocity, sample
from ...backbones.vae import VAE
from ...backbones.vae_loading import load_vae
from ...clips.frames import Frames
from ...clips.pixels import as_frames
from ...clips.video_file import write_video
from ...errors import WeightsError
from ...files.atomic_file import write_text
from ...files.tensor_file import load_described, save_tensors
from ...micro_world import DIMENSIONS, ClipFormat, JudgedClip, Pair, caption, label_pair, measure, sample_attributes
from ...micro_world.pairs import native_record
from ...reward.loading import load_video_reward
from ...reward.video_reward import VideoReward
from ..video.generated_pairs import MARGIN

GUIDANCE_SCALE = 4.0
HELD_OUT_SEED, HELD_OUT_SEEDS_FROM = 910_003, 5_000_000  # of prompts that no training has, and of their clips
FORMAT, VERSION = "videoalign.own_samples", "1"


@dataclass(frozen=True)
class OwnSamples:
    """Some seeds of one prompt.

    Attributes:
        prompt, seeds: what they were made from.
        levels: [steps + 1] noise levels, from 1 to 0.
        x: [seeds, steps + 1, C, T, H, W] float32, the sampler's latents at each level; the last are clean.
        measured, reward: [seeds, 3] VQ, MQ, TA by the world's measurement and by the micro VideoReward.
    """

    prompt: str
    seeds: list[int]
    levels: list[float]
    x: Tensor
    measured: Tensor
    reward: Tensor

    def foreseen(self, step: int) -> Tensor:
        """[seeds, C, T, H, W] clean latents that the step which ended at ``levels[step]`` foresaw; step from 1 on."""
        before, after = self.levels[step - 1], self.levels[step]
        velocity = (self.x[:, step - 1] - self.x[:, step]) / (before - after)
        return self.x[:, step - 1] - before * velocity


def random_prompts(count: int, seed: int) -> list[str]:
    """The first captions of a seed."""
    return [caption(sample_attributes(np.random.default_rng([seed, index]))) for index in range(count)]


def distinct_prompts(count: int, seed: int, without: Collection[str] = ()) -> list[str]:
    """The first captions of a seed that differ from each other and from ``without``."""
    found: dict[str, None] = {}
    index = 0
    while len(found) < count:
        text = caption(sample_attributes(np.random.default_rng([seed, index])))
        if text not in without:
            found.setdefault(text)
        index += 1
    return list(found)


def make_own_samples(
    folder: Path,
    prompts: Sequence[str],
    seeds: int,
    first_seed: int,
    network: Path = MICRO_NETWORK,
    vae: Path = MICRO_VAE,
) -> Iterator[Path]:
    """Make what is missing, prompt by prompt; yields each file. No two clips share a seed."""
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    models = None
    for index, prompt in enumerate(prompts):
        file = folder / f"{index:06d}.safetensors"
        if not file.exists():
            models = models or _Models(
                load_backbone(network, dtype=torch.float32), load_vae(vae), load_video_reward("micro", device="cpu")
            )
            numbers = range(first_seed + index * seeds, first_seed + (index + 1) * seeds)
            _make(file, models, prompt, list(numbers))
        yield file


def write_own_pairs(folder: Path, files: Sequence[Path], clips_per_prompt: int | None = None) -> Path:
    """Write pairs.jsonl for some groups of a folder; returns it.

    Args:
        clips_per_prompt: the first so many of each; all by default.
    """
    lines, fps = [], ClipFormat().fps
    for file in files:
        group = load_own_samples(file)
        marks = [dict(zip(DIMENSIONS, row, strict=True)) for row in group.measured[:clips_per_prompt].tolist()]
        clips = [JudgedClip(np.empty((0, 0, 0, 3), np.uint8), fps, group.prompt, mark) for mark in marks]
        for i, j in itertools.combinations(range(len(clips)), 2):
            pair = Pair(group.prompt, clips[i], clips[j], label_pair(clips[i], clips[j], MARGIN))
            path = {side: f"videos/{file.stem}_{number}.mp4" for side, number in (("A", i), ("B", j))}
            lines.append(json.dumps(native_record(f"own-{file.stem}-{i}{j}", pair, path)) + "\n")
    write_text(folder / "pairs.jsonl", "".join(lines))
    return folder / "pairs.jsonl"


def load_own_samples(file: Path) -> OwnSamples:
    """Read a file that ``make_own_samples`` wrote."""
    remedy = "Delete it and run the recipe again."
    metadata, tensors = load_described(file, WeightsError, FORMAT, VERSION, "a group of samples", remedy)
    seeds, levels = json.loads(metadata["seeds"]), json.loads(metadata["levels"])
    return OwnSamples(
        metadata["prompt"], seeds, levels, tensors["x"].float(), tensors["measured"].clone(), tensors["reward"].clone()
    )


@dataclass(frozen=True)
class _Models:
    backbone: Backbone
    vae: VAE
    reward: VideoReward


@torch.no_grad()
def _make(file: Path, models: _Models, prompt: str, seeds: list[int]) -> None:
    backbone, form, encoder = models.backbone, ClipFormat(), MicroTextEncoder()
    levels = sigmas(backbone.sampling.steps, backbone.sampling.shift)
    shape = backbone.latent_format.shape(form.frames, form.size, form.size)
    texts = [collate(encoder.encode([text] * len(seeds))) for text in (prompt, "")]
    way: list[Tensor] = []

    def look(x: Tensor, _sigma: Tensor, velocity: Tensor) -> Tensor:
        way.append(x)
        return velocity

    velocity = guided_velocity(backbone.velocity, *texts, GUIDANCE_SCALE)
    way.append(sample(velocity, seeded_noise(seeds, shape), levels, hook=look))
    marks = {"measured": [], "reward": []}
    for number, latents in enumerate(way[-1]):
        frames = as_frames(models.vae.decode(latents[None].float())[0])
        write_video(file.parent / "videos" / f"{file.stem}_{number}.mp4", frames, form.fps)
        marks["measured"].append([getattr(measure(frames, prompt, form.fps), name) for name in DIMENSIONS])
        (score,) = models.reward.score([Frames(frames, form.fps)], [prompt])
        marks["reward"].append([getattr(score, name) for name in DIMENSIONS])
    tensors = {"x": torch.stack(way, 1).half(), **{name: torch.tensor(rows) for name, rows in marks.items()}}
    metadata = {"format": FORMAT, "version": VERSION, "prompt": prompt}
    metadata |= {"seeds": json.dumps(seeds), "levels": json.dumps(levels.tolist())}
    save_tensors(file, tensors, metadata, WeightsError)
