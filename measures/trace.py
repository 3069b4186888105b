"""The values of one clip over time, taken while its frames go by: none but the last is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import ClipError
from .colour import saturation
from .cuts import colour_histogram, cuts, histogram_distance
from .dynamic_degree import sampled_indices
from .flicker import mean_difference
from .flow import Motion, dense_flow, motion
from .light import Light, light
from .opencv import opencv
from .sharpness import laplacian_variance
from .still_frames import StillRun, still_runs
from .working_size import DETAIL_SIDE, MOTION_SIDE, at_working_size


@dataclass
class ClipTrace:
    """A clip's values over time.

    Attributes:
        total, fps: number of frames, and frames a second.
        differences: of each frame but the first to the one before, mean absolute, levels of 255, at full size.
        sharpness: variance of the Laplacian of each frame.
        light: exposure of each frame.
        saturation: of each frame, 0 to 1.
        distances: histogram distance of each frame but the first to the one before, 0 to 1.
        sampled: indices of the frames between which motion is measured.
        motions: of each pair of them.
    """

    total: int
    fps: float
    differences: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    light: list[Light] = field(default_factory=list)
    saturation: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    sampled: list[int] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=list)

    @property
    def pairs_per_second(self) -> float:
        """How many pairs of sampled frames a second has."""
        return self.fps / (self.sampled[1] - self.sampled[0])

    @property
    def cuts(self) -> list[int]:
        """Indices of the frames that begin a new shot."""
        return cuts(self.distances)

    @property
    def pairs_in_a_shot(self) -> list[tuple[int, int, Motion]]:
        """(first frame, second frame, motion) of the sampled pairs without a cut between them: across one, flow has no meaning.

        All pairs where there is a cut in each.
        """
        pairs = list(zip(self.sampled, self.sampled[1:], self.motions, strict=False))
        whole = [pair for pair in pairs if not any(pair[0] < cut <= pair[1] for cut in self.cuts)]
        return whole or pairs

    @property
    def still_runs(self) -> list[StillRun]:
        """Runs of frames that are one picture."""
        return still_runs(self.differences)


class ClipWatcher:
    """Measures the frames of a clip as it sees them (``clips.frames.Watcher``); ``trace`` is what it has measured.

    Motion, colour and cuts are measured at a shorter side of 256 pixels, sharpness and light at 480, flicker and standstill at
    full size.

    Args:
        total, fps: number of frames of the clip, and frames a second.

    Raises:
        ClipError: the clip is a single picture.
    """

    def __init__(self, total: int, fps: float) -> None:
        if total < 2:
            raise ClipError(
                "A single picture has neither motion nor flicker: a clip to measure needs two frames or more."
            )
        self.trace = ClipTrace(total, fps, sampled=sampled_indices(total, fps))
        self._samples = frozenset(self.trace.sampled)
        self._before: np.ndarray | None = None
        self._histogram: np.ndarray | None = None
        self._grey: np.ndarray | None = None

    def see(self, picture: np.ndarray) -> None:
        """The next frame, uint8 RGB [H, W, 3]."""
        cv2, trace = opencv(), self.trace
        picture = np.ascontiguousarray(picture)
        index = len(trace.sharpness)
        if self._before is not None:
            trace.differences.append(mean_difference(picture, self._before))
        self._before = picture
        detail = at_working_size(picture, DETAIL_SIDE)
        grey = cv2.cvtColor(detail, cv2.COLOR_RGB2GRAY)
        trace.sharpness.append(laplacian_variance(grey))
        trace.light.append(light(grey))
        small = at_working_size(detail, MOTION_SIDE)
        trace.saturation.append(saturation(small))
        histogram = colour_histogram(small)
        if self._histogram is not None:
            trace.distances.append(histogram_distance(histogram, self._histogram))
        self._histogram = histogram
        if index in self._samples:
            small_grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
            if self._grey is not None:
                trace.motions.append(motion(dense_flow(self._grey, small_grey)))
            self._grey = small_grey
