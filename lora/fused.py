"""Several adapters in one: where the original network fuses layers that diffusers keeps apart (q, k, v, MLP in one matrix).

Stacked: A is the parts' A one below the other, B is block-diagonal, with zero rows where nothing was trained:

    [B_q  0   0 ]   [A_q]        alpha of the whole = scale * (total rank), so that the loader's alpha / rank
    [ 0  B_k  0 ] . [A_k]        is the scale that each part was trained with.
    [ 0   0  B_v]   [A_v]
    [ 0   0   0 ]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from .adapters import LoraWeights

Rows = Sequence[tuple[int, int]]  # ranges [start, stop) of the fused layer's rows, in the order of the part's rows


def stack(parts: Sequence[tuple[Rows, LoraWeights]], height: int) -> LoraWeights:
    """One adapter for a layer of ``height`` rows. Parts of unequal scale are brought to the first one's through B."""
    weights = [lora for _, lora in parts]
    rank, scale = sum(lora.rank for lora in weights), weights[0].scale
    equal = len({(lora.rank, lora.alpha) for lora in weights}) == 1
    up = weights[0].B.new_zeros(height, rank)
    column = 0
    for rows, lora in parts:
        part = lora.B if lora.scale == scale else lora.B * (lora.scale / scale)
        up[_indices(rows), column : column + lora.rank] = part
        column += lora.rank
    alpha = weights[0].alpha * len(weights) if equal else scale * rank
    return LoraWeights(torch.cat([lora.A for lora in weights]), up, alpha)


def split(
    fused: LoraWeights, parts: Mapping[str, Rows], stacked: Sequence[tuple[str, int]] | None = None
) -> dict[str, LoraWeights]:
    """The adapters of the parts; together they do what ``fused`` does.

    Args:
        parts: rows of each part.
        stacked: (part, rank) in the order of the stacking, where the file tells it; believed only if B agrees.

    Where B is block-diagonal each part gets its own rows of A (the inverse of ``stack``); otherwise each gets all of A.
    Parts whose rows are all zero were not trained and are left out, unless ``stacked`` names them.
    """
    ups = {name: fused.B[_indices(rows)] for name, rows in parts.items()}
    columns = _columns(ups, fused.rank, stacked)
    return {
        name: LoraWeights(fused.A[indices].clone(), ups[name][:, indices].clone(), fused.scale * len(indices))
        for name, indices in columns.items()
    }


def _columns(
    ups: Mapping[str, torch.Tensor], rank: int, stacked: Sequence[tuple[str, int]] | None
) -> dict[str, list[int]]:
    """Which columns of B (rows of A) belong to each part."""
    used = {name: set(up.ne(0).any(0).nonzero().flatten().tolist()) for name, up in ups.items()}
    trained = [name for name in ups if used[name]]
    proposals = [list(stacked)] if stacked else []
    if trained and rank % len(trained) == 0:
        proposals.append([(name, rank // len(trained)) for name in trained])
    for proposal in proposals:
        blocks, start = {}, 0
        for name, width in proposal:
            blocks[name] = list(range(start, start + width))
            start += width
        if start == rank and all(used[name] <= set(blocks.get(name, ())) for name in ups):
            return blocks
    if sum(len(used[name]) for name in trained) == len(set().union(*(used[name] for name in trained))):
        return {name: sorted(used[name]) for name in trained}
    return {name: list(range(rank)) for name in trained}


def _indices(rows: Rows) -> torch.Tensor:
    return torch.cat([torch.arange(start, stop) for start, stop in rows])
