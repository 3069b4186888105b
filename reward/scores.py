"""What VideoReward says about one clip and one caption."""

from __future__ import annotations

from dataclasses import dataclass

from .dimensions import DIMENSIONS
from .settings import Normalisation


@dataclass(frozen=True)
class ClipScores:
    """Scores of a clip.

    Attributes:
        VQ, MQ, TA: visual quality, motion quality and text alignment in standard deviations of the training set's
            scores (0 = average; not a percentage). TA is None without a caption.
        Overall: their sum, None without a caption.
        raw: the same before normalisation, by dimension (what the head puts out).
        caption: what TA was judged against, or None.
        frame_indices: sampled frames, 0-based positions in the clip.
        size: (height, width) in pixels that the model saw.
        total_frames, fps: of the clip.
        notes: what to know of how the clip is shown before its scores are compared; nothing for an ordinary one.

    Compare scores of one prompt, clip length and frame rate: more sampled frames raise them, a wrong fps changes them.
    """

    VQ: float
    MQ: float
    TA: float | None
    Overall: float | None
    raw: dict[str, float]
    caption: str | None
    frame_indices: tuple[int, ...]
    size: tuple[int, int]
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()

    @property
    def marks(self) -> dict[str, float | None]:
        """The scores by name, as every judge gives them."""
        return {"VQ": self.VQ, "MQ": self.MQ, "TA": self.TA, "Overall": self.Overall}

    @property
    def reasons(self) -> dict[str, str]:
        """VideoReward gives none."""
        return {}

    def to_dict(self) -> dict:
        """A JSON-ready dictionary: what ``videoalign score --json`` prints beside id, path and prompt."""
        return {
            "VQ": self.VQ,
            "MQ": self.MQ,
            "TA": self.TA,
            "Overall": self.Overall,
            "raw": self.raw,
            "frame_indices": list(self.frame_indices),
            "size": list(self.size),
            "total_frames": self.total_frames,
            "fps": self.fps,
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def clip_scores(raw: list[float], normalisation: Normalisation, caption: str | None, clip) -> ClipScores:
    """Build ``ClipScores`` from raw head outputs: [VQ, MQ, TA], or [VQ, MQ] without a caption."""
    padded = [*raw, float("nan")] if len(raw) == 2 else raw
    normalised = normalisation.apply(padded)
    has_text = len(raw) == 3
    return ClipScores(
        VQ=normalised[0],
        MQ=normalised[1],
        TA=normalised[2] if has_text else None,
        Overall=sum(normalised) if has_text else None,
        raw=dict(zip(DIMENSIONS, raw, strict=False)),
        caption=caption,
        frame_indices=tuple(clip.indices),
        size=clip.size,
        total_frames=clip.total_frames,
        fps=clip.fps,
        notes=tuple(clip.notes),
    )
