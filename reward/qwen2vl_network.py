"""Qwen2-VL with a reward head, as VideoAlign uses it: its modules from transformers, its data flow from here.

Two things differ from running transformers' own forward. The vision tower attends inside each pair of frames only, so
the pairs of a clip are batched instead of masked (no quadratic cost, the same in every transformers version). And the
text positions are plain 1-D: the official forward passes no position ids, so all three M-RoPE axes carry 0..L-1.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from einops import rearrange
from torch import nn

VISION_ROPE_THETA = 10000.0


class Qwen2VLRewardNetwork(nn.Module):
    """Vision tower, language model and reward head.

    Args:
        config: a Qwen2-VL ``config.json`` as a dictionary (the flat form of the hub or the nested newer one).
        vocabulary: rows of the token embedding, reward tokens included.
        output_dim: outputs of the reward head, 1 (shared by the three tokens) or 3 (one for each dimension).
    """

    def __init__(self, config: dict, vocabulary: int, output_dim: int) -> None:
        super().__init__()
        vision_config, text_config = _sub_configs(config, vocabulary)
        vision_class, text_class = _transformers_classes()
        self.visual = vision_class._from_config(vision_config, attn_implementation="sdpa")
        self.language_model = text_class._from_config(text_config, attn_implementation="sdpa")
        # Newer transformers (5.24 is one) call it cache, and from 5.40 on would silently drop the older name.
        known = inspect.signature(text_class.forward).parameters
        self._cache_argument = "cache" if "cache" in known else "past_key_values"
        self.rm_head = nn.Linear(text_config.hidden_size, output_dim, bias=False)
        self.vision_heads = vision_config.num_heads
        self.vision_head_dim = vision_config.embed_dim // vision_config.num_heads
        self.text_head_dim = text_config.hidden_size // text_config.num_attention_heads
        self.max_positions = text_config.max_position_embeddings
        text = config.get("text_config", config)
        # transformers 5 saves it among the rope_parameters.
        self._rope_theta = {**(text.get("rope_parameters") or {}), **text}.get("rope_theta", 1_000_000.0)

    def set_rotary_precision(self, dtype: torch.dtype, device: torch.device | str) -> None:
        """(Re)compute the rotary frequencies in float32, rounded to ``dtype``.

        ``model.to(bfloat16)`` rounded these buffers in the official training and inference; checkpoints trained that
        way expect the rounded ones (mean effect 0.1 on a score). Both frequency tables are made here, so that building
        the network on the meta device needs no initialisation.
        """
        tables = {
            self.language_model: _inverse_frequencies(self.text_head_dim, self._rope_theta),
            self.visual: _inverse_frequencies(self.vision_head_dim // 2, VISION_ROPE_THETA),
        }
        for part, table in tables.items():
            rounded = table.to(dtype).float().to(device)
            for module in part.modules():  # transformers before 4.52 keeps a copy in every layer
                for name in ("inv_freq", "original_inv_freq"):
                    if hasattr(module, name):
                        setattr(module, name, rounded)

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
            for index, clip_features in zip(members, self._vision(together, h, w).split(lengths), strict=True):
                features[index] = clip_features
        return [features[index] for index in range(len(grids))]

    def _vision(self, patches: torch.Tensor, h: int, w: int) -> torch.Tensor:
        # A convolution whose kernel is as large as its stride is a product, and as one several times as fast.
        embedding = self.visual.patch_embed.proj
        hidden = F.linear(patches, embedding.weight.flatten(1), embedding.bias)
        hidden = rearrange(hidden, "(t n) d -> t n d", n=h * w)
        cos, sin = self._vision_rotary(h, w, hidden.device)
        for block in self.visual.blocks:
            hidden = hidden + self._attend(block.attn, block.norm1(hidden), cos, sin)
            hidden = hidden + block.mlp(block.norm2(hidden))
        return self.visual.merger(rearrange(hidden, "t n d -> (t n) d"))

    def embed_tokens(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token embeddings: [B, L] -> [B, L, hidden]."""
        return self.language_model.embed_tokens(input_ids)

    def read(self, embeddings: torch.Tensor, cache: Any = None) -> torch.Tensor:
        """Last hidden states of the language model.

        Shorter texts of a batch are filled up on the right with anything finite: each token sees those before it alone.

        Args:
            embeddings: [B, L, hidden], the video features already in place.
            cache: a transformers ``DynamicCache`` that holds the keys and values of the preceding text, and takes this one's.

        Returns:
            [B, L, hidden].
        """
        past = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(past, past + embeddings.shape[1], device=embeddings.device)
        return self.language_model(
            inputs_embeds=embeddings,
            position_ids=positions.expand(3, embeddings.shape[0], -1),
            use_cache=cache is not None,
            **({} if cache is None else {self._cache_argument: cache}),
        ).last_hidden_state

    def rewards(self, hidden: torch.Tensor) -> torch.Tensor:
        """Raw rewards in float32: hidden states [..., hidden] at the reward tokens -> [..., output_dim]."""
        return F.linear(hidden.float(), self.rm_head.weight.float())

    def _attend(self, attention: Any, hidden: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        q, k, v = rearrange(
            attention.qkv(hidden), "t n (three head d) -> three t head n d", three=3, head=self.vision_heads
        )
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return attention.proj(rearrange(mixed, "t head n d -> t n (head d)"))

    def _vision_rotary(self, h: int, w: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        # The four patches of a merged token are neighbours in the sequence.
        order = "(h mh) (w mw) -> (h w mh mw)"
        rows, columns = rearrange(rows, order, mh=2, mw=2), rearrange(columns, order, mh=2, mw=2)
        inverse = self.visual.rotary_pos_emb.inv_freq.to(device)
        by_axis = [position.to(device).float()[:, None] * inverse for position in (rows, columns)]
        angles = torch.cat(by_axis + by_axis, dim=-1)
        return angles.cos(), angles.sin()


def _rotate(value: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding in float32, as the official tower does whatever its weights' type."""
    wide = value.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat((-second, first), dim=-1) * sin).to(value.dtype)


def _inverse_frequencies(dim: int, theta: float) -> torch.Tensor:
    return 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)


def _sub_configs(config: dict, vocabulary: int):
    from transformers import Qwen2VLConfig

    values = _without_code(config)
    for key in ("architectures", "transformers_version", "model_type"):
        values.pop(key, None)
    values["vocab_size"] = vocabulary
    if "text_config" in values:
        values["text_config"] = {**values["text_config"], "vocab_size": vocabulary}
    # Token ids of the generation loop are of no use here, and those beyond a small vocabulary are errors.
    for holder in (values, values.get("text_config", {})):
        holder.update(pad_token_id=None, bos_token_id=None, eos_token_id=None)
    full = Qwen2VLConfig(**values)
    return full.vision_config, getattr(full, "text_config", full)


def _without_code(config: dict) -> dict:
    """A configuration without attention implementations: transformers 4.56 to 5.2 may download and run what they name
    (CVE-2026-4372), and the network sets its own."""
    return {
        key: _without_code(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if "attn_implementation" not in key
    }


def _transformers_classes():
    """The two halves of Qwen2-VL; the language half was named Qwen2VLModel before transformers 4.52."""
    from transformers.models.qwen2_vl import modeling_qwen2_vl as module

    text = getattr(module, "Qwen2VLTextModel", None) or module.Qwen2VLModel
    return module.Qwen2VisionTransformerPretrainedModel, text
