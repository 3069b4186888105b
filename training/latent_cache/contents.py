"""What a finished cache holds, by name and by content, so that it can be trained from where clips and encoders are not at hand.

    FOLDER/contents.json    {"clips": {KEY: {"path", "digest", "bucket", "vae", "images": {ENTRY: KEY}}},
                             "captions": {TEXT ENCODER: {PROMPT: KEY}}, "files": {ENCODER: digest of its file},
                             "image_encoder", "latent_formats": {VAE: name}}

Paths are those of the machine that encoded. Elsewhere a clip is found by the end of its path, as much of it as fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ...errors import VideoAlignError, listed
from ...files.atomic_file import write_json
from ...files.json_text import read_json
from .buckets import Bucket
from .cache import CacheRow, LatentCache, caption_file, clips_of, image_file, is_whole, latents_file
from .clip_pixels import KnownClips
from .left_out import LeftOut

CONTENTS = "contents.json"
HOW = "Run the training once where the clips and the encoders are; it writes down what its cache holds."


def record(cache: LatentCache, clips: Mapping[Path, Mapping[str, Any]]) -> None:
    """Add what a cache was built for to what its folder is known to hold; entries of other trainings stay.

    Args:
        clips: path -> ``key``, ``bucket`` and ``images`` of each of its clips.
    """
    stored = _read(cache.folder) or {"clips": {}, "captions": {}, "files": {}, "latent_formats": {}}
    vae, text = cache.encoders["vae"], cache.encoders["text_encoder"]
    for path, entry in clips.items():
        stored["clips"][entry["key"]] = {
            "path": str(path.absolute()), "digest": cache.digest(path), "bucket": entry["bucket"], "vae": vae, "images": dict(entry["images"]),
        }  # fmt: skip
    stored["captions"].setdefault(text, {}).update(cache.captions)
    stored["latent_formats"][vae] = cache.latent_format
    for name, digest in cache.files.items():
        stored["files"][cache.encoders.get(name, name)] = digest
    if "image_encoder" in cache.encoders:
        stored["image_encoder"] = cache.encoders["image_encoder"]
    write_json(cache.folder / CONTENTS, stored)


def cache_from_contents(
    folder: Path, rows: Iterable[CacheRow], buckets: Sequence[Bucket], prompts: Iterable[str] = (), *,
    image_entries: Sequence[str] = (), identities: Mapping[str, str] | None = None,
) -> LatentCache:  # fmt: skip
    """The cache of some rows as it lies in its folder. Nothing is encoded, and no clip or encoder has to be there.

    A clip that is there all the same must be the one that was encoded.

    Args:
        buckets: sizes in which clips are looked for, in this order.
        prompts: further captions that are needed.
        image_entries: what the network needs of the images that clips begin with.
        identities: of ``vae`` and ``text_encoder``, where they are known: needed where the folder has entries of several.

    Returns:
        the cache; ``left_out`` names rows that are not in it, up to half of them.

    Raises:
        ClipError: more than half of the rows are not in it.
        VideoAlignError: the folder does not tell what it holds, has entries of several encoders, or lacks a caption.
    """
    rows = list(rows)
    stored = _read(folder)
    if stored is None:
        raise VideoAlignError(f"{folder} does not tell what it holds: there is no {CONTENTS}. {HOW}")
    sizes = [str(bucket) for bucket in buckets]
    there = {key: one for key, one in stored["clips"].items() if one["bucket"] in sizes}
    if not there:
        have = listed(sorted({one["bucket"] for one in stored["clips"].values()})) or "none"
        raise VideoAlignError(
            f"{folder} has no clips at {listed(sizes)}; it has {have}. Give data.width, height, frames and fps (or data.buckets) as they were."
        )
    known = dict(identities or {})
    vae = _only({one["vae"] for one in there.values()}, known.get("vae"), folder, "model.vae")
    text = _only(set(stored["captions"]), known.get("text_encoder"), folder, "model.text_encoder")
    entries = _Entries({key: one for key, one in there.items() if one["vae"] == vae}, sizes, folder)
    left_out, facts = LeftOut(rows), KnownClips(folder / "clips.json")
    whole: dict[Path, str] = {}
    missing: dict[Path, str] = {}
    for clip in dict.fromkeys(clip for row in rows for clip in clips_of(row)):
        key, why = entries.of(clip, image_entries, facts)
        if why is None:
            whole[clip] = key
        else:
            missing[clip] = why
    left_out.add_clips(missing)
    if error := left_out.too_many():
        raise error
    kept = left_out.usable(rows)
    captions = {
        prompt: _caption(stored["captions"][text], prompt, folder)
        for prompt in [*(row.prompt for row in kept), *prompts]
    }
    encoders = _encoders(stored, vae, text, image_entries)
    return LatentCache(
        folder,
        {clip.absolute(): key for clip, key in whole.items()},
        captions,
        stored["latent_formats"][vae],
        {clip.absolute(): there[key]["images"] for clip, key in whole.items()} if image_entries else {},
        left_out.causes,
        {clip.absolute(): there[key]["digest"] for clip, key in whole.items()},
        encoders,
        {name: stored["files"][one] for name, one in encoders.items() if one in stored["files"]},
    )


class _Entries:
    """The clips of a folder, found by their paths."""

    def __init__(self, clips: Mapping[str, Mapping[str, Any]], sizes: Sequence[str], folder: Path) -> None:
        self.clips, self.sizes, self.folder = clips, list(sizes), folder
        self._by_name: dict[str, list[str]] = {}
        for key, one in clips.items():
            self._by_name.setdefault(_parts(one["path"])[-1], []).append(key)

    def of(self, clip: Path, image_entries: Sequence[str], facts: KnownClips) -> tuple[str, str | None]:
        """The key of a clip, and why it cannot be had, a sentence."""
        parts = _parts(str(clip.absolute()))
        fitting = [
            (_common_end(parts, _parts(self.clips[key]["path"])), key) for key in self._by_name.get(parts[-1], ())
        ]
        if not fitting:
            return "", f"{clip} is not in the cache {self.folder}. {HOW}"
        most = max(common for common, _ in fitting)
        keys = [key for common, key in fitting if common == most]
        if len({self.clips[key]["digest"] for key in keys}) > 1:
            others = listed(sorted({self.clips[key]["path"] for key in keys}))
            return (
                "",
                f"{clip} may be one of {others} in the cache {self.folder}; keep more of their folders' names, so that it can be told.",
            )
        key = min(keys, key=lambda one: self.sizes.index(self.clips[one]["bucket"]))
        return key, self._why_not(clip, key, image_entries, facts)

    def _why_not(self, clip: Path, key: str, image_entries: Sequence[str], facts: KnownClips) -> str | None:
        images = self.clips[key]["images"]
        files = [
            latents_file(self.folder, key),
            *(image_file(self.folder, images[one]) for one in image_entries if one in images),
        ]
        if not all(one in images for one in image_entries):
            return f"{clip} was encoded for a network without images. {HOW}"
        for file in files:
            if not is_whole(file):
                return f"{clip}: its entry {file} is missing or damaged. Copy the cache folder again, whole."
        if clip.is_file() and facts.facts(clip).digest != self.clips[key]["digest"]:
            return f"{clip} is another clip than the one that was encoded under this name. Put that back, or train without data.cache_only."
        return None


def _caption(captions: Mapping[str, str], prompt: str, folder: Path) -> str:
    key = captions.get(prompt)
    if key is None or not is_whole(caption_file(folder, key)):
        raise VideoAlignError(f"The prompt {prompt!r} is not in the latent cache {folder}. {HOW}")
    return key


def _encoders(stored: Mapping[str, Any], vae: str, text: str, image_entries: Sequence[str]) -> dict[str, str]:
    image = (
        {"image_encoder": stored["image_encoder"]}
        if "image_embeds" in image_entries and "image_encoder" in stored
        else {}
    )
    return {"vae": vae, "text_encoder": text, **image}


def _only(there: set[str], wanted: str | None, folder: Path, option: str) -> str:
    if wanted is not None and wanted in there:
        return wanted
    if wanted is None and len(there) == 1:
        return next(iter(there))
    what = "another one than made" if wanted is not None else "not given, and several made"
    raise VideoAlignError(f"{option} is {what} what {folder} holds. Give the file that did.")


def _read(folder: Path) -> dict[str, Any] | None:
    file = folder / CONTENTS
    return read_json(file) if file.is_file() else None


def _parts(path: str) -> tuple[str, ...]:
    """A path's names, whichever system wrote it."""
    return PureWindowsPath(path).parts if "\\" in path else PurePosixPath(path).parts


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many names two paths end with alike."""
    count = 0
    for ours, theirs in zip(reversed(one), reversed(other), strict=False):
        if ours != theirs:
            break
        count += 1
    return count
