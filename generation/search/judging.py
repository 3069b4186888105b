"""Judging takes that are not finished: by a video judge on the clean clip that they foresee, or by a latent reward on what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ...clips.frames import Frames
from ...clips.pixels import as_frames
from ...reward.dimensions import DIMENSIONS
from ...reward.judge import Judge, all_dimensions
from ...reward.scoring_stream import score_clips
from ...reward.search.seed_search import Marks
from .takes import Take, check_finite


class TakeJudge(Protocol):
    """Gives marks to a take at the step that it has reached.

    Attributes:
        lower_is_better: names of marks of which less is better.
    """

    lower_is_better: frozenset[str]

    def identity(self) -> dict:
        """What a stored mark depends on besides clip and step, JSON-ready."""

    def marks(self, take: Take, prompt: str) -> tuple[Marks, np.ndarray | None]:
        """Marks, and the frames that were seen, uint8 [T, H, W, 3]; None where none were made.

        Raises:
            VideoAlignError: it cannot be judged.
        """


class PreviewJudge:
    """Any judge of clips, shown the decoded clean clip that the last step foresaw.

    Args:
        latent_frames: decode only the first so many latent frames; all of them where None.
    """

    def __init__(self, judge: Judge, latent_frames: int | None = None) -> None:
        self.judge, self.latent_frames = judge, latent_frames
        self.lower_is_better = frozenset(one.name for one in all_dimensions(judge) if not one.higher_is_better)

    def identity(self) -> dict:
        """See ``TakeJudge``."""
        return {"judge": self.judge.name, **self.judge.identity(), "latent_frames": self.latent_frames}

    def marks(self, take: Take, prompt: str) -> tuple[Marks, np.ndarray]:
        """See ``TakeJudge``."""
        clean = check_finite(take.clean, take.seed)
        frames = as_frames(take.takes.decoded(clean[:, : self.latent_frames]))
        clip = Frames(frames, take.takes.sampling.fps, f"seed {take.seed}")
        return score_clips(self.judge, [clip], [prompt])[0].marks, frames


class LatentJudge:
    """A latent reward, which sees the noisy latent itself; nothing is decoded."""

    lower_is_better: frozenset[str] = frozenset()

    def __init__(self, file: Path, device: str) -> None:
        from ...reward.latent.reward_file import load_latent_reward

        self.file, self.reward = file, load_latent_reward(file, device=device)

    def identity(self) -> dict:
        """See ``TakeJudge``."""
        from ..identity import file_key

        return {"latent_reward": file_key(self.file)}

    def marks(self, take: Take, prompt: str) -> tuple[Marks, None]:
        """See ``TakeJudge``."""
        sigma = torch.full((1,), take.sigma, device=take.x.device)
        with torch.no_grad():
            values = self.reward.rewards(check_finite(take.x, take.seed), sigma, take.takes.positive)[0].tolist()
        return dict(zip(DIMENSIONS, values, strict=True)), None
