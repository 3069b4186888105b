"""The layers of Qwen2-VL in plain torch: its vision tower and its language model (arXiv 2409.12191).

transformers has them too, and the tests hold these to it. But its module takes four CPU seconds to import, of the five that
scoring a small clip would take, since it brings losses, distributed tensors and a compiler along. Parameters have its names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from einops import rearrange
from torch import Tensor, nn

from .qwen2vl_shape import TextShape, VisionShape

VISION_ROPE_THETA = 10000.0
_NORM_EPS = 1e-6  # of the vision tower; in no configuration
_KeysValues = tuple[Tensor, Tensor]


class KeyValueCache:
    """Keys and values of the text that was read, for each layer [B, heads, L, head_dim]; more text goes on from them."""

    def __init__(self) -> None:
        self._layers: list[_KeysValues] = []

    def get_seq_length(self) -> int:
        """Tokens that it holds."""
        return self._layers[0][0].shape[2] if self._layers else 0

    def of_layer(self, layer: int) -> _KeysValues | None:
        """A layer's keys and values; None where nothing was read yet."""
        return self._layers[layer] if layer < len(self._layers) else None

    def keep(self, layer: int, pair: _KeysValues) -> None:
        """A layer's keys and values of all that was read, in the place of those it had."""
        self._layers[layer : layer + 1] = [pair]

    def repeated(self, times: int) -> KeyValueCache:
        """A cache of ``times`` rows for each of this one's; this one stays as it is, whatever the other takes."""
        copy = KeyValueCache()
        copy._layers = [
            (keys.repeat_interleave(times, dim=0), values.repeat_interleave(times, dim=0))
            for keys, values in self._layers
        ]
        return copy


class VisionTower(nn.Module):
    """Patches of a clip's frames to features; pairs of frames do not see each other."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.shape = shape
        self.patch_embed = _PatchEmbedding(shape)
        self.rotary_pos_emb = RotaryFrequencies(shape.head_dim // 2, VISION_ROPE_THETA)
        self.blocks = nn.ModuleList(_VisionBlock(shape) for _ in range(shape.depth))
        self.merger = _Merger(shape)

    def forward(self, patches: Tensor, h: int, w: int) -> Tensor:
        """Patches [t * h * w, 1176] of t pairs of frames of h x w patches -> features [t * h * w / 4, hidden]."""
        hidden = rearrange(self.patch_embed(patches), "(t n) d -> t n d", n=h * w)
        cos, sin = self._rotary(h, w, hidden.device)
        for block in self.blocks:
            hidden = block(hidden, cos, sin)
        return self.merger(rearrange(hidden, "t n d -> (t n) d"))

    def _rotary(self, h: int, w: int, device: torch.device) -> tuple[Tensor, Tensor]:
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        # The four patches of a merged token are neighbours in the sequence.
        order = "(h mh) (w mw) -> (h w mh mw)"
        rows, columns = rearrange(rows, order, mh=2, mw=2), rearrange(columns, order, mh=2, mw=2)
        inverse = self.rotary_pos_emb.inv_freq.to(device)
        by_axis = [position.to(device).float()[:, None] * inverse for position in (rows, columns)]
        angles = torch.cat(by_axis + by_axis, dim=-1)
        return angles.cos(), angles.sin()


class LanguageModel(nn.Module):
    """Qwen2 with rotary positions on three axes, without an output layer."""

    def __init__(self, shape: TextShape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        # Drawn by ``initialise``: on the meta device, drawing would import a compiler.
        self.embed_tokens = nn.Embedding(
            vocabulary, shape.hidden_size, _weight=torch.empty(vocabulary, shape.hidden_size)
        )
        self.layers = nn.ModuleList(_TextLayer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.rotary_emb = RotaryFrequencies(shape.head_dim, shape.rope_theta)

    def forward(self, inputs_embeds: Tensor, position_ids: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Last hidden states.

        Args:
            inputs_embeds: [B, L, hidden].
            position_ids: [3, B, L], along time, height and width; those of a text are equal.
            cache: of what was read before; takes these tokens'.

        Returns:
            [B, L, hidden].
        """
        past = 0 if cache is None else cache.get_seq_length()
        length = inputs_embeds.shape[1]
        mask = None
        if past and length > 1:  # what is_causal means differs where there are more keys than queries
            mask = torch.ones(length, past + length, dtype=torch.bool, device=inputs_embeds.device).tril(past)
        cos, sin = self._rotary(position_ids, inputs_embeds.dtype)
        hidden = inputs_embeds
        for index, layer in enumerate(self.layers):
            hidden, pair = layer(hidden, cos, sin, mask, None if cache is None else cache.of_layer(index))
            if cache is not None:
                cache.keep(index, pair)
        return self.norm(hidden)

    def _rotary(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        parts = self.rotary_emb.inv_freq.split(self.shape.sections)
        axes = [axis[:, None, :, None].float() * part for axis, part in zip(positions, parts, strict=True)]
        angles = torch.cat(axes, dim=-1)
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(dtype), angles.sin().to(dtype)


class RotaryFrequencies(nn.Module):
    """theta^(-2i / dim), always float32; not saved."""

    inv_freq: Tensor

    def __init__(self, dim: int, theta: float) -> None:
        super().__init__()
        self.register_buffer("inv_freq", inverse_frequencies(dim, theta), persistent=False)


class RMSNorm(nn.Module):
    """x / rms(x) in float32, and a weight for each channel."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same, in the same type."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class _PatchEmbedding(nn.Module):
    """A convolution whose kernel is as large as its stride is a product, and as one several times as fast."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        kernel = (shape.temporal_patch_size, shape.patch_size, shape.patch_size)
        self.proj = nn.Conv3d(shape.in_channels, shape.embed_dim, kernel, stride=kernel, bias=False)

    def forward(self, patches: Tensor) -> Tensor:
        return F.linear(patches, self.proj.weight.flatten(1))


class _VisionBlock(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        width = shape.embed_dim
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=_NORM_EPS), nn.LayerNorm(width, eps=_NORM_EPS)
        self.attn = _VisionAttention(width, shape.num_heads)
        self.mlp = _VisionMLP(width, int(width * shape.mlp_ratio))

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        hidden = hidden + self.attn(self.norm1(hidden), cos, sin)
        return hidden + self.mlp(self.norm2(hidden))


class _VisionAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = rearrange(self.qkv(hidden), "t n (three head d) -> three t head n d", three=3, head=self.heads)
        # In float32, as the official tower does whatever its weights' type.
        q, k = rotate(q.float(), cos, sin).to(v.dtype), rotate(k.float(), cos, sin).to(v.dtype)
        return self.proj(rearrange(F.scaled_dot_product_attention(q, k, v), "t head n d -> t n (head d)"))


class _VisionMLP(nn.Module):
    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, wide), nn.Linear(wide, width)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.fc1(hidden)
        return self.fc2(hidden * torch.sigmoid(1.702 * hidden))  # "quick GELU"


