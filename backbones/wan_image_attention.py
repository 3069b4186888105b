"""Wan's cross-attention to text and image tokens, for texts of any length."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def image_attention():
    """An attention processor for diffusers' WanAttention. Set its ``image_tokens``: how many of the keys are the image's.

    diffusers' processor takes the last 512 keys for the text, whatever the text's length.
    """
    from diffusers.models.transformers.transformer_wan import WanAttnProcessor

    class WanImageAttention(WanAttnProcessor):
        image_tokens = 257

        def __call__(
            self, attn, hidden_states: Tensor, encoder_hidden_states: Tensor, attention_mask=None, rotary_emb=None
        ) -> Tensor:
            image, text = encoder_hidden_states.tensor_split([self.image_tokens], dim=1)
            query = attn.norm_q(attn.to_q(hidden_states))
            attended = [
                _attention(attn.heads, query, attn.norm_k(attn.to_k(text)), attn.to_v(text)),
                _attention(attn.heads, query, attn.norm_added_k(attn.add_k_proj(image)), attn.add_v_proj(image)),
            ]
            return attn.to_out[1](attn.to_out[0](sum(attended)))

    return WanImageAttention()


def _attention(heads: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """[B, N, D] attention of [B, N, D] queries to [B, L, D] keys."""
    query, key, value = (tokens.unflatten(2, (heads, -1)).transpose(1, 2) for tokens in (query, key, value))
    attended: torch.Tensor = scaled_dot_product_attention(query, key.to(query.dtype), value.to(query.dtype))
    return attended.transpose(1, 2).flatten(2, 3)
