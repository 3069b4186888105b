"""HunyuanVideo 1.5's network, made of diffusers' layers, that attends without a mask where nothing is masked.

diffusers pads every text to 1000 tokens and every glyph text to 256, and masks attention by a table of all tokens by all tokens, which for
121 frames of 480 x 848 are 49,290 tokens and 2.4 GB. Masked tokens change nothing; here texts are not padded, as in ComfyUI, and where
texts of a batch differ in length the mask has one row a sample.
"""

from __future__ import annotations

import functools

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_hunyuan_video15 import HunyuanVideo15Transformer3DModel
from torch import Tensor

_TEXT, _GLYPHS, _IMAGE = range(3)  # rows of cond_type_embed


class JointAttention:
    """Tokens of video and text attend to one another; diffusers' layers. ``attention_mask`` is [B, 1, 1, S] or None."""

    _attention_backend = _parallel_config = None

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor, attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """[B, N, D] tokens of the video and [B, L, D] of the text -> the same."""
        video = [layer(hidden_states).unflatten(2, (attn.heads, -1)) for layer in (attn.to_q, attn.to_k, attn.to_v)]
        text_layers = attn.add_q_proj, attn.add_k_proj, attn.add_v_proj
        text = [layer(encoder_hidden_states).unflatten(2, (attn.heads, -1)) for layer in text_layers]
        query, key = (
            apply_rotary_emb(norm(own), image_rotary_emb, sequence_dim=1)
            for norm, own in zip((attn.norm_q, attn.norm_k), video, strict=False)
        )
        joint = (
            torch.cat([query, attn.norm_added_q(text[0])], dim=1),
            torch.cat([key, attn.norm_added_k(text[1])], dim=1),
            torch.cat([video[2], text[2]], dim=1),
        )
        seen = dispatch_attention_fn(*joint, attn_mask=attention_mask, backend=self._attention_backend)
        seen = seen.flatten(2).to(query.dtype)
        tokens = hidden_states.shape[1]
        return attn.to_out[1](attn.to_out[0](seen[:, :tokens])), attn.to_add_out(seen[:, tokens:])


class HunyuanVideo15Network(HunyuanVideo15Transformer3DModel):
    """diffusers' network and configurations, with another ``forward``."""

    @functools.wraps(HunyuanVideo15Transformer3DModel.__init__)  # its arguments are asked for
    def __init__(self, *arguments, **config) -> None:
        super().__init__(*arguments, **config)
        for block in self.transformer_blocks:
            block.attn.set_processor(JointAttention())

    def forward(
        self, latents: Tensor, timestep: Tensor, text: Tensor, text_mask: Tensor | None = None, glyphs: Tensor | None = None,
        glyphs_mask: Tensor | None = None, image: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """[B, 65, T, H, W] noisy latents, an image's, and its mask -> [B, 32, T, H, W] velocity.

        Args:
            timestep: [B] float32, sigma * 1000.
            text: [B, L, D] of the language model.
            text_mask, glyphs_mask: [B, L] bool, whether there is a token; None: all are.
            glyphs: [B, L', D'] of what the prompt quotes; None or no rows where it quotes nothing.
            image: [B, L'', D''] tokens of a picture; None for text to video.
        """
        positions = self.rope(latents)
        time = self.time_embed
        time = time.timestep_embedder(time.time_proj(timestep).to(latents.dtype))
        x = self.x_embedder(latents)
        told = [(self._refined(text, timestep, text_mask) + self.cond_type_embed.weight[_TEXT], text_mask)]
        if glyphs is not None and glyphs.shape[1]:
            told.insert(0, (self.context_embedder_2(glyphs) + self.cond_type_embed.weight[_GLYPHS], glyphs_mask))
        if image is not None:
            told.insert(0, (self.image_embedder(image) + self.cond_type_embed.weight[_IMAGE], None))
        context = torch.cat([tokens for tokens, _ in told], dim=1)
        mask = _joined(told, x.shape[1])
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                x, context = self._gradient_checkpointing_func(block, x, context, time, mask, positions)
            else:
                x, context = block(x, context, time, mask, positions)
        x = self.proj_out(self.norm_out(x, time))
        patch = self.config.patch_size_t, self.config.patch_size, self.config.patch_size
        sizes = [size // side for size, side in zip(latents.shape[2:], patch, strict=True)]
        x = x.unflatten(1, sizes).unflatten(-1, (-1, *patch))
        return x.permute(0, 4, 1, 5, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)

    def _refined(self, text: Tensor, timestep: Tensor, mask: Tensor | None) -> Tensor:
        """[B, L, D] -> [B, L, width]: the text's own two blocks, told the time and the mean of the text."""
        embedder = self.context_embedder
        if mask is None:
            mean = text.mean(1)
        else:
            share = mask / mask.sum(1, keepdim=True)
            mean = (text.float() * share[..., None]).sum(1).to(text.dtype)
        time = embedder.time_text_embed(timestep, mean)
        tokens = embedder.proj_in(text)
        for block in embedder.token_refiner.refiner_blocks:
            tokens = block(tokens, time, None if mask is None else mask[:, None])
        return tokens


def _joined(told: list[tuple[Tensor, Tensor | None]], video: int) -> Tensor | None:
    """[B, 1, 1, N + L] bool of the ``video`` tokens and what they are told; None where nothing is masked."""
    if all(mask is None for _, mask in told):
        return None
    masks = [tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if mask is None else mask for tokens, mask in told]
    masks.insert(0, masks[0].new_ones(len(masks[0]), video))
    return torch.cat(masks, dim=1)[:, None, None]
