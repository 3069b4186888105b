"""Reading a latent cache, and the files that it consists of.

    FOLDER/latents/KEY.safetensors    "latents" [C, T, H, W] float16; metadata: latent_format, bucket, clip
    FOLDER/images/KEY.safetensors      "image_latents" or "image_embeds" of the image that clips begin with
    FOLDER/captions/KEY.safetensors   the tensors of a conditioning; zeros at a text's end are left out (metadata: length)
    FOLDER/features/KEY.safetensors   "features" [T, H, W, D] that a frozen trunk made of a clip at one noise, as it made them

An entry's metadata has a checksum over itself and the tensors, so that a flipped bit is never trained on (0.1.0 wrote none).
KEY is a digest of everything that an entry depends on, so that an entry for other clips, sizes or weights is never found.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ...errors import VideoAlignError, WeightsError
from ...files.safetensors_header import read_header
from ...files.tensor_file import fits_checksum, save_tensors, with_checksum

Clips = tuple[Path, ...]
"""The clips of a row, by which it is known."""
_WRITTEN = {"latent_format", "bucket", "clip", "image", "length", "prompt"}  # metadata of an entry
VERSION = "1"  # changes when clips or captions are prepared in another way


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


Row = TypeVar("Row", bound=CacheRow)


def clips_of(row: CacheRow) -> Clips:
    """What a row is known by here."""
    return tuple(row.clips.values())


class LatentCache:
    """Latents and conditionings of the clips and prompts that it was built for; cheap to hold, to copy and to pickle.

    Attributes:
        folder: where the entries are.
        latent_format: name of the latent space.
        left_out: clips of each row that the cache does without -> the row and why.
        captions: prompt -> key.
        encoders, files: identities of what encoded clips (``vae``), captions (``text_encoder``) and, where the network needs it,
            images (``image_encoder``), and digests of their files.
    """

    def __init__(
        self,
        folder: Path,
        clips: Mapping[Path, str],
        captions: Mapping[str, str],
        latent_format: str,
        images: Mapping[Path, Mapping[str, str]] | None = None,
        left_out: Mapping[Clips, str] | None = None,
        digests: Mapping[Path, str] | None = None,
        encoders: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.latent_format, self.left_out = folder, latent_format, dict(left_out or {})
        self._images = {path: dict(keys) for path, keys in (images or {}).items()}
        self._clips, self.captions, self._digests = dict(clips), dict(captions), dict(digests or {})
        self.encoders, self.files = dict(encoders or {}), dict(files or {})

    def latents(self, clip: Path | str) -> Tensor:
        """[C, T, H, W] float32 normalised latents of a clip, by its path.

        Raises:
            VideoAlignError: the cache was not built for this clip, or the entry is gone.
        """
        key = self._clips.get(Path(clip).absolute())
        if key is None:
            raise VideoAlignError(f"{clip} is not in the latent cache {self.folder}; build the cache with it.")
        return read_entry(latents_file(self.folder, key))[0]["latents"].float()

    def digest(self, clip: Path | str) -> str:
        """SHA-256 of a clip's file, as it was when the cache was built.

        Raises:
            VideoAlignError: the cache was not built for this clip.
        """
        digest = self._digests.get(Path(clip).absolute())
        if digest is None:
            raise VideoAlignError(f"{clip} is not in the latent cache {self.folder}; build the cache with it.")
        return digest

    def keys(self, clip: Path | str, prompt: str) -> tuple[str, ...]:
        """Names of all entries that a network is told of a clip under a prompt: what features of them depend on.

        Raises:
            VideoAlignError: the cache was not built for this clip or this prompt.
        """
        path = Path(clip).absolute()
        if path not in self._clips or prompt not in self.captions:
            raise VideoAlignError(
                f"{clip} with the prompt {prompt!r} is not in the latent cache {self.folder}; build the cache with it."
            )
        return self._clips[path], self.captions[prompt], *sorted(self._images.get(path, {}).values())

    def conditioning(self, prompt: str) -> dict[str, Tensor]:
        """The unbatched conditioning of a prompt, as its text encoder gave it.

        Raises:
            VideoAlignError: the cache was not built for this prompt, or the entry is gone.
        """
        key = self.captions.get(prompt)
        if key is None:
            raise VideoAlignError(
                f"The prompt {prompt!r} is not in the latent cache {self.folder}; build the cache with it."
            )
        tensors, metadata = read_entry(caption_file(self.folder, key))
        missing = int(metadata["length"]) - len(tensors["text"])
        tensors["text"] = torch.nn.functional.pad(tensors["text"], (0, 0, 0, missing))
        return tensors

    def image(self, clip: Path | str) -> dict[str, Tensor]:
        """What a conditioning has of the image that a clip begins with, unbatched; nothing where no images were asked for.

        Clips that are compared have one image, so that they are conditioned alike. A picture that the cache was built with
        is asked for in the same way.

        Raises:
            VideoAlignError: the cache was not built for this clip, or an entry is gone.
        """
        if not self._images:
            return {}
        keys = self._images.get(Path(clip).absolute())
        if keys is None:
            raise VideoAlignError(
                f"The image of {clip} is not in the latent cache {self.folder}; build the cache with it."
            )
        return {name: read_entry(image_file(self.folder, key))[0][name].float() for name, key in keys.items()}

    def kept(self, rows: Iterable[Row]) -> list[Row]:
        """Those of some rows that are not left out, in their order."""
        return [row for row in rows if clips_of(row) not in self.left_out]

    def __contains__(self, clip: Path | str) -> bool:
        return Path(clip).absolute() in self._clips


def latents_file(folder: Path, key: str) -> Path:
    return folder / "latents" / f"{key}.safetensors"


def caption_file(folder: Path, key: str) -> Path:
    return folder / "captions" / f"{key}.safetensors"


def image_file(folder: Path, key: str) -> Path:
    return folder / "images" / f"{key}.safetensors"


def features_file(folder: Path, key: str) -> Path:
    return folder / "features" / f"{key}.safetensors"


def entry_key(*parts: object) -> str:
    """32 hexadecimal digits of everything that an entry depends on."""
    return hashlib.sha256("\n".join([VERSION, *map(str, parts)]).encode()).hexdigest()[:32]


def is_whole(path: Path) -> bool:
    """Whether an entry is there and as long as its header says; its tensors are not read (``read_entry`` checks them)."""
    try:
        read_header(path)
    except WeightsError:
        return False
    return True


def read_entry(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of an entry. A damaged one is deleted, so that the next run encodes it anew.

    Raises:
        VideoAlignError: it is gone or damaged.
    """
    from safetensors import SafetensorError, safe_open

    remedy = "Run the same command again: what is missing is encoded anew."
    try:
        with safe_open(path, framework="pt") as entry:
            tensors = {name: entry.get_tensor(name) for name in entry.keys()}  # noqa: SIM118
            metadata = entry.metadata() or {}
    except OSError as error:
        raise VideoAlignError(f"The cache entry {path} cannot be read ({error}). {remedy}") from error
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:  # a data type or shape that none has
        raise _deleted(path, str(error), remedy) from error
    fits = fits_checksum(tensors, metadata)
    # Entries of 0.1.0 have no checksum. Where its name was damaged, a name is left that no version writes.
    if fits is False or (fits is None and not metadata.keys() <= _WRITTEN):
        raise _deleted(path, "its content is not what was written", remedy)
    return tensors, metadata


