"""The chat around a question: control tokens by name, everything else as plain text that can never act as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from ...errors import CaptionError, CheckpointError
from ..reward_tokenizer import PAD_TOKEN, without_control_tokens

IMAGE_TOKEN, VIDEO_TOKEN = "<|image_pad|>", "<|video_pad|>"
START, END = "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"


@dataclass(frozen=True)
class Control:
    """A control token, some number of times."""

    token: str
    times: int = 1


Piece = str | Control


def chat(system: str | None, content: Sequence[Piece]) -> list[Piece]:
    """A question, up to where the answer begins: what Qwen's chat template makes of one message of a user.

    Args:
        system: the system message, or None for a chat without one.
        content: pictures (``picture``) and text.
    """
    before: list[Piece] = [] if system is None else [Control(START), f"system\n{system}", Control(END), "\n"]
    return [*before, Control(START), "user\n", *content, Control(END), "\n", Control(START), "assistant\n"]


def picture(token: str, times: int) -> list[Piece]:
    """A picture or clip that takes ``times`` tokens."""
    return [Control(VISION_START), Control(token, times), Control(VISION_END)]


class ChatText:
    """Chats as token ids, and answers as text.

    Args:
        tokenizer: a Qwen tokenizer.
        further: control tokens that a judge needs beside Qwen's own; appended where the tokenizer lacks them.

    Raises:
        CheckpointError: it is not a tokenizer of Qwen-VL.
    """

    def __init__(self, tokenizer: Tokenizer, further: Sequence[str] = ()) -> None:
        from tokenizers import AddedToken

        missing = [token for token in further if tokenizer.token_to_id(token) is None]
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in missing])
        needed = (START, END, VISION_START, VISION_END, IMAGE_TOKEN, VIDEO_TOKEN, PAD_TOKEN)
        unknown = [token for token in needed if tokenizer.token_to_id(token) is None]
        if unknown:
            raise CheckpointError(
                f"The tokenizer does not know {', '.join(unknown)}; it is not that of a Qwen-VL model."
            )
        self.tokenizer = tokenizer
        self._plain = without_control_tokens(tokenizer)
        self.pad = self.id_of(PAD_TOKEN)
        self.ends = (self.id_of(END), self.pad)

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size(with_added_tokens=True)

    def id_of(self, token: str) -> int:
        """The id of a token that the tokenizer has."""
        number = self.tokenizer.token_to_id(token)
        assert number is not None, token
        return number

    def encode(self, pieces: Sequence[Piece]) -> list[int]:
        """Token ids. Neighbouring texts are one text, as in the chat that they stand for.

        Raises:
            CaptionError: a text holds a lone surrogate.
        """
        ids: list[int] = []
        text = ""
        for piece in [*pieces, Control(END, 0)]:
            if isinstance(piece, str):
                text += piece
                continue
            ids += self._plain_ids(text) if text else []
            ids += [self.id_of(piece.token)] * piece.times
            text = ""
        return ids

    def decode(self, ids: Sequence[int], control: bool = False) -> str:
        """The text of an answer; with its control tokens where ``control``."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=not control)

    def _plain_ids(self, text: str) -> list[int]:
        try:
            return self._plain.encode(text, add_special_tokens=False).ids
        except (TypeError, UnicodeError):
            raise CaptionError(
                "The caption is not valid text; it holds a lone surrogate. Re-save it as UTF-8."
            ) from None
