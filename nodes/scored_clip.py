"""A clip with its scores: what travels along a SCORES wire, one tuple of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..reward.scores import ClipScores

DIMENSIONS = ("VQ", "MQ", "TA")
# The unit of scores, a standard deviation. Spelled out: the source stays readable in every code page.
SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
# Scores of clips that differ in one of these cannot be compared; attribute and how a person calls it.
COMPARED_ONLY_WITHIN = (
    ("prompt", "prompt"),
    ("total_frames", "number of frames"),
    ("fps", "frame rate"),
    ("model", "reward model"),
)


@dataclass(frozen=True)
class ScoredClip:
    """One clip's scores, where they come from, and the clip itself when it is at hand.

    Attributes:
        VQ, MQ, TA: scores in standard deviations of the reward's training set (sigma; 0 = average). TA is None without
            a caption.
        Overall: their sum, None without a caption.
        name: what people call the clip.
        prompt: the caption that TA was judged against, or None.
        model: the reward model's name.
        seed: the seed that the clip was sampled with, when it was told.
        total_frames, fps: length in frames and frames per second.
        raw: scores before normalisation, by dimension.
        path: file of the clip, when it has one.
        clip: a ComfyUI VIDEO, or None for scores read from a file.
        latent: a ComfyUI LATENT of this clip alone, or None.
        frames: small uint8 RGB pictures [n, h, w, 3] to show, in order, or None.
    """

    VQ: float
    MQ: float
    TA: float | None
    Overall: float | None
    name: str
    prompt: str | None = None
    model: str | None = None
    seed: int | None = None
    total_frames: int | None = None
    fps: float | None = None
    raw: dict[str, float] = field(default_factory=dict)
    path: str | None = None
    clip: object | None = field(default=None, repr=False, compare=False)
    latent: dict | None = field(default=None, repr=False, compare=False)
    frames: np.ndarray | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, scores: ClipScores, name: str, **about) -> ScoredClip:
        """From the library's scores; ``about`` are this class's other attributes."""
        return cls(
            VQ=scores.VQ,
            MQ=scores.MQ,
            TA=scores.TA,
            Overall=scores.Overall,
            name=name,
            prompt=scores.caption,
            total_frames=scores.total_frames,
            fps=scores.fps,
            raw=dict(scores.raw),
            **about,
        )

    def shown(self) -> dict:
        """What the frontend shows of it, JSON-ready."""
        return {
            "name": self.name,
            "VQ": self.VQ,
            "MQ": self.MQ,
            "TA": self.TA,
            "Overall": self.Overall,
            "unit": SIGMA,
            "prompt": self.prompt,
            "model": self.model,
            "seed": self.seed,
            "total_frames": self.total_frames,
            "fps": self.fps,
        }


def comparability_notes(clips: list[ScoredClip]) -> list[str]:
    """One sentence for each thing in which the clips differ although only like may be compared with like."""
    notes = []
    for attribute, words in COMPARED_ONLY_WITHIN:
        found = {getattr(clip, attribute) for clip in clips} - {None}
        if len(found) > 1:
            notes.append(f"The clips differ in their {words}: scores compare only within one {words}.")
    return notes
