"""Data set files of other trainers: musubi-tuner (kohya-ss) and diffusion-pipe (tdrussell).

What they ask for, by their documentation (docs/dataset_config.md; examples/dataset.toml) and readers in November 2026:

- musubi-tuner: a TOML file with [general] and [[datasets]]; a video data set has video_jsonl_file, whose lines have video_path and
  caption, and then needs a cache_directory of its own; target_frames are 4 N + 1; source_fps is a decimal number, and without it
  every frame of a clip counts as one of the model's. Unknown keys are refused. A caption in a .txt file must be there.
- diffusion-pipe: a TOML file with [[directory]] and its path, whose files are all taken for clips but for .txt, .json and a few others;
  captions in .txt files of the same name, a clip without one is skipped; frame_buckets at the model's frame rate, of which a clip
  takes the longest that it fills, and one that fills none is dropped. Animated WebP ends it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...clips.opening import open_video
from ...files.portable_paths import path_text

MUSUBI, MUSUBI_LIST, DIFFUSION_PIPE = "musubi-tuner.toml", "musubi-tuner.jsonl", "diffusion-pipe.toml"
MOST_FRAMES = 81
_LOOKED_AT = 200
_HEAD = "# Written by videoalign filter. A further run writes it anew, unless it was changed by hand.\n"


@dataclass(frozen=True)
class ClipSizes:
    """What the kept clips have in common.

    Attributes:
        width, height: of most of them, in pixels, rounded down to multiples of 16.
        fps: frames per second, None where they differ.
        model_fps: frames per second of the model that is to be trained.
        frames: 4 N + 1 frames that every clip has for musubi-tuner, 81 at most.
        resampled_frames: likewise for diffusion-pipe, which brings every clip to the model's rate.
    """

    width: int
    height: int
    fps: float | None
    model_fps: float
    frames: int
    resampled_frames: int

    @property
    def source_fps(self) -> float | None:
        """What musubi-tuner is told: the clips' rate where they have one that is above the model's."""
        return self.fps if self.fps is not None and self.fps > self.model_fps else None


def clip_sizes(clips: Sequence[Path], model_fps: float) -> ClipSizes:
    """Look at the clips' headers, at 200 of them where there are more; what cannot be read is passed over."""
    step = max(1, len(clips) // _LOOKED_AT)
    found = [size for size in map(_size, clips[::step]) if size is not None]
    if not found:
        return ClipSizes(832, 480, None, model_fps, MOST_FRAMES, MOST_FRAMES)
    (width, height), _ = Counter((width, height) for width, height, _, _ in found).most_common(1)[0]
    rates = {round(fps, 3) for _, _, fps, _ in found}
    fps = rates.pop() if len(rates) == 1 else None
    resampled = min(frames * model_fps / rate for _, _, rate, frames in found)
    told = fps is not None and fps > model_fps
    shortest = resampled if told else min(frames for _, _, _, frames in found)
    sides = (max(width // 16, 1) * 16, max(height // 16, 1) * 16)
    return ClipSizes(*sides, fps, model_fps, _four_n_and_one(shortest), _four_n_and_one(resampled))


def musubi_list(clips: Sequence[tuple[Path, str]]) -> str:
    """JSON lines of clips and captions, for ``video_jsonl_file``."""
    lines = [{"video_path": path_text(path), "caption": caption} for path, caption in clips]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def musubi_config(folder: Path, sizes: ClipSizes) -> str:
    """The data set configuration of musubi-tuner.

    Args:
        folder: absolute; the list lies there, and the cache will.
    """
    rate = (
        f"source_fps = {sizes.source_fps:.3f} # frames are left out to come to the model's rate"
        if sizes.source_fps is not None
        else "# source_fps = 30.0 # of clips that all have one rate, above the model's; without it every frame is taken"
    )
    return f"""{_HEAD}
[general]
resolution = [{sizes.width}, {sizes.height}]
batch_size = 1
enable_bucket = true
bucket_no_upscale = true

[[datasets]]
video_jsonl_file = {_text(folder / MUSUBI_LIST)}
cache_directory = {_text(folder / "cache" / "musubi-tuner")}
target_frames = [{sizes.frames}]
frame_extraction = "head"
{rate}
num_repeats = 1
"""


def diffusion_pipe_config(clips: Path, sizes: ClipSizes) -> str:
    """The data set configuration of diffusion-pipe.

    Args:
        clips: absolute; the folder with the clips and their captions, and nothing else.
    """
    buckets = [1, sizes.resampled_frames] if sizes.resampled_frames > 1 else [1]
    return f"""{_HEAD}
resolutions = [[{sizes.width}, {sizes.height}]] # that area; clips keep their shape
enable_ar_bucket = true
min_ar = 0.5
max_ar = 2.0
num_ar_buckets = 7
frame_buckets = {buckets} # at the model's {sizes.model_fps:g} frames a second; a clip that is shorter than all but 1 is dropped

[[directory]]
path = {_text(clips)}
num_repeats = 1
"""


def _four_n_and_one(frames: float) -> int:
    """The largest 4 N + 1 that is not above, 1 at least and ``MOST_FRAMES`` at most."""
    return min(MOST_FRAMES, max(0, int(frames + 1e-6) - 1) // 4 * 4 + 1)


def _text(path: Path) -> str:
    return json.dumps(path_text(path), ensure_ascii=False)


def _size(clip: Path) -> tuple[int, int, float, int] | None:
    """Width, height, frames per second and frames of a clip, as its header says."""
    try:
        with open_video(clip) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 0)
            seconds = (
                float(stream.duration * stream.time_base)
                if stream.duration and stream.time_base
                else (container.duration or 0) / 1e6
            )
            frames = stream.frames or int(seconds * fps + 0.5)
            return (stream.width, stream.height, fps, frames) if fps > 0 and frames > 0 and stream.width else None
    except Exception:  # any damage of a clip: it is scored, so this is rare, and only a default is lost
        return None
