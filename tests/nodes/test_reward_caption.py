from types import SimpleNamespace

import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.nodes.reward_caption import RewardCaption, reward_caption


def held(value):
    return SimpleNamespace(cond=value)


def test_a_caption_takes_the_place_of_all_that_speaks_of_the_samplers_text():
    sampler = {"c_crossattn": held(1), "attention_mask": held(2), "y": held(3), "frame_rate": held(24)}
    told = RewardCaption({"c_crossattn": held("own")}, "id").instead_of(sampler)
    assert {name: entry.cond for name, entry in told.items()} == {"c_crossattn": "own", "frame_rate": 24}
    assert sampler["attention_mask"].cond == 2


def test_without_a_clip_there_is_no_caption_and_a_caption_alone_is_refused():
    assert reward_caption(None, None) is None
    with pytest.raises(GuidanceError, match="caption needs clip"):
        reward_caption(None, "a kite")


class Encoder:
    """A text's letters as numbers."""

    def tokenize(self, text):
        return [ord(letter) for letter in text]

    def encode_from_tokens_scheduled(self, tokens):
        return [[torch.tensor(tokens, dtype=torch.float32).view(1, -1, 1), {"pooled_output": None}]]


def test_captions_that_say_the_same_have_one_identity():
    made = {text: reward_caption(Encoder(), text).identity for text in ("a kite", "a stone")}
    assert made["a kite"] == reward_caption(Encoder(), "a kite").identity != made["a stone"]
