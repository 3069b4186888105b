"""Building a latent cache: choose buckets, encode what is missing, one entry at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from ...backbones.image_conditioning import image_latents
from ...errors import ClipError, VideoAlignError, afterwards
from .buckets import Bucket, ClipShape, choose_bucket, linked
from .cache import (
    LatentCache,
    caption_file,
    entry_key,
    image_file,
    is_whole,
    latents_file,
    read_entry,
    write_caption,
    write_image,
    write_latents,
)
from .clip_pixels import KnownClips, read_clip, read_first_frame
from .encoders import Encoders
from .first_frames import ComparedFrames, SourceImage, further_images

Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)."""

_HALF_MAX = torch.finfo(torch.float16).max
_CAPTIONS_AT_ONCE = 8
_LEFT_OVER_SECONDS = 3600  # a temporary file older than this belongs to a process that was killed


class CacheRow(Protocol):
    """Clips that are compared, and their prompt: a resolved preference pair, or a row of the flow trainers.

    Attributes:
        prompt: the text that they were made from.
        clips: one, or the two of a pair, by side.
        name: what error messages call the row.
        fps: of the clips, where their containers are wrong.
    """

    @property
    def prompt(self) -> str: ...

    @property
    def clips(self) -> Mapping[str, Path]: ...

    @property
    def name(self) -> str: ...

    @property
    def fps(self) -> float | None: ...


@dataclass(frozen=True)
class _Planned:
    """A clip to encode, the row that asked for it, and what it is compared with, directly or through others."""

    clip: Path
    digest: str
    group: int
    bucket: Bucket
    fps: float | None
    key: str
    name: str


