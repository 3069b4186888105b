"""What a user connects as a clip, as the library's sources and back as VIDEO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ClipError, VideoAlignError
from .comfy_compat import io, video_from_images, video_source
from .nested_latents import is_nested, joined, parts, video_part


@dataclass(frozen=True)
class InputClip:
    """One clip: its name, what the library reads, the VIDEO that is passed on, and its LATENT when there is one."""

    name: str
    source: object
    video: object
    path: str | None = None
    latent: dict | None = None


def frame_inputs(fps: str, clips_in_batch: str) -> list:
    """The two widgets that IMAGE frames need beside them, with their tooltips."""
    return [
        io.Float.Input("fps", default=16.0, min=0.1, max=1000.0, step=0.01, tooltip=fps),
        io.Int.Input("clips_in_batch", default=1, min=1, max=256, tooltip=clips_in_batch),
    ]


def input_clips(clip: object, fps: float, clips_in_batch: int, latent: dict | None) -> Iterator[InputClip]:
    """Tell a VIDEO from IMAGE frames, and cut a batch of clips apart.

    Args:
        clip: a VIDEO, or IMAGE frames [clips * T, H, W, C], 0..1.
        fps: frame rate of IMAGE frames.
        clips_in_batch: clips of equal length that the IMAGE holds one after another.
        latent: LATENT with one sample for each clip, or None.

    Raises:
        VideoAlignError: the frames or the latents do not divide into that many clips.
    """
    latents = _split_latent(latent, clips_in_batch)
    if not hasattr(clip, "shape"):
        if clips_in_batch != 1:
            raise ClipError(
                f"clips_in_batch is {clips_in_batch}, but a VIDEO is one clip. Set it to 1, or connect IMAGE frames."
            )
        yield _from_video(clip, latents[0])
        return
    total = clip.shape[0]
    if total % clips_in_batch:
        raise ClipError(
            f"{total} frames do not divide into {clips_in_batch} clips of equal length. Set clips_in_batch to the batch size of "
            "the latents that were decoded."
        )
    length = total // clips_in_batch
    for index in range(clips_in_batch):
        pixels = clip[index * length : (index + 1) * length]
        name = f"clip {index + 1} of {clips_in_batch}" if clips_in_batch > 1 else "clip"
        yield _from_images(pixels, fps, name, latents[index])


def _from_video(video: object, latent: dict | None) -> InputClip:
    source = video_source(video)
    if source is None:
        components = video.get_components()
        frames = _frames(components.images, float(components.frame_rate), "clip")
        return InputClip("clip", frames, video, None, latent)
    path = str(source) if isinstance(source, (str, Path)) else None
    return InputClip(Path(path).stem if path else "clip", source, video, path, latent)


def _from_images(pixels, fps: float, name: str, latent: dict | None) -> InputClip:
    return InputClip(name, _frames(pixels, fps, name), video_from_images(pixels[..., :3], fps), None, latent)


def _frames(pixels, fps: float, name: str):
    from ..reward.clip import Frames

    return Frames(pixels, fps, name)


def _split_latent(latent: dict | None, clips: int) -> list[dict | None]:
    if latent is None:
        return [None] * clips
    samples = latent["samples"]
    count = video_part(samples).shape[0]
    if count != clips:
        raise VideoAlignError(
            f"The latent holds {count} samples, but there {'is 1 clip' if clips == 1 else f'are {clips} clips'}. Connect the LATENT "
            "that these clips were decoded from, and set clips_in_batch to its batch size."
        )
    return [{key: _sample(value, index, clips) for key, value in latent.items()} for index in range(clips)]


def _sample(value: object, index: int, clips: int) -> object:
    """The part of one clip: of tensors and lists with an entry for each; everything else is shared."""
    if clips > 1 and is_nested(value):
        return joined(value, [_sample(part, index, clips) for part in parts(value)])
    if clips > 1 and (isinstance(value, list) or hasattr(value, "shape")) and len(value) == clips:
        return value[index : index + 1]
    return value
