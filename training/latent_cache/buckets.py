"""Buckets: the sizes, lengths and rates that clips are brought to, and which clips go into which.

Clips that are compared must be alike, so all clips that are linked by rows (A with B, B with C) go into one bucket.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from ...errors import VideoAlignError

MAX_CROP = 1 / 3  # of a picture; what is cropped away cannot be part of what people preferred
MIN_RATE = 0.9  # of the bucket's frames a second; with fewer, frames would have to be shown twice


@dataclass(frozen=True)
class ClipShape:
    """What a clip is: picture size in pixels, frames, frames a second."""

    width: int
    height: int
    frames: int
    fps: float


@dataclass(frozen=True)
class Bucket:
    """What clips are brought to.

    Attributes:
        width, height: pixels.
        frames: taken from the clip's beginning.
        fps: frames a second at which they are taken.
    """

    width: int
    height: int
    frames: int
    fps: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}@{self.fps:g}"

    @classmethod
    def parse(cls, text: str) -> Bucket:
        """``832x480x81@16``: width, height, frames, frames a second.

        Raises:
            VideoAlignError: another form.
        """
        match = re.fullmatch(r"(\d+)x(\d+)x(\d+)@(\d+(?:\.\d+)?)", text.strip())
        if not match or min(map(float, match.groups())) <= 0:
            raise VideoAlignError(f"'{text}' is not a bucket; expected WIDTHxHEIGHTxFRAMES@FPS, such as 832x480x81@16.")
        return cls(*(int(match[number]) for number in (1, 2, 3)), float(match[4]))

    def indices(self, clip_fps: float) -> list[int]:
        """Positions in a clip of the frames that are taken."""
        return [round(number * clip_fps / self.fps) for number in range(self.frames)]

    def refusal(self, clip: ClipShape) -> str | None:
        """Why a clip cannot be brought to this bucket; None if it can."""
        if clip.fps < MIN_RATE * self.fps:
            return f"it has {clip.fps:g} frames a second, {self} takes {self.fps:g}"
        needed = self.indices(clip.fps)[-1] + 1
        if needed > clip.frames:
            return f"it has {clip.frames} frames, {self} needs {needed} at {clip.fps:g} frames a second"
        if self.crop(clip) > MAX_CROP:
            return f"it is {clip.width}x{clip.height}, {self} would cut away {self.crop(clip):.0%} of the picture"
        return None

    def crop(self, clip: ClipShape) -> float:
        """Share of the picture that is cut away."""
        ratio = (clip.width / clip.height) / (self.width / self.height)
        return 1 - min(ratio, 1 / ratio)


def choose_bucket(clips: Sequence[ClipShape], buckets: Sequence[Bucket]) -> Bucket | str:
    """The bucket that takes all of the clips: the best in shape, then the longest, then the largest that enlarges none.

    Returns:
        The bucket; or, where there is none, why the first clip that does not fit was refused by the bucket that comes
        closest.
    """
    fitting = [bucket for bucket in buckets if not any(bucket.refusal(clip) for clip in clips)]
    if not fitting:
        nearest = min(buckets, key=lambda bucket: (sum(bool(bucket.refusal(clip)) for clip in clips), bucket.frames))
        return next(refusal for clip in clips if (refusal := nearest.refusal(clip)))

    def badness(bucket: Bucket) -> tuple:
        area = bucket.width * bucket.height
        enlarged = sum(max(0.0, math.log(area / (clip.width * clip.height))) for clip in clips)
        return round(sum(bucket.crop(clip) for clip in clips), 2), -bucket.frames, round(enlarged, 2), -area

    return min(fitting, key=badness)


def linked(groups: Iterable[Sequence[Hashable]]) -> dict[Hashable, Hashable]:
    """A common representative for all members that groups connect, directly or through others."""
    parent: dict[Hashable, Hashable] = {}

    def root(member: Hashable) -> Hashable:
        while parent.setdefault(member, member) != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for group in groups:
        for member in group:
            parent[root(member)] = root(group[0])
    return {member: root(member) for member in list(parent)}
