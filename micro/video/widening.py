"""Twice the heads for a trained network: a wider one that computes the same function at first, and can then learn more.

Every channel is there twice. Where a layer reads channels, each weight is split into two unequal shares, so that the two
halves get different gradients and can part. T. Chen, I. Goodfellow, J. Shlens, "Net2Net: Accelerating Learning via Knowledge
Transfer" (2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel

SPREAD = 0.7  # how far the two shares of a weight differ, of the weight

# Layers that read what is not channels of the network: word vectors, sines of the time, latents.
_READ_INPUTS = (
    "condition_embedder.text_embedder.linear_1.weight", "condition_embedder.time_embedder.linear_1.weight", "patch_embedding.weight",
)  # fmt: skip
_CHUNKED = "condition_embedder.time_proj."  # six vectors of the channels one after another


@torch.no_grad()
def widened(weights: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Weights of a network with twice the heads and feed-forward channels.

    Args:
        weights: of a ``WanTransformer3DModel`` in diffusers' naming.
        seed: of the shares.
    """
    generator = torch.Generator().manual_seed(seed)
    return {name: _widened(name, tensor, generator) for name, tensor in weights.items()}


def _widened(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    if name.endswith("scale_shift_table"):
        return tensor.repeat(1, 1, 2)
    if name.startswith("proj_out."):
        return tensor.clone() if tensor.ndim == 1 else _split(tensor, generator)
    chunks = tensor.chunk(6) if name.startswith(_CHUNKED) else (tensor,)
    if tensor.ndim == 1 or name in _READ_INPUTS:
        return torch.cat([part for chunk in chunks for part in (chunk, chunk)])
    return torch.cat([_split(chunk, generator) for chunk in chunks for _ in range(2)])


def _split(matrix: Tensor, generator: torch.Generator) -> Tensor:
    """[rows, columns] to [rows, 2 * columns], whose halves have the sum ``matrix``."""
    share = SPREAD * (2 * torch.rand(matrix.shape, generator=generator) - 1)
    return torch.cat([matrix * (1 + share) / 2, matrix * (1 - share) / 2], dim=1)


def double(dit: WanTransformer3DModel, seed: int) -> WanTransformer3DModel:
    """A network of twice the width of ``dit`` that computes the same."""
    from diffusers import WanTransformer3DModel

    config = dict(dit.config)
    config.update(num_attention_heads=2 * config["num_attention_heads"], ffn_dim=2 * config["ffn_dim"])
    wide = WanTransformer3DModel.from_config(config)
    wide.load_state_dict(widened(dit.state_dict(), seed))
    return wide
