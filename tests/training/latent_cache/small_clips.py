"""Small clips of coarse noise."""

import numpy as np

from videoalign.clips.video_file import write_video
from videoalign.training.flow.rows import FlowRow
from videoalign.training.latent_cache import Bucket

BUCKET = Bucket(32, 32, 5, 8)
PROMPTS = ("one red circle moves up over a plain grey ground", "two blue squares move left over a plain black ground")


def write_clip(path, seed=0, width=32, height=32, frames=6, fps=8, image=None):
    """``image``: seed of the first frame, for clips that begin alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (frames, height // 8, width // 8, 3), dtype=np.uint8)
    if image is not None:
        coarse[0] = np.random.default_rng(image).integers(0, 256, coarse.shape[1:], dtype=np.uint8)
    write_video(path, coarse.repeat(8, axis=1).repeat(8, axis=2), fps)
    return path


def clip_row(prompt, clips, name, fps=None):
    """A row of clips that are compared."""
    return FlowRow(prompt, dict(zip("ab", clips, strict=False)), name, fps=fps)