def _deleted(path: Path, why: str, remedy: str) -> VideoAlignError:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return VideoAlignError(f"The cache entry {path} was damaged ({why}) and is deleted. {remedy}")


def write_latents(folder: Path, key: str, latents: Tensor, latent_format: str, bucket: object, clip: Path) -> None:
    """Write an entry whole or not at all."""
    metadata = {"latent_format": latent_format, "bucket": str(bucket), "clip": str(clip)}
    _write(latents_file(folder, key), {"latents": latents.half()}, metadata)


def write_image(folder: Path, key: str, name: str, values: Tensor, image: Path) -> None:
    """Write an entry of a conditioning whole or not at all."""
    _write(image_file(folder, key), {name: values}, {"image": str(image)})


def write_features(folder: Path, key: str, features: Tensor, clip: Path) -> None:
    """Write an entry whole or not at all. Values are kept exactly."""
    _write(features_file(folder, key), {"features": features}, {"clip": str(clip)})


def write_caption(folder: Path, key: str, conditioning: Mapping[str, Tensor], prompt: str) -> None:
    """Write an entry whole or not at all. Values are kept exactly."""
    text = conditioning["text"]
    used = text.abs().amax(1).nonzero()
    kept = text[: int(used[-1]) + 1 if len(used) else 0]
    _write(caption_file(folder, key), {**conditioning, "text": kept}, {"length": str(len(text)), "prompt": prompt})


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    remedy = "Free some space and run the same command again; what is encoded is kept."
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    save_tensors(path, tensors, with_checksum(tensors, metadata), remedy=remedy)
