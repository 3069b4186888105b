"""The text around a clip: the chat frame of Qwen2-VL and the rating template of VideoReward.

The official template (``detailed_special``, printed in the paper's Appendix K) is an interface constant: its white
space, trailing spaces included, changes the scores by up to 1.6, so it is stored as a file of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import CheckpointError
from .dimensions import DIMENSIONS

REWARD_TOKENS = tuple(f"<|{name}_reward|>" for name in DIMENSIONS)
VIDEO_TOKEN = "<|video_pad|>"
CAPTION_FIELD = "{text_prompt}"
TEMPLATE_FOLDER = Path(__file__).parent / "templates"

_BEFORE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>"
)
_AFTER = "<|im_end|>\n<|im_start|>assistant\n"
_CONTROL = re.compile(r"(<\|[A-Za-z_]+\|>)")


@dataclass(frozen=True)
class PromptTemplate:
    """A chat text with one place for the video and one for the caption.

    Attributes:
        pieces: the text cut at its control tokens; every odd piece is a control token, every even one plain text.
            Exactly one plain piece contains ``{text_prompt}``.
    """

    pieces: tuple[str, ...]

    @classmethod
    def from_text(cls, text: str) -> PromptTemplate:
        """Wrap a rating text (it contains ``{text_prompt}`` once) in the chat frame, the video first."""
        if text.count(CAPTION_FIELD) != 1:
            raise CheckpointError(
                f"The prompt template has {text.count(CAPTION_FIELD)} places {CAPTION_FIELD}; it needs exactly one."
            )
        return cls(tuple(_CONTROL.split(_BEFORE + text + _AFTER)))

    @property
    def control_tokens(self) -> set[str]:
        """The control tokens that a tokenizer must know to encode this template."""
        return set(self.pieces[1::2])

    @property
    def rates_before_caption(self) -> bool:
        """Whether VQ and MQ are read before the caption, so that no caption can change them."""
        caption = next(index for index, piece in enumerate(self.pieces) if CAPTION_FIELD in piece)
        return all(token in self.pieces[:caption] for token in REWARD_TOKENS[:2])


@cache
def load_template(name_or_text: str) -> PromptTemplate:
    """A template by the name of a shipped file, or from the text itself when that contains ``{text_prompt}``.

    Raises:
        CheckpointError: no such template; the message lists those there are.
    """
    if CAPTION_FIELD in name_or_text:
        return PromptTemplate.from_text(name_or_text)
    path = TEMPLATE_FOLDER / f"{name_or_text}.txt"
    if not re.fullmatch(r"\w+", name_or_text) or not path.is_file():
        known = ", ".join(sorted(file.stem for file in TEMPLATE_FOLDER.glob("*.txt")))
        raise CheckpointError(
            f"The checkpoint asks for the prompt template '{name_or_text}'; known templates: {known}."
        )
    # Bytes, not text mode: newline translation would change the prompt.
    return PromptTemplate.from_text(path.read_bytes().decode("utf-8"))
