"""Text -> token ids for VideoReward, with captions that can never act as control tokens.

Control tokens split a text before any merging happens, so encoding the plain pieces one by one gives exactly the ids
of encoding the whole. Captions are encoded by a twin tokenizer without control tokens: ``<|im_end|>`` inside a caption
is read as those eight characters. (The official code lets such a caption end the turn, and crashes on others.)
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from ..errors import CaptionError, CheckpointError
from .template import CAPTION_FIELD, REWARD_TOKENS, VIDEO_TOKEN, PromptTemplate

PAD_TOKEN = "<|endoftext|>"


class RewardTokenizer:
    """The tokenizer of a VideoReward checkpoint, bound to its template.

    Args:
        tokenizer: a Qwen2 byte-level BPE; the three reward tokens are appended when it lacks them.
        template: the chat text to encode captions into.

    Raises:
        CheckpointError: the tokenizer lacks a control token that the template uses.
    """

    def __init__(self, tokenizer: Tokenizer, template: PromptTemplate) -> None:
        missing = [token for token in REWARD_TOKENS if tokenizer.token_to_id(token) is None]
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in missing])
        needed = template.control_tokens | {PAD_TOKEN}
        unknown = sorted(token for token in needed if tokenizer.token_to_id(token) is None)
        if unknown:
            raise CheckpointError(f"The tokenizer does not know {', '.join(unknown)}; it is not a Qwen2-VL tokenizer.")
        self.tokenizer = tokenizer
        self.template = template
        self._plain = without_control_tokens(tokenizer)
        # What is the same for every caption is encoded once; it is most of the text.
        self._constant = {piece: self._plain_ids(piece) for piece in template.pieces[::2] if CAPTION_FIELD not in piece}
        self.video_token_id = self._id_of(VIDEO_TOKEN)
        self.reward_token_ids = [self._id_of(token) for token in REWARD_TOKENS]
        self.pad_token_id = self._id_of(PAD_TOKEN)

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, caption: str, video_tokens: int) -> list[int]:
        """Token ids of the whole chat text, with ``video_tokens`` placeholders where the clip goes."""
        ids: list[int] = []
        for position, piece in enumerate(self.template.pieces):
            if position % 2:
                token = self._id_of(piece)
                ids += [token] * (video_tokens if piece == VIDEO_TOKEN else 1)
            elif piece in self._constant:
                ids += self._constant[piece]
            else:
                try:
                    ids += self._plain_ids(piece.replace(CAPTION_FIELD, caption, 1))
                except (TypeError, UnicodeError):
                    raise CaptionError(
                        f"The caption {caption[:60]!r} is not valid text; it holds a lone surrogate. Re-save it as UTF-8."
                    ) from None
        return ids

    def _id_of(self, token: str) -> int:
        """The id of a token that the tokenizer is known to have."""
        number = self.tokenizer.token_to_id(token)
        assert number is not None, token
        return number

    def _plain_ids(self, text: str) -> list[int]:
        return self._plain.encode(text, add_special_tokens=False).ids

    def to_json(self) -> str:
        """The tokenizer as the text of a ``tokenizer.json``."""
        return self.tokenizer.to_str()


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokenizer in ``folder`` (``tokenizer.json``, or ``vocab.json`` + ``merges.txt``), or None if there is none.

    Raises:
        CheckpointError: the files are there but cannot be read.
    """
    folder = Path(folder)
    fast = folder / "tokenizer.json"
    try:
        if fast.is_file():
            return Tokenizer.from_file(str(fast))
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            ).backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exception on damaged files
        raise CheckpointError(
            f"The tokenizer files in {folder} cannot be read ({error}). Download them again."
        ) from error
    return None


def without_control_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """A twin that reads ``<|im_end|>`` as ten characters: for captions, which can then never act as control tokens."""
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = []
    # A tokenizer.json also stores how it was last used in training; a caption must be neither cut nor filled up.
    description["truncation"] = description["padding"] = None
    return Tokenizer.from_str(json.dumps(description))
