"""What a network is conditioned on besides the time, as tensors by name, and how single ones become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import VideoAlignError

Conditioning = Mapping[str, Tensor]
"""Batched, the first dimension of each tensor is B:

    text           [B, L, D]            text embeddings
    text_mask      [B, L]               optional; 1 where there is a token. Masked rows are never attended. An encoder whose
                                        network does attend to its padding (Wan's umt5: zeros up to 512) gives no mask.
    glyphs         [B, L', D']          HunyuanVideo 1.5: what the prompt quotes, by another encoder; L' may be 0
    glyphs_mask    [B, L']              optional; 1 where there is a token
    pooled         [B, P]               HunyuanVideo
    image_latents  [B, C', T, H, W]     what an image-to-video network gets beside x_t, the mask included
    image_embeds   [B, L', D']          CLIP's tokens, where the checkpoint has an image embedder (Wan 2.1 I2V)
    first_frame    [B, C, 1, H, W]      LTX: the latents of the image that the clip begins with (given_frames.py)
    noise_mask     [B, 1, T, H, W]      LTX: the share of sigma that each latent element is told; 0 where it is clean
    guidance       [B]                  embedded guidance scale (HunyuanVideo), as the user reads it: 6.0
    frame_rate     [B]                  LTX-Video; 25 if absent

A family may have further ones; ``Family.conditioning`` names those that its networks know.
"""
_MASKS = {"text": "text_mask", "glyphs": "glyphs_mask"}  # tokens of which a batch may have different numbers


class ConditioningError(VideoAlignError):
    """A conditioning lacks what the network needs, or single ones cannot make a batch."""


def collate(conditionings: Sequence[Conditioning]) -> dict[str, Tensor]:
    """Unbatched conditionings (the tensors above without B) as one batch.

    Texts and glyphs are padded with zeros at the end. Their mask is in the result where lengths differ or one of them had it.

    Raises:
        ConditioningError: none given, different entries, or shapes that differ in more than the tokens' number.
    """
    if not conditionings:
        raise ConditioningError("There is no conditioning to make a batch of.")
    keys = [set(conditioning) - set(_MASKS.values()) for conditioning in conditionings]
    for others in keys:
        if others != keys[0]:
            raise ConditioningError(
                f"Conditionings of one batch must have the same entries; found {sorted(keys[0])} and {sorted(others)}."
            )
    if "text" not in keys[0]:
        raise ConditioningError(f"A conditioning needs 'text' [L, D]; found only {sorted(keys[0])}.")
    batch = {key: _stack(key, [entries[key] for entries in conditionings]) for key in sorted(keys[0] - set(_MASKS))}
    for key in sorted(keys[0] & set(_MASKS)):
        batch |= _padded(key, conditionings)
    return batch


def rows_of(conditioning: Conditioning, rows: Sequence[int]) -> dict[str, Tensor]:
    """A batch of these rows of a batch, in their order; a row may stand in it several times."""
    return {name: value[list(rows)] for name, value in conditioning.items()}


def _padded(key: str, conditionings: Sequence[Conditioning]) -> dict[str, Tensor]:
    """Tokens of different numbers with zeros at the end, and their mask where it says something."""
    name = _MASKS[key]
    tokens = [conditioning[key] for conditioning in conditionings]
    for own in tokens:
        if own.ndim != 2 or own.shape[1] != tokens[0].shape[1]:
            raise ConditioningError(
                f"{key.capitalize().removesuffix('s')}s must be [L, D] of one width; found {list(own.shape)} beside {list(tokens[0].shape)}."
            )
    length = max(map(len, tokens))
    made = {key: torch.stack([torch.nn.functional.pad(own, (0, 0, 0, length - len(own))) for own in tokens])}
    if any(len(own) != length for own in tokens) or any(name in conditioning for conditioning in conditionings):
        masks = [_mask(name, conditioning[key], conditioning.get(name)) for conditioning in conditionings]
        made[name] = torch.stack([torch.nn.functional.pad(mask, (0, length - len(mask))) for mask in masks])
    return made


def _mask(name: str, tokens: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return tokens.new_ones(len(tokens), dtype=torch.bool)
    if tuple(mask.shape) != (len(tokens),):
        raise ConditioningError(f"{name} must have shape [{len(tokens)}] as its tokens; found {list(mask.shape)}.")
    return mask.bool()


def _stack(key: str, values: list[Tensor]) -> Tensor:
    shapes = {tuple(value.shape) for value in values}
    if len(shapes) > 1:
        raise ConditioningError(f"'{key}' differs in shape within a batch: {sorted(shapes)}.")
    return torch.stack(values)
