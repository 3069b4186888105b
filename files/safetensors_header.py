"""What a safetensors file holds, read from its header (no torch): names, types, shapes, metadata and single numbers."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import LoraFileError

_LARGEST = 100_000_000  # bytes; the format's own limit
_NUMBERS = {"F64": "<d", "F32": "<f", "F16": "<e", "I64": "<q", "I32": "<i"}


class Entry(NamedTuple):
    """A tensor of the file."""

    dtype: str  # as the format spells it: F32, F16, BF16, F8_E4M3, ...
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """The content of a safetensors file, without the tensors."""

    path: Path
    entries: dict[str, Entry]
    metadata: dict[str, str]
    size: int  # bytes of the file

    def number(self, key: str) -> float:
        """The value of a tensor with one element.

        Raises:
            LoraFileError: it has more, or is of a type that holds no plain number.
        """
        entry = self.entries[key]
        with self.path.open("rb") as file:
            file.seek(entry.start)
            raw = file.read(entry.stop - entry.start)
        if entry.dtype == "BF16" and len(raw) == 2:
            return struct.unpack("<f", b"\0\0" + raw)[0]
        form = _NUMBERS.get(entry.dtype)
        if form is None or struct.calcsize(form) != len(raw):
            raise LoraFileError(f"{self.path}: {key} is {entry.dtype} {list(entry.shape)}, expected one number.")
        return float(struct.unpack(form, raw)[0])


def read_header(path: Path | str) -> Header:
    """Read the header.

    Raises:
        LoraFileError: the file is missing, truncated, or not safetensors.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(size - 8, _LARGEST):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            content = json.loads(file.read(length))
        metadata = content.pop("__metadata__", {})
        entries = {
            key: Entry(own["dtype"], tuple(own["shape"]), *(8 + length + offset for offset in own["data_offsets"]))
            for key, own in content.items()
        }
    except FileNotFoundError:
        raise LoraFileError(f"{path} does not exist. Check the path.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise LoraFileError(f"{path} is not a safetensors file ({error}).") from None
    needed = max((entry.stop for entry in entries.values()), default=0)
    if needed > size:
        raise LoraFileError(f"{path} is truncated: {size} bytes of {needed}. Download or export it again.")
    return Header(path, entries, metadata, size)
