"""A caption in words of the latent reward's own text encoder, where the sampler's is another. Nothing here imports ComfyUI."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import GuidanceError

# What a text encoder gives, by its name in a sampler's "model_conds" and in a CONDITIONING.
_OF_THE_TEXT = {"c_crossattn": None, "attention_mask": "attention_mask", "y": "pooled_output"}


@dataclass(frozen=True)
class _Held:
    cond: Any


@dataclass(frozen=True)
class RewardCaption:
    """An encoded caption.

    Attributes:
        model_conds: the text's entries, named and held as a sampler's are.
        identity: equal for captions that say the same to the reward.
    """

    model_conds: Mapping[str, _Held]
    identity: str

    @classmethod
    def encoded(cls, clip: Any, caption: str) -> RewardCaption:
        """Encode a caption.

        Args:
            clip: ComfyUI's CLIP of the text encoder that the reward was trained with.
            caption: the prompt.

        Raises:
            GuidanceError: there are no words.
        """
        if not caption.strip():
            raise GuidanceError(
                "caption is empty, so the latent reward cannot judge the clip against its prompt. Connect the prompt to caption, or "
                "take clip off, if the sampler's text encoder is the one that this reward was trained with."
            )
        (text, about), *_ = clip.encode_from_tokens_scheduled(clip.tokenize(caption))
        found = {"c_crossattn": text} | {name: about.get(key) for name, key in _OF_THE_TEXT.items() if key is not None}
        there = {name: value for name, value in found.items() if value is not None}
        return cls({name: _Held(value) for name, value in there.items()}, _digest(there))

    def instead_of(self, model_conds: Mapping[str, Any]) -> dict[str, Any]:
        """A sampler's entries with this caption in the place of all that speaks of its text."""
        others = {name: value for name, value in model_conds.items() if name not in _OF_THE_TEXT}
        return others | dict(self.model_conds)


def reward_caption(clip: Any, caption: str | None) -> RewardCaption | None:
    """The caption of a node's optional inputs; None where the sampler's own text is to be used.

    Raises:
        GuidanceError: one of the two is missing.
    """
    if clip is not None:
        return RewardCaption.encoded(clip, caption or "")
    if caption is None:
        return None
    raise GuidanceError(
        "caption needs clip: connect the CLIP of the text encoder that the latent reward was trained with, or take caption off; then "
        "the reward is told what the sampler is told."
    )


def _digest(entries: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(entries.items()):
        numbers = value.detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(numbers.shape)}".encode())
        digest.update(numbers.numpy().tobytes())
    return digest.hexdigest()