def build_cache(
    folder: Path | str,
    rows: Iterable[CacheRow],
    buckets: Sequence[Bucket],
    encoders: Encoders,
    prompts: Iterable[str] = (),
    *,
    image_entries: Sequence[str] = (),
    pictures: Iterable[Path] = (),
    share: tuple[int, int] = (0, 1),
    wait: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> LatentCache:
    """Encode the clips and captions of some rows that are not in the folder yet, and the images that the clips begin with.

    It may be stopped at any moment (also by kill -9) and called again: finished entries are kept, and none is ever half
    written. Entries are named by a digest of what they were made from, so that a changed clip, size, VAE, text encoder
    or image encoder is encoded anew. Afterwards the encoders are dropped.

    Args:
        folder: of the cache; several trainings may share it.
        rows: what is needed. The clips of a row, and of rows that share a clip, go into one bucket.
        buckets: sizes to choose from; frames and sides must fit the VAE.
        prompts: further captions to encode (the empty one for guidance, say).
        image_entries: what the network needs of an image, ``image_conditioning.image_entries``; usually nothing.
        pictures: further images, for clips of the first bucket.
        share: (number of this process, number of processes): each encodes its part.
        wait: waits for the other processes.
        progress: told about each entry.

    Raises:
        ClipError: a clip cannot be read, or cannot be brought to a bucket with those it is compared with, or its latents
            are not finite, or clips that are compared begin with different images; the message names the row.
        VideoAlignError: there are no buckets, the disk is full, or an image encoder is needed and none was given.
    """
    folder, rows = Path(folder), list(rows)
    if not buckets:
        raise VideoAlignError("No bucket is given to bring the clips to; give at least one, such as 832x480x81@16.")
    _remove_left_overs(folder)
    report = progress or (lambda _what, _done, _total: None)
    identities = {  # first of all: a missing encoder is said before clips are read
        entry: encoders.vae_identity if entry == "image_latents" else encoders.image_identity for entry in image_entries
    }
    planned = _plan(folder, rows, buckets, encoders, report, keep=share[0] == 0)
    images = _images(folder, planned, image_entries, keep=share[0] == 0)
    other = {image.path.absolute(): image for image in further_images(pictures, buckets[0])} if image_entries else {}
    keys = {
        image: {entry: image.key(entry, identity) for entry, identity in identities.items()}
        for image in [*images.values(), *other.values()]
    }
    identity = encoders.text_identity
    captions = {prompt: entry_key(prompt, identity) for prompt in [*(row.prompt for row in rows), *prompts]}
    try:
        _encode_captions(folder, captions, encoders, share, report)
        encoders.release()  # so that the two never share the memory
        _encode_clips(folder, planned, encoders, share, report)
        for entry in image_entries:
            if entry == "image_embeds":
                encoders.release()  # the VAE, likewise
            _encode_images(folder, entry, keys, encoders, share, report)
    finally:
        encoders.release()
    if wait is not None:
        wait()
    clips = {plan.clip.absolute(): plan.key for plan in planned}
    latent_format = read_entry(latents_file(folder, planned[0].key))[1]["latent_format"] if planned else ""
    told = {plan.clip.absolute(): keys[images[plan.group]] for plan in planned if image_entries}
    told |= {path: keys[image] for path, image in other.items()}
    return LatentCache(folder, clips, captions, latent_format, told)


def _images(
    folder: Path, planned: Sequence[_Planned], image_entries: Sequence[str], keep: bool
) -> dict[int, SourceImage]:
    """The image of each group of clips that are compared."""
    if not image_entries:
        return {}
    groups: dict[int, list[SourceImage]] = {}
    for plan in planned:
        groups.setdefault(plan.group, []).append(SourceImage(plan.clip, plan.digest, plan.bucket, plan.name))
    compared = ComparedFrames(folder / "first_frames.json")
    with afterwards(compared.save) if keep else nullcontext():
        return {group: compared.common_image(clips) for group, clips in groups.items()}


def _plan(
    folder: Path, rows: Sequence[CacheRow], buckets: Sequence[Bucket], encoders: Encoders, report: Progress, keep: bool
) -> list[_Planned]:
    """Each clip once, with the bucket that it goes into together with all that it is linked to."""
    known = KnownClips(folder / "clips.json")
    digests: dict[Path, str] = {}
    shapes: dict[Path, ClipShape] = {}
    rates: dict[Path, float | None] = {}
    owners: dict[Path, CacheRow] = {}
    with afterwards(known.save) if keep else nullcontext():
        for number, row in enumerate(rows):
            for clip in row.clips.values():
                try:
                    facts = known.facts(clip)
                except ClipError as error:
                    raise ClipError(f"{row.name}: {error}") from error
                shape = facts.shape
                digests[clip], rates[clip] = facts.digest, row.fps
                shapes[clip] = ClipShape(shape.width, shape.height, shape.frames, row.fps or shape.fps)
                owners.setdefault(clip, row)
            report("looking at clips", number + 1, len(rows))
    members: dict[Path, list[Path]] = {}
    for clip, root in linked(tuple(row.clips.values()) for row in rows if row.clips).items():
        members.setdefault(root, []).append(clip)
    planned, identity = [], encoders.vae_identity
    for group, clips in enumerate(members.values()):
        bucket = choose_bucket([shapes[clip] for clip in clips], buckets)
        if isinstance(bucket, str):
            raise _refused(clips, shapes, owners, buckets, rows)
        for clip in clips:
            key = entry_key(digests[clip], bucket, rates[clip], identity)
            planned.append(_Planned(clip, digests[clip], group, bucket, rates[clip], key, owners[clip].name))
    return planned


def _refused(
    clips: Sequence[Path], shapes: dict[Path, ClipShape], owners: dict[Path, CacheRow], buckets: Sequence[Bucket],
    rows: Sequence[CacheRow],
) -> ClipError:  # fmt: skip
    """The error for the first row that cannot be brought to one bucket, or else for the linked rows as a whole."""
    choices = ", ".join(map(str, buckets))
    advice = f"Add a bucket that suits it (there are: {choices}), or remove the row."
    for clip in clips:
        if isinstance(why := choose_bucket([shapes[clip]], buckets), str):
            return ClipError(f"{owners[clip].name}: {clip} fits no bucket: {why}. {advice}")
    for row in rows:
        compared = list(row.clips.values())
        if not set(compared) & set(clips):
            continue
        if isinstance(why := choose_bucket([shapes[clip] for clip in compared], buckets), str):
            sizes = " and ".join(_described(shapes[clip]) for clip in compared)
            return ClipError(f"{row.name}: its clips ({sizes}) cannot be made equal: for one of them {why}. {advice}")
    names = list(dict.fromkeys(owners[clip].name for clip in clips))
    return ClipError(
        f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}: these rows share clips, and no bucket suits all of them. {advice}"
    )


