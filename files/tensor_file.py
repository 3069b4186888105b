"""Tensors into and out of a safetensors file; those of our kinds say their format and version in their metadata."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FileError, VideoAlignError
from .atomic_file import replacing
from .finite import first_not_finite
from .safetensors_header import read_header

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(
    path: Path | str,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    kind: type[VideoAlignError] = FileError,
    remedy: str | None = None,
) -> None:
    """Write a safetensors file, whole or not at all.

    Args:
        kind: the error to raise.
        remedy: what to do when it cannot be written; by default room for the file's size.

    Raises:
        VideoAlignError: it cannot be written (as ``kind``); an existing file is untouched.
    """
    from safetensors.torch import save_file

    if remedy is None:
        size = sum(tensor.nbytes for tensor in tensors.values())
        amount = f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.2f} MB"
        remedy = f"It needs {amount}. Nothing was left behind; free some space, or choose another folder."
    with replacing(path, kind, remedy) as temporary:
        save_file(dict(tensors), temporary, None if metadata is None else dict(metadata))


CHECKSUM = "crc32"


def with_checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that also tells a checksum over themselves and all tensors; for files that only this program reads."""
    return {**metadata, CHECKSUM: _checksum(tensors, metadata)}


def fits_checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bool | None:
    """Whether tensors and metadata are those that were written; None where they came without a checksum."""
    others = {key: value for key, value in metadata.items() if key != CHECKSUM}
    return metadata[CHECKSUM] == _checksum(tensors, others) if CHECKSUM in metadata else None


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    import torch

    total = zlib.crc32(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def load_tensors(
    path: Path | str, kind: type[VideoAlignError], device: object = "cpu"
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file, the tensors on ``device``.

    Raises:
        VideoAlignError: it is missing, damaged, not safetensors, or holds values that are not finite (as ``kind``).
    """
    from safetensors import SafetensorError, safe_open

    metadata = read_header(path, kind).metadata
    try:
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError) as error:
        raise kind(f"{path} cannot be read ({error}). Copy or download it again.") from None
    check_finite(path, tensors, kind)
    return metadata, tensors


def check_finite(path: Path | str, tensors: Mapping[str, Tensor], kind: type[VideoAlignError]) -> None:
    """Refuse tensors of a file that hold NaN or infinite values.

    Raises:
        VideoAlignError: one does (as ``kind``).
    """
    if (name := first_not_finite(tensors)) is not None:
        raise kind(
            f"{path}: {name} has values that are not finite (NaN or infinite). The file is damaged, or the training that made it "
            "has diverged: get it again, or use an earlier checkpoint."
        )


def load_described(
    path: Path | str,
    kind: type[VideoAlignError],
    format: str,
    version: str,
    what: str,
    remedy: str,
    device: object = "cpu",
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """``load_tensors`` of a file of one of this package's kinds, whose metadata tells its ``format`` and ``version``.

    Args:
        what: the kind in words, such as "a latent reward".
        remedy: how to get one.

    Raises:
        VideoAlignError: it cannot be read, or is of another format or version (as ``kind``).
    """
    if not Path(path).exists():
        raise kind(f"{path} does not exist. Check the path. {remedy}")
    metadata = read_header(path, kind).metadata
    if metadata.get("format") != format:
        raise kind(f"{path} is not {what} (format: {metadata.get('format')!r}); expected {format!r}. {remedy}")
    if metadata.get("version") != version:
        raise kind(
            f"{path} has version {metadata.get('version')}, this program reads version {version}. "
            "Update the program, or make the file again."
        )
    return load_tensors(path, kind, device)
