"""How a frozen matrix is kept: whole, in 8 bits (float8 with a scale per row) or in 4 bits (NF4), where the network is or in
main memory."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn

from ..errors import VideoAlignError
from .devices import pinned

FLOAT8 = torch.float8_e4m3fn
LARGEST = 448.0  # of float8_e4m3fn
_SCALE = 4  # bytes of float8's scale of a row
NF4_BLOCK = 64  # weights that share a scale, as in QLoRA (arXiv 2305.14314, section 3)
_NF4_BITS = 4 + 8 / NF4_BLOCK + 32 / (NF4_BLOCK * 256)  # the scale of 64 weights in 8 bits, of 256 scales one more


class StoredWeight(nn.Module):
    """A frozen matrix [out, in], kept as it is.

    Args:
        offload: keep it in main memory (pinned where there is a GPU), wherever the network is moved.
        counted: it stands in the network's state dict, by whose size memory managers go; not where a trainer saves that.
    """

    def __init__(self, weight: Tensor, offload: bool, counted: bool = False) -> None:
        super().__init__()
        self.dtype, self.shape, self.offload, self.counted = weight.dtype, weight.shape, offload, counted
        self._keep(weight.detach())

    def full(self, device: torch.device) -> Tensor:
        """The matrix on a device in the type that it had, made anew each time."""
        return self._fetched("values", device).to(self.dtype)

    @property
    def device(self) -> torch.device:
        """Where it is kept."""
        return self.values.device

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, with its scales."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor)) + sum(
            value.nbytes for value in self.buffers()
        )

    def _keep(self, weight: Tensor) -> None:
        self._store("values", weight)

    def _store(self, name: str, value: Tensor) -> None:
        if not self.offload:
            self.register_buffer(name, value, persistent=self.counted)
            return
        value = value.cpu()  # no buffer: it does not move
        setattr(self, name, pinned(value))

    def _fetched(self, name: str, device: torch.device) -> Tensor:
        return getattr(self, name).to(device, non_blocking=True)


class Float8Weight(StoredWeight):
    """As float8_e4m3fn with a float32 scale per output row."""

    def full(self, device: torch.device) -> Tensor:
        """See ``StoredWeight``."""
        return super().full(device) * self._fetched("scale", device).to(self.dtype)

    def _keep(self, weight: Tensor) -> None:
        values, scale = quantised(weight)
        self._store("values", values)
        self._store("scale", scale)


class Nf4Weight(StoredWeight):
    """As 4-bit NormalFloat by bitsandbytes, a scale for 64 weights; the scales in 8 bits too (QLoRA's double quantisation).

    4.13 bits a weight. The matrix is flattened row by row before it is cut into blocks, and its last block may be short. So a
    block may span two rows where a row is no multiple of 64; bitsandbytes' AVX-512 kernel (0.50.2) then takes wrong scales when
    it is told the matrix' shape, and therefore is told another one (``_rows_of_blocks``).

    Raises:
        VideoAlignError: bitsandbytes is not installed.
    """

    def full(self, device: torch.device) -> Tensor:
        """See ``StoredWeight``."""
        functional = bitsandbytes_for("A matrix in 4 bits (nf4)").functional
        of_scales = functional.QuantState(
            absmax=self._fetched("scale_of_scales", device),
            code=self._fetched("code_of_scales", device),
            blocksize=self._scale_block,
            dtype=torch.float32,
        )
        state = functional.QuantState(
            absmax=self._fetched("scales", device),
            shape=_rows_of_blocks(self.shape.numel()),
            dtype=self.dtype,
            blocksize=NF4_BLOCK,
            quant_type="nf4",
            offset=self._fetched("mean_scale", device),
            state2=of_scales,
        )
        return functional.dequantize_4bit(self._fetched("values", device), state).view(self.shape)

    def _keep(self, weight: Tensor) -> None:
        functional = bitsandbytes_for("A matrix in 4 bits (nf4)").functional
        values, state = functional.quantize_4bit(
            weight.contiguous(), blocksize=NF4_BLOCK, compress_statistics=True, quant_type="nf4"
        )
        self._scale_block = state.state2.blocksize
        for name, value in {
            "values": values,
            "scales": state.absmax,
            "mean_scale": state.offset,
            "scale_of_scales": state.state2.absmax,
            "code_of_scales": state.state2.code,
        }.items():
            self._store(name, value)


STORED = {"plain": StoredWeight, "float8": Float8Weight, "nf4": Nf4Weight}


def kept_bytes(form: str, rows: int, columns: int, itemsize: int) -> float:
    """Bytes that a matrix takes in a form of ``STORED``; ``itemsize`` bytes a weight where it is kept as it is."""
    if form == "float8":
        return rows * columns + rows * _SCALE
    return rows * columns * (_NF4_BITS / 8 if form == "nf4" else itemsize)


def _rows_of_blocks(count: int) -> torch.Size:
    """A shape for ``count`` weights whose rows begin where a block of scales begins: rows of one block, or a single row."""
    return torch.Size([count // NF4_BLOCK, NF4_BLOCK] if count % NF4_BLOCK == 0 else [count])


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float8_e4m3fn [out, in] and the float32 scale of each row [out, 1]; their product is ``weight`` to about 3 %."""
    scale = weight.float().abs().amax(1, keepdim=True).clamp(min=1e-12) / LARGEST
    return (weight.float() / scale).to(FLOAT8), scale


def bitsandbytes_for(option: str, instead: str = "float8") -> ModuleType:
    """The package bitsandbytes.

    Args:
        option: what needs it, for the message.
        instead: what does not.

    Raises:
        VideoAlignError: it is not installed.
    """
    try:
        import bitsandbytes
    except ImportError:
        raise VideoAlignError(f"{option} needs bitsandbytes: pip install bitsandbytes, or use {instead}.") from None
    return bitsandbytes
