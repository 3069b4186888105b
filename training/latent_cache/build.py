"""Building a latent cache: choose buckets, encode what is missing, one entry at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from ...backbones.image_conditioning import image_conditioning
from ...clips.clip_fault import computing, reading
from ...errors import ClipError, VideoAlignError
from .buckets import Bucket
from .cache import (
    CacheRow,
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
from .clip_pixels import read_clip, read_first_frame
from .contents import record
from .encoders import Encoders
from .first_frames import SourceImage, further_images
from .left_out import LeftOut, forget, is_settled, refusal, refuse
from .planning import Planned, Progress, make_plan

_HALF_MAX = torch.finfo(torch.float16).max
_CAPTIONS_AT_ONCE = 8
_LEFT_OVER_SECONDS = 3600  # a temporary file older than this belongs to a process that was killed


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

    Returns:
        the cache; its ``left_out`` names the rows that it does without: a clip of theirs cannot be read, or cannot be brought to
        a bucket with those it is compared with, or its latents are not finite, or clips that are compared begin with
        different images.

    Raises:
        ClipError: more than half of the rows would be left out, or one of ``pictures`` cannot be used.
        VideoAlignError: there are no buckets, the disk is full, or an image encoder is needed and none was given.
    """
    folder, rows = Path(folder), list(rows)
    if not buckets:
        raise VideoAlignError("No bucket is given to bring the clips to; give at least one, such as 832x480x81@16.")
    _remove_left_overs(folder)
    report = progress or (lambda _what, _done, _total: None)
    identities = {  # first of all: a missing encoder is said before clips are read
        entry: encoders.image_identity if entry == "image_embeds" else encoders.vae_identity for entry in image_entries
    }
    left_out, main = LeftOut(rows), share[0] == 0
    plan = make_plan(
        folder, rows, buckets, encoders.vae_identity, left_out, report, images=bool(image_entries), keep=main
    )
    if error := left_out.too_many():
        raise error
    planned, images = plan.clips, plan.images
    other = {image.path.absolute(): image for image in further_images(pictures, buckets[0])} if image_entries else {}
    keys = {
        image: {entry: image.key(entry, identity) for entry, identity in identities.items()}
        for image in [*images.values(), *other.values()]
    }
    identity = encoders.text_identity
    captions = {prompt: entry_key(prompt, identity) for prompt in [*(row.prompt for row in plan.rows), *prompts]}
    try:
        _encode_captions(folder, captions, encoders, share, report)
        encoders.release()  # so that the two never share the memory
        _encode_clips(folder, planned, encoders, share, report)
        for entry in image_entries:
            if entry == "image_embeds":
                encoders.release()  # the VAE, likewise
            _encode_images(folder, entry, keys, encoders, share, report, set(other.values()))
    finally:
        encoders.release()
    if wait is not None:
        wait()
    entries = _entries(folder, planned, images, keys)
    left_out.add_clips({clip: why for clip, files in entries.items() for file in files if (why := refusal(file))})
    if error := left_out.too_many():
        if wait is not None:
            wait()  # all have read the causes
        if main:
            forget(file for files in entries.values() for file in files)
        raise error
    whole = [one for one in planned if not any(refusal(file) for file in entries[one.clip])]
    clips = {one.clip.absolute(): one.key for one in whole}
    latent_format = read_entry(latents_file(folder, whole[0].key))[1]["latent_format"] if whole else ""
    told = {one.clip.absolute(): keys[images[one.group]] for one in whole if image_entries}
    told |= {path: keys[image] for path, image in other.items()}
    digests = {one.clip.absolute(): one.digest for one in whole}
    used, files = encoders.identities(image_entries), encoders.file_digests()
    cache = LatentCache(folder, clips, captions, latent_format, told, left_out.causes, digests, used, files)
    if main:
        record(
            cache,
            {
                one.clip: {"key": one.key, "bucket": str(one.bucket), "images": told.get(one.clip.absolute(), {})}
                for one in whole
            },
        )
    return cache


def _entries(
    folder: Path, planned: Sequence[Planned], images: dict[int, SourceImage], keys: dict[SourceImage, dict[str, str]]
) -> dict[Path, list[Path]]:
    """What each clip needs in the cache."""
    return {
        one.clip: [
            latents_file(folder, one.key),
            *(image_file(folder, key) for key in keys.get(images.get(one.group), {}).values()),
        ]
        for one in planned
    }


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
    folder: Path, planned: Sequence[Planned], encoders: Encoders, share: tuple[int, int], report: Progress
) -> None:
    entries = list({plan.key: plan for plan in planned}.values())
    missing = [plan for plan in _part(entries, share) if not is_settled(latents_file(folder, plan.key))]
    for number, plan in enumerate(missing):
        vae = encoders.vae
        try:
            with reading(plan.clip):
                video = read_clip(plan.clip, plan.bucket, plan.fps)
            with computing(plan.clip), torch.no_grad():
                latents = vae.encode(video[None].to(vae.device))[0].cpu()
            _check_finite(latents, plan.clip, vae.dtype)
        except ClipError as error:
            refuse(latents_file(folder, plan.key), plan.clip, error)
        else:
            write_latents(folder, plan.key, latents, vae.latent_format.name, plan.bucket, plan.clip)
        report("encoding clips", number + 1, len(missing))


def _encode_images(
    folder: Path, entry: str, keys: dict[SourceImage, dict[str, str]], encoders: Encoders, share: tuple[int, int],
    report: Progress, required: set[SourceImage],
) -> None:  # fmt: skip
    """One entry of all images: latents by the VAE, or CLIP's tokens. An error of one of ``required`` ends the run."""
    wanted = list({image_keys[entry]: image for image, image_keys in keys.items()}.items())
    missing = [(key, image) for key, image in _part(wanted, share) if not is_settled(image_file(folder, key))]
    for number, (key, image) in enumerate(missing):
        try:
            values = _encoded_image(entry, image, encoders)
        except ClipError as error:
            if image in required:
                raise
            refuse(image_file(folder, key), image.path, error)
        else:
            write_image(folder, key, entry, values, image.path)
        report(f"encoding images ({entry})", number + 1, len(missing))


def _encoded_image(entry: str, image: SourceImage, encoders: Encoders) -> torch.Tensor:
    with reading(image.path):
        frame = read_first_frame(image.path, image.bucket)
    with computing(image.path):
        if entry == "image_embeds":
            return encoders.image_encoder.encode(frame[None])[0]
        vae = encoders.vae
        values = image_conditioning((entry,), frame, image.bucket.frames, vae, None)[entry]
    _check_finite(values, image.path, vae.dtype)
    return values.half()


def _check_finite(latents: torch.Tensor, clip: Path, dtype: torch.dtype) -> None:
    if not (latents.abs() < _HALF_MAX).all():  # NaN fails as well
        raise ClipError(
            f"the latents of {clip} are not finite numbers; the VAE fails on this clip in {dtype}. "
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
