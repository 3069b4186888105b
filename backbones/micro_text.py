"""The caption encoder of the micro world: each word of a closed vocabulary is one fixed vector.

It stands in the place of umt5 for the micro model, has its width, and needs no weights: the vectors come from a bit
generator whose stream NumPy guarantees, so that training, the command line and ComfyUI get the same ones everywhere.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import torch

from ..errors import PromptError

WIDTH = 4096  # that of umt5-xxl, which Wan's text embedding expects
VECTOR_STD = 0.5  # of each element; the order of umt5's outputs

# The words of micro_world/scene.py (a test compares them).
VOCABULARY: tuple[str, ...] = (
    "one", "two", "three",
    "red", "yellow", "green", "cyan", "blue", "purple",
    "circle", "square", "triangle", "cross", "circles", "squares", "triangles", "crosses",
    "moves", "move", "left", "right", "up", "down",
    "over", "a", "plain", "textured", "black", "grey", "white", "ground",
)  # fmt: skip

EXAMPLE = "two red circles move left over a plain grey ground"


@cache
def word_vector(word: str) -> np.ndarray:
    """[4096] float32 vector of a word: independent, uniform elements of mean 0 and standard deviation 0.5.

    It depends on the word alone, not on its position in the vocabulary. Do not write into it: it is cached.

    Raises:
        PromptError: a word outside VOCABULARY.
    """
    if word not in VOCABULARY:
        raise PromptError(
            f"unknown word {word!r}. The micro world knows only: {', '.join(VOCABULARY)}. A caption reads like {EXAMPLE!r}; other "
            "prompts need a real model."
        )
    seed = int.from_bytes(hashlib.sha256(f"micro world: {word}".encode()).digest()[:8], "little")
    # Raw bits are the part of NumPy's random streams that never changes; 53 of them are exact in float64.
    uniform = (np.random.PCG64(seed).random_raw(WIDTH) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return ((2 * uniform - 1) * (VECTOR_STD * 3**0.5)).astype(np.float32)


def encode_caption(caption: str) -> torch.Tensor:
    """[L, 4096] float32, one token a word in order; an empty caption is one token of zeros (the null prompt).

    Words are separated by white space; capitals count as small letters, and a comma or full stop after a word is ignored.

    Raises:
        PromptError: a word outside VOCABULARY; the message names it and lists the vocabulary.
    """
    words = [word.rstrip(",.").lower() for word in caption.split()]
    words = [word for word in words if word]
    if not words:
        return torch.zeros(1, WIDTH)
    try:
        return torch.from_numpy(np.stack([word_vector(word) for word in words]))
    except PromptError as error:
        raise PromptError(f"caption {caption!r}: {error}") from error


class MicroTextEncoder:
    """The micro world's captions as conditionings; the same interface as the other families' text encoders.

    Attributes:
        identity: names this encoder in cache keys; changes whenever a vector would.
    """

    identity = "micro-text-1"

    def encode(self, captions: list[str]) -> list[dict[str, torch.Tensor]]:
        """One unbatched conditioning a caption: {"text": [L, 4096] float32}.

        Raises:
            PromptError: a word outside VOCABULARY.
        """
        return [{"text": encode_caption(caption)} for caption in captions]
