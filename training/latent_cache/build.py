"""Building a latent cache: choose buckets, encode what is missing, one entry at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import torch

from ...backbones.image_conditioning import image_conditioning
from ...clips.clip_fault import computing, reading
from ...errors import ClipError, VideoAlignError
from ...files.claims import Claims, in_turn
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
    main: bool = True,
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
        main: whether this is the first of the processes of a training, which writes what is told of all. Every process encodes what
            none has begun, and so does any other training that fills the same folder.
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
    left_out = LeftOut(rows)
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
        with Claims(folder) as claims:
            _encode_captions(folder, captions, encoders, claims, report)
            encoders.release()  # so that the two never share the memory
            _encode_clips(folder, planned, encoders, claims, report)
            for entry in image_entries:
                if entry == "image_embeds":
                    encoders.release()  # the VAE, likewise
                _encode_images(folder, entry, keys, encoders, claims, report, set(other.values()))
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
    folder: Path, captions: dict[str, str], encoders: Encoders, claims: Claims, report: Progress
) -> None:
    prompts = {key: prompt for prompt, key in captions.items()}
    files = {f"captions/{key}": caption_file(folder, key) for key in prompts}
    for stream in _missing(claims, files, is_whole, "encoding captions", report):
        while names := list(islice(stream, _CAPTIONS_AT_ONCE)):
            keys = [files[name].stem for name in names]
            encoded = encoders.text_encoder.encode([prompts[key] for key in keys])
            for name, key, conditioning in zip(names, keys, encoded, strict=True):
                write_caption(folder, key, conditioning, prompts[key])
                claims.finish(name)


def _encode_clips(
    folder: Path, planned: Sequence[Planned], encoders: Encoders, claims: Claims, report: Progress
) -> None:
    plans = {f"latents/{plan.key}": plan for plan in planned}
    files = {name: latents_file(folder, plan.key) for name, plan in plans.items()}
    for name in chain.from_iterable(_missing(claims, files, is_settled, "encoding clips", report)):
        plan, vae = plans[name], encoders.vae
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
        claims.finish(name)


def _encode_images(
    folder: Path, entry: str, keys: dict[SourceImage, dict[str, str]], encoders: Encoders, claims: Claims,
    report: Progress, required: set[SourceImage],
) -> None:  # fmt: skip
    """One entry of all images: latents by the VAE, or CLIP's tokens. An error of one of ``required`` ends the run."""
    wanted = {image_keys[entry]: image for image, image_keys in keys.items()}
    files = {f"images/{key}": image_file(folder, key) for key in wanted}
    for name in chain.from_iterable(_missing(claims, files, is_settled, f"encoding images ({entry})", report)):
        key = files[name].stem
        image = wanted[key]
        try:
            values = _encoded_image(entry, image, encoders)
        except ClipError as error:
            if image in required:
                raise
            refuse(image_file(folder, key), image.path, error)
        else:
            write_image(folder, key, entry, values, image.path)
        claims.finish(name)


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


def _missing(
    claims: Claims, files: Mapping[str, Path], there: Callable[[Path], bool], what: str, report: Progress
) -> Iterator[Iterator[str]]:
    """Names of entries that are not there, as this process may make them (``in_turn``); each that others have made is told of too."""
    missing = [name for name, file in files.items() if not there(file)]

    def told(stream: Iterator[str]) -> Iterator[str]:
        before = 0
        for name in stream:
            yield name
            done = missing.index(name, before) + 1  # what lies before is done, or somebody has it
            before = done
            report(what, done, len(missing))

    for stream in in_turn(claims, missing):
        yield told(stream)


def _remove_left_overs(folder: Path) -> None:
    """Temporary files of processes that were killed."""
    for path in [*folder.glob("*/.*.tmp"), *folder.glob(".*.tmp")]:
        try:
            if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
                path.unlink()
        except OSError:  # another process was faster
            continue
