"""The video half of LTX-2's network, made of diffusers' layers; the sound, and the attentions between both, are left out.

It is what the network computes of a video without sound: ComfyUI runs no layer of the sound for a latent that is a video alone, and
diffusers runs them beside it with ``isolate_modalities=True``. So the 5.8 of 18.9 (2.0) and 5.9 of 19.0 (2.3)
billion weights that are the sound's need not be in memory.
"""

from __future__ import annotations

import functools

import torch
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel, LTX2VideoTransformerBlock
from torch import Tensor, nn

_OF_THE_SOUND = ("audio_", "av_cross_attn_", "cross_attn_")
_MASKED = -10000.0  # diffusers' bias of tokens that are not to be seen


class VideoBlock(nn.Module):
    """Attention to the video, to the text, and an MLP; the layers are those of one of diffusers' blocks, under the same names.

    From 2.3 on the time also shifts, scales and gates what goes into and comes out of the attention to the text.
    """

    def __init__(self, block: LTX2VideoTransformerBlock) -> None:
        super().__init__()
        self.norm1, self.attn1 = block.norm1, block.attn1
        self.norm2, self.attn2 = block.norm2, block.attn2
        self.norm3, self.ff = block.norm3, block.ff
        self.scale_shift_table = block.scale_shift_table
        if block.video_cross_attn_adaln:
            self.prompt_scale_shift_table = block.prompt_scale_shift_table

    def forward(
        self, x: Tensor, text: Tensor, time: Tensor, prompt_time: Tensor | None, mask: Tensor | None,
        positions: tuple[Tensor, Tensor],
    ) -> Tensor:  # fmt: skip
        """[B, N, D] tokens -> the same.

        Args:
            text: [B, L, D].
            time: [B, M, n D] modulation, each of N / M tokens in turn; n = 9 where the time also modulates the attention to the text, else 6.
            prompt_time: [B, 1, 2 D] in the first case.
            mask: [B, 1, L], added to the scores.
            positions: cosines and sines of the tokens.
        """
        parts = _modulation(self.scale_shift_table, time)
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = parts[:6]
        x = x + _gated(self.attn1(_shifted(self.norm1(x), scale, shift), query_rotary_emb=positions), gate)
        asking = self.norm2(x)
        if len(parts) == 9:
            shift, scale, gate = parts[6:]
            asking = _shifted(asking, scale, shift)
            shift, scale = _modulation(self.prompt_scale_shift_table, prompt_time)
            text = text * (1 + scale) + shift
        answer = self.attn2(asking, encoder_hidden_states=text, attention_mask=mask)
        x = x + (_gated(answer, gate) if len(parts) == 9 else answer)
        return x + _gated(self.ff(_shifted(self.norm3(x), scale_mlp, shift_mlp)), gate_mlp)


class LTX2VideoStream(LTX2VideoTransformer3DModel):
    """diffusers' network without the sound; configurations are diffusers'."""

    _repeated_blocks = ["VideoBlock"]  # noqa: RUF012 - diffusers' name

    @functools.wraps(LTX2VideoTransformer3DModel.__init__)
    def __init__(self, *arguments, **config) -> None:
        super().__init__(*arguments, **config)
        for name in [*self._modules, *self._parameters]:
            if name.startswith(_OF_THE_SOUND):
                delattr(self, name)
        self.transformer_blocks = nn.ModuleList(map(VideoBlock, self.transformer_blocks))

    def forward(
        self, latents: Tensor, text: Tensor, timestep: Tensor, sigma: Tensor, mask: Tensor | None, coordinates: Tensor
    ) -> Tensor:
        """[B, N, C] latent elements -> their velocity, the same shape.

        Args:
            text: [B, L, D'] as the connectors give it.
            timestep: [B, M], sigma * 1000, each of N / M tokens in turn.
            sigma: [B], sigma * 1000: the time that the text's modulation is told.
            mask: [B, L], 1 where there is a token; None: all are seen.
            coordinates: [B, 3, N, 2] where each token begins and ends, in seconds and pixels.
        """
        if mask is not None:
            mask = (1 - mask.to(latents.dtype))[:, None] * _MASKED
        positions = self.rope(coordinates, device=latents.device)
        x = self.proj_in(latents)
        time, embedded = self._embedded(self.time_embed, timestep, x.dtype)
        prompt_time = None
        if self.prompt_modulation:
            prompt_time, _ = self._embedded(self.prompt_adaln, sigma[:, None], x.dtype)
        if self.config.use_prompt_embeddings:
            text = self.caption_projection(text)
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                x = self._gradient_checkpointing_func(block, x, text, time, prompt_time, mask, positions)
            else:
                x = block(x, text, time, prompt_time, mask, positions)
        shift, scale = _modulation(self.scale_shift_table, torch.cat([embedded, embedded], dim=-1))
        return self.proj_out(_shifted(self.norm_out(x), scale, shift))

    @staticmethod
    def _embedded(layer: nn.Module, time: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """[B, M] times -> [B, M, n D] modulation, and the [B, M, D] embedding that it is made of."""
        modulation, embedded = layer(time.flatten(), batch_size=len(time), hidden_dtype=dtype)
        return modulation.unflatten(0, time.shape), embedded.unflatten(0, time.shape)


def _modulation(table: Tensor, time: Tensor) -> tuple[Tensor, ...]:
    """[n, D] learned and [B, M, n D] of the time -> n of [B, M, D]."""
    return (table.to(time.device) + time.unflatten(-1, table.shape)).unbind(2)


def _shifted(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """[B, N, D] tokens, scaled and shifted by [B, M, D], each of N / M tokens in turn."""
    grid = x.unflatten(1, (scale.shape[1], -1))
    return (grid * (1 + scale[:, :, None]) + shift[:, :, None]).flatten(1, 2)


def _gated(x: Tensor, gate: Tensor) -> Tensor:
    """[B, N, D] tokens times [B, M, D], each of N / M tokens in turn."""
    return (x.unflatten(1, (gate.shape[1], -1)) * gate[:, :, None]).flatten(1, 2)
