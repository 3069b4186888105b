"""Qwen2-VL with a reward head, as VideoAlign uses it.

Two things differ from transformers' own forward. The vision tower attends inside each pair of frames only, so
the pairs of a clip are batched instead of masked (no quadratic cost). And the
text positions are plain 1-D: the official forward passes no position ids, so all three M-RoPE axes carry 0..L-1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from .qwen2vl_layers import (
    VISION_ROPE_THETA,
    KeyValueCache,
    LanguageModel,
    VisionTower,
    initialise,
    inverse_frequencies,
)
from .qwen2vl_shape import text_shape, vision_shape


class Qwen2VLRewardNetwork(nn.Module):
    """Vision tower, language model and reward head.

    Args:
        config: a Qwen2-VL ``config.json`` as a dictionary (the flat form of the hub or the nested newer one).
        vocabulary: rows of the token embedding, reward tokens included.
        output_dim: outputs of the reward head, 1 (shared by the three tokens) or 3 (one for each dimension).
    """

    def __init__(self, config: dict, vocabulary: int, output_dim: int) -> None:
        super().__init__()
        self.visual = VisionTower(vision_shape(config))
        self.language_model = LanguageModel(text_shape(config), vocabulary)
        initialise((self.visual, self.language_model), config.get("initializer_range", 0.02))
        self.rm_head = nn.Linear(self.language_model.shape.hidden_size, output_dim, bias=False)
        self.max_positions = self.language_model.shape.max_position_embeddings

    def set_rotary_precision(self, dtype: torch.dtype, device: torch.device | str) -> None:
        """(Re)compute the rotary frequencies in float32, rounded to ``dtype``.

        ``model.to(bfloat16)`` rounded these buffers in the official training and inference; checkpoints trained that
        way expect the rounded ones (mean effect 0.1 on a score). Both frequency tables are made here, so that building
        the network on the meta device needs no initialisation.
        """
        vision, text = self.visual.shape, self.language_model.shape
        tables = {
            self.language_model.rotary_emb: inverse_frequencies(text.head_dim, text.rope_theta),
            self.visual.rotary_pos_emb: inverse_frequencies(vision.head_dim // 2, VISION_ROPE_THETA),
        }
        for part, table in tables.items():
            part.inv_freq = table.to(dtype).float().to(device)

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Have torch.compile make one kernel of what a block does between its matrix products.

        What is scored first takes a minute longer (some graphs of each kind of block, for clips of any size). Rewards differ
        by the rounding of sums in another order.

        Args:
            backend: what makes the kernels, as torch calls it.
        """
        for block in (*self.visual.blocks, *self.language_model.layers):
            block.compile(dynamic=True, backend=backend)

    def embed_clips(self, patches: Sequence[torch.Tensor], grids: Sequence[tuple[int, int, int]]) -> list[torch.Tensor]:
        """Vision features of clips; those of one frame size share a pass, whatever their lengths.

        Args:
            patches: for each clip [t * h * w, 1176].
            grids: for each clip (t, h, w) in patches.

        Returns:
            for each clip [t * h * w / 4, hidden].
        """
        features: dict[int, torch.Tensor] = {}
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, (_, h, w) in enumerate(grids):
            by_size.setdefault((h, w), []).append(index)
        weight = self.language_model.embed_tokens.weight  # a head may be of another type
        for (h, w), members in by_size.items():
            together = torch.cat([patches[index].to(device=weight.device, dtype=weight.dtype) for index in members])
            lengths = [grids[index][0] * h * w // 4 for index in members]
            for index, clip_features in zip(members, self.visual(together, h, w).split(lengths), strict=True):
                features[index] = clip_features
        return [features[index] for index in range(len(grids))]

    def embed_tokens(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token embeddings: [B, L] -> [B, L, hidden]."""
        return self.language_model.embed_tokens(input_ids)

    def read(self, embeddings: torch.Tensor, cache: KeyValueCache | None = None) -> torch.Tensor:
        """Last hidden states of the language model.

        Shorter texts of a batch are filled up on the right with anything finite: each token sees those before it alone.

        Args:
            embeddings: [B, L, hidden], the video features already in place.
            cache: the keys and values of the preceding text; takes this one's.

        Returns:
            [B, L, hidden].
        """
        past = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(past, past + embeddings.shape[1], device=embeddings.device)
        return self.language_model(
            inputs_embeds=embeddings, position_ids=positions.expand(3, embeddings.shape[0], -1), cache=cache
        )

    def rewards(self, hidden: torch.Tensor) -> torch.Tensor:
        """Raw rewards in float32: hidden states [..., hidden] at the reward tokens -> [..., output_dim]."""
        return F.linear(hidden.float(), self.rm_head.weight.float())
