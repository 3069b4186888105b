"""Building a latent cache: choose buckets, encode what is missing, one entry at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ...reward.errors import ClipError, VideoAlignError
from .buckets import Bucket, ClipShape, choose_bucket, linked
from .cache import (
    LatentCache,
    caption_file,
    entry_key,
    is_whole,
    latents_file,
    read_entry,
    write_caption,
    write_latents,
)
from .clip_pixels import KnownClips, read_clip
from .encoders import Encoders

Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)."""

_HALF_MAX = torch.finfo(torch.float16).max
_CAPTIONS_AT_ONCE = 8
_LEFT_OVER_SECONDS = 3600  # a temporary file older than this belongs to a process that was killed


@dataclass(frozen=True)
class CacheRow:
    """Clips that are compared, and their prompt.

    Attributes:
        prompt: the text that they were made from.
        clips: one, or the two of a pair.
        name: what error messages call the row.
        fps: of the clips, where their containers are wrong.
    """

    prompt: str
    clips: tuple[Path, ...]
    name: str
    fps: float | None = None


@dataclass(frozen=True)
class _Planned:
    """A clip to encode, and the row that asked for it."""

    clip: Path
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
    share: tuple[int, int] = (0, 1),
    wait: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> LatentCache:
    """Encode the clips and captions of some rows that are not in the folder yet.

    It may be stopped at any moment (also by kill -9) and called again: finished entries are kept, and none is ever half
    written. Entries are found by content, so that a changed clip, size, VAE or text encoder is encoded anew. Afterwards VAE
    and text encoder are dropped.

    Args:
        folder: of the cache; several trainings may share it.
        rows: what is needed. The clips of a row, and of rows that share a clip, go into one bucket.
        buckets: sizes to choose from; frames and sides must fit the VAE.
        prompts: further captions to encode (the empty one for guidance, say).
        share: (number of this process, number of processes): each encodes its part.
        wait: waits for the other processes.
        progress: told about each entry.

    Raises:
        ClipError: a clip cannot be read, or cannot be brought to a bucket with those it is compared with, or its latents
            are not finite; the message names the row.
        VideoAlignError: there are no buckets, or the disk is full.
    """
    folder, rows = Path(folder), list(rows)
    if not buckets:
        raise VideoAlignError("No bucket is given to bring the clips to; give at least one, such as 832x480x81@16.")
    _remove_left_overs(folder)
    report = progress or (lambda _what, _done, _total: None)
    planned = _plan(folder, rows, buckets, encoders, report, keep=share[0] == 0)
    identity = encoders.text_identity
    captions = {prompt: entry_key(prompt, identity) for prompt in [*(row.prompt for row in rows), *prompts]}
    try:
        _encode_captions(folder, captions, encoders, share, report)
        encoders.release()  # so that the two never share the memory
        _encode_clips(folder, planned, encoders, share, report)
    finally:
        encoders.release()
    if wait is not None:
        wait()
    clips = {own.clip.absolute(): own.key for own in planned}
    latent_format = read_entry(latents_file(folder, planned[0].key))[1]["latent_format"] if planned else ""
    return LatentCache(folder, clips, captions, latent_format)


def _plan(
    folder: Path, rows: Sequence[CacheRow], buckets: Sequence[Bucket], encoders: Encoders, report: Progress, keep: bool
) -> list[_Planned]:
    """Each clip once, with the bucket that it goes into together with all that it is linked to."""
    known = KnownClips(folder / "clips.json")
    digests: dict[Path, str] = {}
    shapes: dict[Path, ClipShape] = {}
    rates: dict[Path, float | None] = {}
    owners: dict[Path, CacheRow] = {}
    try:
        for number, row in enumerate(rows):
            for clip in row.clips:
                try:
                    facts = known.facts(clip)
                except ClipError as error:
                    raise ClipError(f"{row.name}: {error}") from error
                found = facts.shape
                digests[clip], rates[clip] = facts.digest, row.fps
                shapes[clip] = ClipShape(found.width, found.height, found.frames, row.fps or found.fps)
                owners.setdefault(clip, row)
            report("looking at clips", number + 1, len(rows))
    finally:
        if keep:
            known.save()
    members: dict[Path, list[Path]] = {}
    for clip, root in linked(row.clips for row in rows if row.clips).items():
        members.setdefault(root, []).append(clip)
    planned, identity = [], encoders.vae_identity
    for clips in members.values():
        bucket = choose_bucket([shapes[clip] for clip in clips], buckets)
        if isinstance(bucket, str):
            raise _refused(clips, shapes, owners, buckets, rows)
        for clip in clips:
            key = entry_key(digests[clip], bucket, rates[clip], identity)
            planned.append(_Planned(clip, bucket, rates[clip], key, owners[clip].name))
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
        if not set(row.clips) & set(clips):
            continue
        if isinstance(why := choose_bucket([shapes[clip] for clip in row.clips], buckets), str):
            sizes = " and ".join(_described(shapes[clip]) for clip in row.clips)
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
    own = [prompt for prompt in _part(captions, share) if not is_whole(caption_file(folder, captions[prompt]))]
    for start in range(0, len(own), _CAPTIONS_AT_ONCE):
        prompts = own[start : start + _CAPTIONS_AT_ONCE]
        for prompt, conditioning in zip(prompts, encoders.text_encoder.encode(prompts), strict=True):
            write_caption(folder, captions[prompt], conditioning, prompt)
        report("encoding captions", start + len(prompts), len(own))


def _encode_clips(
    folder: Path, planned: Sequence[_Planned], encoders: Encoders, share: tuple[int, int], report: Progress
) -> None:
    entries = list({own.key: own for own in planned}.values())
    missing = [own for own in _part(entries, share) if not is_whole(latents_file(folder, own.key))]
    for number, own in enumerate(missing):
        try:
            video = read_clip(own.clip, own.bucket, own.fps)
        except ClipError as error:
            raise ClipError(f"{own.name}: {error}") from error
        vae = encoders.vae
        with torch.no_grad():
            latents = vae.encode(video[None].to(vae.device))[0].cpu()
        if not (latents.abs() < _HALF_MAX).all():  # NaN fails as well
            raise ClipError(
                f"{own.name}: the latents of {own.clip} are not finite numbers; the VAE fails on this clip in {vae.dtype}. "
                "Use float32 for it, or remove the row."
            )
        write_latents(folder, own.key, latents, vae.latent_format.name, own.bucket, own.clip)
        report("encoding clips", number + 1, len(missing))


def _part(entries: Iterable, share: tuple[int, int]) -> list:
    """What this process encodes. Of all entries, not of the missing ones: those change while others encode."""
    return list(entries)[share[0] :: share[1]]


def _remove_left_overs(folder: Path) -> None:
    """Temporary files of processes that were killed."""
    for path in [*folder.glob("latents/.*.tmp"), *folder.glob("captions/.*.tmp"), *folder.glob(".*.tmp")]:
        try:
            if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
                path.unlink()
        except OSError:  # another process was faster
            continue
