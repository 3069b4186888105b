"""Takes of the micro model that are watched the whole way: every step's latent, what a preview of it is worth, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videoalign.backbones.conditioning import rows_of
from videoalign.backbones.sampling import generate
from videoalign.clips.frames import Frames
from videoalign.clips.pixels import as_frames
from videoalign.files.atomic_file import replacing
from videoalign.generation.search.takes import PromptTakes
from videoalign.micro_world import measure
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.judge import Judge
from videoalign.reward.latent.latent_reward import LatentReward
from videoalign.reward.scoring_stream import score_clips


@dataclass(frozen=True)
class Observed:
    """The takes of one prompt, S seeds that are looked at L times.

    Attributes:
        prompt: their caption.
        looks: [L] after which steps.
        latents: [S, L, C, T, H, W] after these steps, float32.
        sigmas: [L] noise levels of them.
        previews: [S, L, 3] VQ, MQ, TA of the decoded clean clip that these steps foresaw, by the video judge.
        finished: [S, 3] those of the finished clip.
        measured: [S, 3] VQ, MQ, TA of the finished clip by the world's measurement.
    """

    prompt: str
    looks: np.ndarray
    latents: np.ndarray
    sigmas: np.ndarray
    previews: np.ndarray
    finished: np.ndarray
    measured: np.ndarray

    def latent_marks(self, takes: PromptTakes, reward: LatentReward) -> np.ndarray:
        """[S, L, 3] what a latent reward says of the noisy latents."""
        marks = np.empty(self.previews.shape)
        told = rows_of(takes.positive, [0] * len(self.latents))
        with torch.no_grad():
            for look, sigma in enumerate(self.sigmas):
                level = torch.full((len(self.latents),), float(sigma))
                marks[:, look] = reward.rewards(torch.from_numpy(self.latents[:, look]), level, told).numpy()
        return marks


def observe(
    file: Path, takes: PromptTakes, prompt: str, seeds: Sequence[int], looks: Sequence[int], judge: Judge
) -> Observed:
    """Watch the takes, or read what an earlier run kept in ``file``."""
    if not file.exists():
        observed = _observed(takes, prompt, seeds, looks, judge)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **vars(observed))
    with np.load(file) as stored:
        found = Observed(**{name: stored[name] for name in stored.files})
    if str(found.prompt) != prompt or len(found.finished) != len(seeds) or list(found.looks) != list(looks):
        raise SystemExit(f"{file} is of another prompt, other seeds or other looks; delete its folder.")
    return found


def values(marks: Sequence[dict]) -> np.ndarray:
    """[..., 3] VQ, MQ, TA of marks by name."""
    return np.array([[mark[name] for name in DIMENSIONS] for mark in marks])


def _observed(takes: PromptTakes, prompt: str, seeds: Sequence[int], looks: Sequence[int], judge: Judge) -> Observed:
    latents, cleans = [], []

    def look(x: Tensor, sigma: Tensor, velocity: Tensor) -> Tensor:
        latents.append(x)
        cleans.append(x - sigma.view(-1, 1, 1, 1, 1) * velocity)
        return velocity

    # All seeds at once, which is faster and equal up to rounding; what a search does seed by seed is tested elsewhere.
    models = takes.pipeline
    made = generate(
        models.backbone, None, models.text_encoder, [prompt] * len(seeds), list(seeds), takes.sampling, batch_size=len(seeds),
        guidance=lambda conditioning: look,
    )  # fmt: skip
    finished = torch.stack([clip.latents for clip in made])
    previews = [_judged(takes, cleans[step - 1], prompt, judge)[0] for step in looks]
    marks, frames = _judged(takes, finished, prompt, judge)
    measured = [measure(clip, prompt, takes.sampling.fps) for clip in frames]
    return Observed(
        prompt=prompt,
        looks=np.array(looks),
        latents=torch.stack([latents[step] for step in looks], 1).float().numpy(),
        sigmas=takes.levels[list(looks)].numpy(),
        previews=np.stack(previews, 1),
        finished=marks,
        measured=np.array([[getattr(one, name) for name in DIMENSIONS] for one in measured]),
    )


def _judged(takes: PromptTakes, latents: Tensor, prompt: str, judge: Judge) -> tuple[np.ndarray, list[np.ndarray]]:
    """[S, 3] marks of clean latents [S, C, T', H, W], and their frames."""
    with torch.no_grad():
        frames = [as_frames(takes.decoded(clip.float())) for clip in latents]
    clips = [Frames(clip, takes.sampling.fps) for clip in frames]
    return values([one.marks for one in score_clips(judge, clips, [prompt] * len(clips))]), frames