def _described(shape: ClipShape) -> str:
    return f"{shape.width}x{shape.height}x{shape.frames}@{shape.fps:g}"


def _encode_captions(
    folder: Path, captions: dict[str, str], encoders: Encoders, share: tuple[int, int], report: Progress
) -> None:
    missing = [prompt for prompt in _part(captions, share) if not is_whole(caption_file(folder, captions[prompt]))]
    for start in range(0, len(missing), _CAPTIONS_AT_ONCE):
        prompts = missing[start : start + _CAPTIONS_AT_ONCE]
        for prompt, conditioning in zip(prompts, encoders.text_encoder.encode(prompts), strict=True):
            write_caption(folder, captions[prompt], conditioning, prompt)
        report("encoding captions", start + len(prompts), len(missing))


def _encode_clips(
    folder: Path, planned: Sequence[_Planned], encoders: Encoders, share: tuple[int, int], report: Progress
) -> None:
    entries = list({plan.key: plan for plan in planned}.values())
    missing = [plan for plan in _part(entries, share) if not is_whole(latents_file(folder, plan.key))]
    for number, plan in enumerate(missing):
        try:
            video = read_clip(plan.clip, plan.bucket, plan.fps)
        except ClipError as error:
            raise ClipError(f"{plan.name}: {error}") from error
        vae = encoders.vae
        with torch.no_grad():
            latents = vae.encode(video[None].to(vae.device))[0].cpu()
        _check_finite(latents, plan.name, plan.clip, vae.dtype)
        write_latents(folder, plan.key, latents, vae.latent_format.name, plan.bucket, plan.clip)
        report("encoding clips", number + 1, len(missing))


def _encode_images(
    folder: Path, entry: str, keys: dict[SourceImage, dict[str, str]], encoders: Encoders, share: tuple[int, int],
    report: Progress,
) -> None:  # fmt: skip
    """One entry of all images: latents by the VAE, or CLIP's tokens."""
    wanted = list({image_keys[entry]: image for image, image_keys in keys.items()}.items())
    missing = [(key, image) for key, image in _part(wanted, share) if not is_whole(image_file(folder, key))]
    for number, (key, image) in enumerate(missing):
        try:
            frame = read_first_frame(image.path, image.bucket)
        except ClipError as error:
            raise ClipError(f"{image.name}: {error}") from error
        if entry == "image_latents":
            vae = encoders.vae
            values = image_latents(vae, frame.to(vae.device), image.bucket.frames).cpu()
            _check_finite(values, image.name, image.path, vae.dtype)
            values = values.half()
        else:
            values = encoders.image_encoder.encode(frame[None])[0]
        write_image(folder, key, entry, values, image.path)
        report(f"encoding images ({entry})", number + 1, len(missing))


def _check_finite(latents: torch.Tensor, name: str, clip: Path, dtype: torch.dtype) -> None:
    if not (latents.abs() < _HALF_MAX).all():  # NaN fails as well
        raise ClipError(
            f"{name}: the latents of {clip} are not finite numbers; the VAE fails on this clip in {dtype}. "
            "Use float32 for it, or remove the row."
        )


def _part(entries: Iterable, share: tuple[int, int]) -> list:
    """What this process encodes. Of all entries, not of the missing ones: those change while others encode."""
    return list(entries)[share[0] :: share[1]]


def _remove_left_overs(folder: Path) -> None:
    """Temporary files of processes that were killed."""
    for path in [*folder.glob("*/.*.tmp"), *folder.glob(".*.tmp")]:
        try:
            if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
                path.unlink()
        except OSError:  # another process was faster
            continue
