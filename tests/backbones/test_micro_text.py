"""The micro world's caption encoder: fixed vectors, one a word."""

import hashlib

import pytest
import torch

from videoalign.backbones.micro_text import VOCABULARY, MicroTextEncoder, encode_caption, word_vector
from videoalign.errors import PromptError
from videoalign.micro_world import scene


def test_the_vocabulary_is_that_of_the_micro_world():
    assert VOCABULARY == scene.VOCABULARY


def test_the_vectors_are_the_same_on_every_machine():
    everything = b"".join(word_vector(word).astype("<f4").tobytes() for word in VOCABULARY)
    assert hashlib.sha256(everything).hexdigest() == "89c27d12f59d5dab8d4ebaa28f525c81062431a45b87c3936a475492aed4bd44"


def test_words_are_tokens_in_order():
    tokens = encode_caption("two red circles move left over a plain grey ground")
    assert tokens.shape == (10, 4096) and tokens.dtype == torch.float32
    assert torch.equal(tokens[1], torch.from_numpy(word_vector("red")))
    assert torch.equal(tokens[4], torch.from_numpy(word_vector("left")))


def test_vectors_of_different_words_are_nearly_orthogonal_and_of_unit_scale():
    vectors = torch.stack([torch.from_numpy(word_vector(word)) for word in VOCABULARY])
    assert abs(float(vectors.std()) - 0.5) < 0.01 and abs(float(vectors.mean())) < 0.01
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
    assert float((cosines - torch.eye(len(VOCABULARY))).abs().max()) < 0.08


def test_an_empty_caption_is_one_zero_token():
    assert torch.equal(encode_caption("  "), torch.zeros(1, 4096))


def test_capitals_and_closing_punctuation_do_not_matter():
    assert torch.equal(encode_caption("One red circle moves up."), encode_caption("one red circle moves up"))


def test_an_unknown_word_is_named_and_the_vocabulary_listed():
    with pytest.raises(PromptError, match=r"unknown word 'dog'.*purple.*ground"):
        encode_caption("one red dog moves up")


def test_the_encoder_gives_one_conditioning_a_caption():
    first, second = MicroTextEncoder().encode(["one red circle moves up", ""])
    assert first["text"].shape == (5, 4096) and second["text"].shape == (1, 4096)