class _Merger(nn.Module):
    """Four neighbouring patches to one feature of the language model's width."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        wide = shape.embed_dim * shape.spatial_merge_size**2
        self.ln_q = nn.LayerNorm(shape.embed_dim, eps=_NORM_EPS)
        self.mlp = nn.Sequential(nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, shape.hidden_size))
        self._wide = wide

    def forward(self, hidden: Tensor) -> Tensor:
        return self.mlp(self.ln_q(hidden).reshape(-1, self._wide))


class _TextLayer(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.self_attn = _TextAttention(shape)
        self.mlp = _TextMLP(shape.hidden_size, shape.intermediate_size)
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, past: _KeysValues | None):
        mixed, pair = self.self_attn(self.input_layernorm(hidden), cos, sin, mask, past)
        hidden = hidden + mixed
        return hidden + self.mlp(self.post_attention_layernorm(hidden)), pair


class _TextAttention(nn.Module):
    """Grouped queries: several heads share one of keys and values."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        width, keys = shape.hidden_size, shape.num_key_value_heads * shape.head_dim
        self.head_dim, self.dropout = shape.head_dim, shape.attention_dropout
        self.sharing = shape.num_attention_heads // shape.num_key_value_heads
        self.is_causal = True
        self.q_proj, self.o_proj = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.k_proj, self.v_proj = nn.Linear(width, keys), nn.Linear(width, keys)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, past: _KeysValues | None):
        """What the tokens take from those before them, and the keys and values of both."""
        q, k, v = (
            rearrange(layer(hidden), "b l (head d) -> b head l d", d=self.head_dim)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        mixed = F.scaled_dot_product_attention(
            q,
            k.repeat_interleave(self.sharing, dim=1),
            v.repeat_interleave(self.sharing, dim=1),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.is_causal and past is None,
        )
        return self.o_proj(rearrange(mixed, "b head l d -> b l (head d)")), (k, v)


class _TextMLP(nn.Module):
    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, wide, bias=False), nn.Linear(width, wide, bias=False)
        self.down_proj = nn.Linear(wide, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


def initialise(parts: Sequence[nn.Module], std: float) -> None:
    """Random weights as Qwen2-VL begins: matrices from N(0, std^2), no biases, norms of one."""
    for module in (module for part in parts for module in part.modules()):
        if isinstance(module, (nn.Linear, nn.Conv3d, nn.Embedding)) and not module.weight.is_meta:
            nn.init.normal_(module.weight, std=std)
            if not isinstance(module, nn.Embedding) and module.bias is not None:
                nn.init.zeros_(module.bias)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [..., d]: channel i and i + d / 2 are a pair."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def inverse_frequencies(dim: int, theta: float) -> Tensor:
    """[dim / 2] in float32, on the CPU whatever the default device: on the meta device, arange would import a compiler."""
    return 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32, device="cpu") / dim)
