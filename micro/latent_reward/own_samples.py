"""Groups of the micro model's own samples of one prompt, with the noisy latents that the sampler went through.

Re-noised clips do not tell what a sampler's latents do: there the noise is the one that the clip came from, and
classifier-free guidance has bent the way. One file a prompt, so that a run that was stopped goes on:

    FOLDER/INDEX.safetensors    "x" [seeds, steps + 1, C, T, H, W] float16 at the levels from noise to clean;
                                "measured", "reward" [seeds, 3] VQ, MQ, TA by the world and by the micro VideoReward;
                                metadata: prompt, seeds and levels as JSON
    FOLDER/videos/INDEX_SEED.mp4
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backbones.conditioning import collate
from ...backbones.flow_path import seeded_noise, sigmas
from ...backbones.sampling import guided_velocity, sample
from ...clips.frames import Frames
from ...clips.pixels import as_frames
from ...clips.video_file import write_video
from ...errors import WeightsError
from ...files.tensor_file import load_described, save_tensors
from ...generation.pipeline import Pipeline, load_pipeline
from ...micro_world import DIMENSIONS, caption, measure, sample_attributes
from ...reward.loading import load_video_reward

GUIDANCE_SCALE = 4.0
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


def make_own_samples(folder: Path, prompts: Sequence[str], seeds: int, first_seed: int) -> Iterator[Path]:
    """Make what is missing, prompt by prompt; yields each file. No two clips share a seed."""
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    pipeline = reward = None
    for index, prompt in enumerate(prompts):
        file = folder / f"{index:06d}.safetensors"
        if not file.exists():
            pipeline = pipeline or load_pipeline("micro", device="cpu")
            reward = reward or load_video_reward("micro", device="cpu")
            numbers = range(first_seed + index * seeds, first_seed + (index + 1) * seeds)
            _make(file, pipeline, reward, prompt, list(numbers))
        yield file


def load_own_samples(file: Path) -> OwnSamples:
    """Read a file that ``make_own_samples`` wrote."""
    remedy = "Delete it and run the recipe again."
    metadata, tensors = load_described(file, WeightsError, FORMAT, VERSION, "a group of samples", remedy)
    seeds, levels = json.loads(metadata["seeds"]), json.loads(metadata["levels"])
    return OwnSamples(
        metadata["prompt"], seeds, levels, tensors["x"].float(), tensors["measured"].clone(), tensors["reward"].clone()
    )


@torch.no_grad()
def _make(file: Path, pipeline: Pipeline, reward, prompt: str, seeds: list[int]) -> None:
    settings = replace(pipeline.backbone.sampling, guidance_scale=GUIDANCE_SCALE)
    levels = sigmas(settings.steps, settings.shift)
    shape = pipeline.backbone.latent_format.shape(settings.frames, settings.height, settings.width)
    texts = [collate(pipeline.text_encoder.encode([text] * len(seeds))) for text in (prompt, "")]
    way: list[Tensor] = []

    def look(x: Tensor, _sigma: Tensor, velocity: Tensor) -> Tensor:
        way.append(x)
        return velocity

    velocity = guided_velocity(pipeline.backbone.velocity, *texts, settings.guidance_scale)
    way.append(sample(velocity, seeded_noise(seeds, shape), levels, hook=look))
    marks = {"measured": [], "reward": []}
    for number, latents in enumerate(way[-1]):
        frames = as_frames(pipeline.vae.decode(latents[None].float())[0])
        write_video(file.parent / "videos" / f"{file.stem}_{number}.mp4", frames, settings.fps)
        marks["measured"].append([getattr(measure(frames, prompt, settings.fps), name) for name in DIMENSIONS])
        (score,) = reward.score([Frames(frames, settings.fps)], [prompt])
        marks["reward"].append([getattr(score, name) for name in DIMENSIONS])
    tensors = {"x": torch.stack(way, 1).half(), **{name: torch.tensor(rows) for name, rows in marks.items()}}
    metadata = {"format": FORMAT, "version": VERSION, "prompt": prompt}
    metadata |= {"seeds": json.dumps(seeds), "levels": json.dumps(levels.tolist())}
    save_tensors(file, tensors, metadata, WeightsError)
