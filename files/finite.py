"""Whether stored numbers are finite, told from their bits: of any type of a safetensors file, with or without torch.

One pass over the memory; no copy is made, and no arithmetic is done that could overflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .safetensors_header import Entry, Header

if TYPE_CHECKING:
    import numpy
    from torch import Tensor

_EXPONENTS = {  # (bytes of an element, the bits that are all set where it is NaN or infinite)
    "F64": (8, 0x7FF0_0000_0000_0000), "F32": (4, 0x7F80_0000), "F16": (2, 0x7C00), "BF16": (2, 0x7F80),
    "F8_E5M2": (1, 0x7C), "F8_E4M3": (1, 0x7F),
}  # fmt: skip
_EXACTLY = {"F8_E4M3FNUZ": 0x80, "F8_E5M2FNUZ": 0x80, "F8_E8M0": 0xFF}  # types that have one NaN and no infinity
_AT_ONCE = 1 << 15  # elements: the masked ones stay in the processor's cache
_READ = 1 << 24  # bytes


def is_finite(content: Any, dtype: str) -> bool:
    """Whether no element is NaN or infinite.

    Args:
        content: a tensor's bytes (anything with the buffer protocol).
        dtype: as safetensors names it; types that are always finite are not looked at.
    """
    import numpy

    if not len(content):
        return True
    if dtype in _EXACTLY:
        return not bool((numpy.frombuffer(content, numpy.uint8) == _EXACTLY[dtype]).any())
    if dtype == "C64":
        dtype = "F32"
    if dtype not in _EXPONENTS:
        return True
    size, mask = _EXPONENTS[dtype]
    return _below(numpy.frombuffer(content, f"<u{size}"), mask)


def not_finite(header: Header) -> Iterator[str]:
    """The tensors of a file that hold NaN or infinite values. Reads the whole file, a piece at a time."""
    with header.path.open("rb") as file:
        for key, entry in sorted(header.entries.items(), key=lambda item: item[1].start):
            if not all(is_finite(piece, entry.dtype) for piece in _pieces(file, entry)):
                yield key


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first of some tensors that holds NaN or infinite values; None where all are finite."""
    return next((name for name, tensor in tensors.items() if not _tensor_is_finite(tensor)), None)


def _tensor_is_finite(tensor: Tensor) -> bool:
    import torch

    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if tensor.device.type != "cpu":  # a GPU's arithmetic has the memory's pace
        return bool(torch.isfinite(tensor.float() if tensor.dtype.itemsize == 1 else tensor).all())
    names = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.complex64: "C64",
        torch.float8_e5m2: "F8_E5M2", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
        torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    }  # fmt: skip
    content = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    return is_finite(content, names.get(tensor.dtype, ""))


def _pieces(file: Any, entry: Entry) -> Iterator[bytes]:
    file.seek(entry.start)
    left = entry.stop - entry.start
    while left:
        piece = file.read(min(left, _READ))
        if not piece:
            return
        left -= len(piece)
        yield piece


def _below(values: numpy.ndarray, mask: int) -> bool:
    """Whether no element has all bits of the mask."""
    import numpy

    mask = values.dtype.type(mask)
    masked = numpy.empty(min(len(values), _AT_ONCE), values.dtype)
    for start in range(0, len(values), _AT_ONCE):
        piece = values[start : start + _AT_ONCE]
        if numpy.bitwise_and(piece, mask, out=masked[: len(piece)]).max() == mask:
            return False
    return True
