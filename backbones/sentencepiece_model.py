"""A SentencePiece model file as a tokenizer, without the sentencepiece library.

ComfyUI's umt5 files carry such a file as a tensor, and the tokenizer folders of T5 models as ``spiece.model``. It is a
protocol buffer: a list of pieces with scores, and a table of character replacements. Field numbers are those of
sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..errors import WeightsError

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE, _KIND = 1, 2, 3
_MODEL_TYPE, _BYTE_FALLBACK, _UNKNOWN_ID, _END_ID = 3, 35, 40, 42
_CHARACTER_MAP, _MERGE_SPACES = 2, 4
_UNIGRAM = 1
_UNKNOWN, _END = 0, 2  # ids where the file says nothing


def sentencepiece_tokenizer(content: bytes, name: str):
    """A ``tokenizers.Tokenizer`` whose ids end with the end-of-sentence token, as T5's do.

    Args:
        content: the model file.
        name: what error messages call it.

    Raises:
        WeightsError: it is damaged, or not a unigram model.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    try:
        message = list(_fields(content))
        pieces = [_piece(value) for number, value in message if number == _PIECES]
        trainer = dict(_fields(_last(message, _TRAINER, b"")))
        normalizer = dict(_fields(_last(message, _NORMALIZER, b"")))
    except (IndexError, ValueError, struct.error, TypeError) as error:
        raise WeightsError(f"{name}: its tokenizer is damaged ({error}). Copy or download the file again.") from error
    if not pieces or trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM:
        raise WeightsError(f"{name}: its tokenizer is not a SentencePiece unigram model, as T5 and umt5 have.")
    end = trainer.get(_END_ID, _END)
    fallback = bool(trainer.get(_BYTE_FALLBACK, 0))
    tokenizer = Tokenizer(models.Unigram(pieces, trainer.get(_UNKNOWN_ID, _UNKNOWN), byte_fallback=fallback))
    steps = []
    if characters := normalizer.get(_CHARACTER_MAP):
        steps.append(normalizers.Precompiled(characters))
    if normalizer.get(_MERGE_SPACES, 1):
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    word = pieces[end][0]
    tokenizer.post_processor = processors.TemplateProcessing(single=["$A", word], special_tokens=[(word, end)])
    return tokenizer


def _piece(content: bytes) -> tuple[str, float]:
    own = dict(_fields(content))
    return own[_PIECE].decode("utf-8"), struct.unpack("<f", own.get(_SCORE, b"\0\0\0\0"))[0]


def _last(message: list, number: int, default: bytes) -> bytes:
    return next((value for own, value in reversed(message) if own == number), default)


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protocol buffer: integers, and bytes for everything else."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(content, position)
            yield key >> 3, value
            continue
        if kind == 2:
            length, position = _varint(content, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > len(content):
            raise ValueError("it ends too early")
        yield key >> 3, bytes(content[position : position + length])
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
