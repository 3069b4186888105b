"""Matrices in NVFP4, as ComfyUI's files have them: 4-bit floats, an fp8 scale for 16 of a row, and one scale for all.

<module>.weight          [rows, columns / 2] bytes, the earlier column in a byte's high half
<module>.weight_scale    float8_e4m3fn, one for 16 columns, in the order of NVIDIA's tensor cores (cuBLAS, "1D block scaling factors
                         layout"): tiles of 128 rows and 4 scales, of which rows 0, 32, 64 and 96 come first
<module>.weight_scale_2  float32, one number
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 16
_TILE_ROWS, _TILE_SCALES, _STRIDE = 128, 4, 32
_MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # of E2M1, by its lower three bits; the fourth is the sign


def from_nvfp4(values: Tensor, block_scales: Tensor, scale: Tensor) -> Tensor:
    """[rows, columns] float32 of [rows, columns / 2] bytes.

    Args:
        block_scales: of any shape; its numbers count. Bytes are those of float8_e4m3fn, as older files hold them.
        scale: one number.

    Raises:
        ValueError: they do not fit each other.
    """
    rows, columns = len(values), 2 * values.shape[1]
    if columns % BLOCK or scale.numel() != 1 or block_scales.numel() != math.prod(_padded(rows, columns // BLOCK)):
        raise ValueError(
            f"{list(values.shape)} bytes have {list(block_scales.shape)} scales of blocks and {list(scale.shape)} of all"
        )
    if block_scales.dtype == torch.uint8:
        block_scales = block_scales.view(torch.float8_e4m3fn)
    table = torch.tensor([*_MAGNITUDES, *(-one for one in _MAGNITUDES)])
    unpacked = table[torch.stack([values >> 4, values & 15], dim=-1).long()].view(rows, -1, BLOCK)
    scales = in_rows(block_scales.float(), rows, columns // BLOCK) * scale.float()
    return (unpacked * scales[..., None]).view(rows, columns)


def in_rows(scales: Tensor, rows: int, blocks: int) -> Tensor:
    """[rows, blocks] of the scales in the order of the tensor cores."""
    height, width = _padded(rows, blocks)
    tiles = scales.reshape(height // _TILE_ROWS, width // _TILE_SCALES, _STRIDE, _TILE_ROWS // _STRIDE, _TILE_SCALES)
    # [tile row, tile column, row % 32, row / 32, scale] -> rows in their order
    return tiles.permute(0, 3, 2, 1, 4).reshape(height, width)[:rows, :blocks]


def _padded(rows: int, blocks: int) -> tuple[int, int]:
    return -(-rows // _TILE_ROWS) * _TILE_ROWS, -(-blocks // _TILE_SCALES) * _TILE_SCALES
