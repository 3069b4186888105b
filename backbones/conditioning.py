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
    pooled         [B, P]               HunyuanVideo
    image_latents  [B, C', T, H, W]     what an image-to-video network gets beside x_t, the mask included
    image_embeds   [B, L', D']          CLIP's tokens, where the checkpoint has an image embedder (Wan 2.1 I2V)
    guidance       [B]                  embedded guidance scale (HunyuanVideo), as the user reads it: 6.0
    frame_rate     [B]                  LTX-Video; 25 if absent

A family may have further ones; ``Family.conditioning`` names those that its networks know.
"""


class ConditioningError(VideoAlignError):
    """A conditioning lacks what the network needs, or single ones cannot make a batch."""


def collate(conditionings: Sequence[Conditioning]) -> dict[str, Tensor]:
    """Unbatched conditionings (the tensors above without B) as one batch.

    Texts are padded with zeros at the end. ``text_mask`` is in the result where lengths differ or one of them had it.

    Raises:
        ConditioningError: none given, different entries, or shapes that differ in more than the text's length.
    """
    if not conditionings:
        raise ConditioningError("There is no conditioning to make a batch of.")
    keys = [set(conditioning) - {"text_mask"} for conditioning in conditionings]
    for others in keys:
        if others != keys[0]:
            raise ConditioningError(
                f"Conditionings of one batch must have the same entries; found {sorted(keys[0])} and {sorted(others)}."
            )
    if "text" not in keys[0]:
        raise ConditioningError(f"A conditioning needs 'text' [L, D]; found only {sorted(keys[0])}.")
    batch = {key: _stack(key, [entries[key] for entries in conditionings]) for key in sorted(keys[0] - {"text"})}
    texts = [conditioning["text"] for conditioning in conditionings]
    for text in texts:
        if text.ndim != 2 or text.shape[1] != texts[0].shape[1]:
            raise ConditioningError(
                f"Texts must be [L, D] of one width; found {list(text.shape)} beside {list(texts[0].shape)}."
            )
    length = max(len(text) for text in texts)
    batch["text"] = torch.stack([torch.nn.functional.pad(text, (0, 0, 0, length - len(text))) for text in texts])
    if any(len(text) != length for text in texts) or any("text_mask" in entries for entries in conditionings):
        batch["text_mask"] = torch.stack([_mask(conditioning, length) for conditioning in conditionings])
    return batch


def rows_of(conditioning: Conditioning, rows: Sequence[int]) -> dict[str, Tensor]:
    """A batch of these rows of a batch, in their order; a row may stand in it several times."""
    return {name: value[list(rows)] for name, value in conditioning.items()}


def _mask(conditioning: Conditioning, length: int) -> Tensor:
    tokens = len(conditioning["text"])
    mask = conditioning.get("text_mask")
    if mask is None:
        mask = conditioning["text"].new_ones(tokens, dtype=torch.bool)
    elif tuple(mask.shape) != (tokens,):
        raise ConditioningError(f"text_mask must have shape [{tokens}] as its text; found {list(mask.shape)}.")
    return torch.nn.functional.pad(mask.bool(), (0, length - tokens))


def _stack(key: str, values: list[Tensor]) -> Tensor:
    shapes = {tuple(value.shape) for value in values}
    if len(shapes) > 1:
        raise ConditioningError(f"'{key}' differs in shape within a batch: {sorted(shapes)}.")
    return torch.stack(values)
