"""Planted clips: what is wrong with them, and how much, is known."""

import numpy as np
import pytest

from videoalign.measures.trace import ClipWatcher


def smooth(noise, times):
    """Noise blurred by a cross of five pixels, repeatedly, its edges joined, over all levels: by numpy alone."""
    noise = noise.astype(np.float64)
    for _ in range(times):
        noise = sum(np.roll(noise, step, axis) for axis in (0, 1) for step in (-1, 1)) / 8 + noise / 2
    return np.round(255 * (noise - noise.min()) / (noise.max() - noise.min())).astype(np.uint8)


@pytest.fixture(scope="session")
def texture():
    """A picture without a repeat, uint8 RGB [512, 768, 3], with detail of some ten pixels."""
    rng = np.random.default_rng(0)
    return np.stack([smooth(rng.random((512, 768)), 60) for _ in range(3)], -1)


@pytest.fixture(scope="session")
def window(texture):
    """``window(x, y)``: 256 x 320 of the texture, [256, 320, 3], from row y and column x."""
    return lambda x=0, y=0: np.ascontiguousarray(texture[128 + y :][:256, 200 + x :][:, :320])


@pytest.fixture
def traced():
    """The trace of frames [T, H, W, 3]."""

    def traced(frames, fps=8.0):
        watcher = ClipWatcher(len(frames), fps)
        for frame in frames:
            watcher.see(frame)
        return watcher.trace

    return traced
