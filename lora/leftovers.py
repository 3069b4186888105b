"""What a file's tensors are that are no plain LoRA of a layer, in words: for those who leave them out, or refuse them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_KINDS = (  # (end of a key, what it is)
    (
        r"\.(dora_scale|lora_magnitude_vector(\.[\w-]+)?(\.weight)?)$",
        "DoRA magnitudes, without which the rest is another change",
    ),
    (r"\.hada_\w+$", "of a LoHa"),
    (r"\.lokr_\w+$", "of a LoKr"),
    (r"\.(oft_blocks|rescale)$", "of an OFT or BOFT"),
    (r"\.[ab][12]\.weight$", "of a GLoRA"),
    (r"\.(diff|diff_b|w_norm|b_norm|set_weight)$", "differences of weights or biases"),
    (r"\.lora_[AB](\.[\w-]+)?\.bias$", "biases of the LoRA"),
)
_TEXT_ENCODERS = re.compile(r"(text_encoders?(_\d+)?|te\d?|clip_[lg]|t5xxl|umt5xxl)\.|lora_(prior_)?te\d?_")
SECOND_EXPERT = "transformer_2."


def is_of_text_encoder(key: str) -> bool:
    """Whether a key is of a text encoder's layer, under the names of any trainer."""
    return _TEXT_ENCODERS.match(key) is not None


def is_of_second_expert(key: str) -> bool:
    """Whether a key is of the second of two networks in one file of diffusers': Wan 2.2's low-noise expert."""
    return key.startswith(SECOND_EXPERT)


def described(keys: Iterable[str]) -> str:
    """``(20 DoRA magnitudes, 4 differences of weights or biases)`` with a space before it; nothing where none is known."""
    counts = Counter(kind for key in keys if (kind := _kind(key)) is not None)
    return f" ({', '.join(f'{count} {kind}' for kind, count in counts.items())})" if counts else ""


def _kind(key: str) -> str | None:
    if is_of_second_expert(key):
        return "of a second network (Wan 2.2's low-noise expert)"
    if is_of_text_encoder(key):
        return "of a text encoder"
    return next((what for pattern, what in _KINDS if re.search(pattern, key)), None)
