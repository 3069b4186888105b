"""What a safetensors file holds, read from its header (no torch): names, types, shapes, metadata and single numbers.

A header is refused where the safetensors library refuses it: tensors that overlap or leave holes, offsets that are negative
or behind the end, shapes that do not fit their bytes, bytes behind the last tensor, a header over 100 MB. One thing more is
refused: a tensor that the header names twice, of which the library takes the last.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import VideoAlignError, WeightsError

LARGEST_HEADER = 100_000_000  # bytes; the format's own limit
BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
"""Bits of an element by the format's names of types."""
_NUMBERS = {"F64": "<d", "F32": "<f", "F16": "<e", "I64": "<q", "I32": "<i"}
_WORD = 2**64
_PICKLES = (b"PK\x03\x04", *(bytes((0x80, protocol, opcode)) for protocol in range(2, 6) for opcode in b"}](c\x8a\x95"))
"""How torch's files begin: a zip archive, or a pickle of the protocols 2 to 5."""


class Entry(NamedTuple):
    """A tensor of the file."""

    dtype: str  # as the format spells it: F32, F16, BF16, F8_E4M3, ...
    shape: tuple[int, ...]
    start: int  # bytes from the beginning of the file
    stop: int


@dataclass(frozen=True)
class Header:
    """The content of a safetensors file, without the tensors."""

    path: Path
    entries: dict[str, Entry]
    metadata: dict[str, str]
    size: int  # bytes of the file
    kind: type[VideoAlignError] = WeightsError

    def number(self, key: str) -> float:
        """The value of a tensor with one element.

        Raises:
            VideoAlignError: it has more, or is of a type that holds no plain number (as the header's ``kind``).
        """
        entry = self.entries[key]
        with self.path.open("rb") as file:
            file.seek(entry.start)
            raw = file.read(entry.stop - entry.start)
        if entry.dtype == "BF16" and len(raw) == 2:
            return struct.unpack("<f", b"\0\0" + raw)[0]
        form = _NUMBERS.get(entry.dtype)
        if form is None or struct.calcsize(form) != len(raw):
            raise self.kind(f"{self.path}: {key} is {entry.dtype} {list(entry.shape)}, expected one number.")
        return float(struct.unpack(form, raw)[0])


def read_header(path: Path | str, kind: type[VideoAlignError] = WeightsError) -> Header:
    """Read and check the header.

    Args:
        kind: the error to raise.

    Raises:
        VideoAlignError: the file is missing, truncated, damaged, or not safetensors (as ``kind``); the text says what it is
            instead: a folder, a pipe, a pickle, a web page, a note of git-lfs.
    """
    path = Path(path)
    if path.is_dir():
        raise kind(f"{path} is a folder. Name the .safetensors file in it.")
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise kind(f"{path} is no file but a pipe or a device. Name a .safetensors file.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER or length > size - 8:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            content = json.loads(file.read(length).decode(), object_pairs_hook=_once, parse_constant=_refused)
        if not isinstance(content, dict):
            raise ValueError("its header is not a table of tensors")
        metadata = _metadata(content.pop("__metadata__", None))
        entries = {key: _entry(key, value, 8 + length) for key, value in content.items()}
        for text in (*entries, *metadata, *metadata.values()):
            text.encode()  # a lone surrogate is no text
    except FileNotFoundError:
        raise kind(f"{path} does not exist. Check the path.") from None
    except (OSError, ValueError, RecursionError, struct.error) as error:
        if (other := _what_else(path)) is not None:
            raise kind(f"{path} cannot be read: {other}") from None
        raise kind(
            f"{path} cannot be read ({error}): truncated, damaged or not a safetensors file. Copy or download it again."
        ) from None
    end = 8 + length
    for key, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != end:
            raise kind(
                f"{path} cannot be read: tensor '{key}' overlaps the one before it or leaves a hole; the file is damaged."
            )
        end = entry.stop
    if end != size:
        what = "truncated" if size < end else "damaged, with bytes that belong to no tensor"
        raise kind(
            f"{path} cannot be read: {what}; its header promises {end} bytes, it has {size}. Copy or download it again."
        )
    return Header(path, entries, metadata, size, kind)


def _what_else(path: Path) -> str | None:
    """What a file is that is no safetensors file, told from its beginning, and what to do; None if unknown."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return None
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return "truncated, it is empty. Copy or download it again."
    if text.startswith(b"version https://git-lfs"):
        return "not a safetensors file but git-lfs's note of where it is. Run git lfs pull in its folder, or download it itself."
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "not a safetensors file but a web page, as a site gives where a file is gone or needs a login. Download it again."
    if start.startswith(_PICKLES):
        return (
            "not a safetensors file but a pickle of torch's (.ckpt, .pt, .pth, .bin), which can run code and is not opened. Get the "
            ".safetensors file, or convert it where it may be trusted."
        )
    if start.startswith(b"GGUF"):
        return "not a safetensors file but a GGUF file, which is not read. Get the .safetensors file."
    if text.startswith((b"{", b"[")):
        return "not a safetensors file but JSON. Name the .safetensors file, or the folder of a model in shards."
    return None


def _entry(key: str, value: Any, base: int) -> Entry:
    try:
        dtype, shape, (start, stop) = value["dtype"], value["shape"], value["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"'{key}' lacks dtype, shape or data_offsets") from None
    numbers = [*shape, start, stop] if isinstance(shape, list) else [None]
    if not all(type(number) is int and 0 <= number < _WORD for number in numbers):
        raise ValueError(f"the header's shape or offsets of '{key}' are no sizes")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"'{key}' is stored as {dtype}; known are {', '.join(BITS)}")
    bits = math.prod(shape) * BITS[dtype]
    if bits % 8 or bits // 8 != stop - start:
        raise ValueError(f"the header's shape of '{key}' does not fit its bytes")
    return Entry(dtype, tuple(shape), base + start, base + stop)


def _metadata(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("its metadata is not a table of texts")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"its header has '{next(name for name in names if names.count(name) > 1)}' twice")
    return content


def _refused(word: str) -> None:
    raise ValueError(f"{word} in its header")
