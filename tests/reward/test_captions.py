"""What a caption may hold, and what happens to those that cannot be scored."""

import pytest

from videoalign.errors import CaptionError, ClipError
from videoalign.reward.reward_tokenizer import RewardTokenizer


@pytest.fixture(scope="module")
def model(official):
    return official.model("full.fp32")


@pytest.fixture(scope="module")
def clip(official):
    return official.prepared("syn/s05_10fps_3f_96x64")[0]


@pytest.mark.parametrize(
    ("caption", "hint"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        (7, "must be text; got int"),
        (b"cat", "must be text; got bytes"),
        ("a \ud800 cat", "surrogate"),
    ],
)
def test_a_caption_that_cannot_be_judged_is_an_error_that_says_why(model, clip, caption, hint):
    with pytest.raises(CaptionError, match=hint):
        model.score([clip], [caption])
    with pytest.raises(CaptionError, match=hint):
        model.score_captions(clip, ["a cat", caption])


def test_a_caption_of_ten_thousand_characters_is_scored(model, clip):
    caption = ("a red fox jumps over two lazy dogs, " * 300)[:10_000]
    [score] = model.score([clip], [caption])
    [bare] = model.score([clip], [None])
    assert abs(score.VQ - bare.VQ) <= 1e-4
    assert score.TA is not None


def test_a_caption_beyond_the_models_context_is_an_error_that_says_so(model, clip):
    with pytest.raises(CaptionError, match=r"the model reads 32768\. Shorten the caption"):
        model.score([clip], ["Ω≈ç√∫" * 10_000])


def test_a_clip_beyond_the_models_context_is_an_error_that_says_so(model, clip, monkeypatch):
    monkeypatch.setattr(model.network, "max_positions", 200)
    with pytest.raises(
        ClipError, match=r"140 tokens \(2 frames of 392x280\); the model reads 200.*Sample fewer frames"
    ):
        model.score([clip], ["a cat"])


@pytest.mark.parametrize("caption", ["{robot}", "{text_prompt}", "{{0}} {", "%s ${HOME}", "\\n"])
def test_braces_and_other_format_signs_reach_the_model_as_they_are(model, caption):
    ids = model.tokenizer.encode(caption, 1)
    assert f"Textual prompt - {caption}\n" in model.tokenizer.tokenizer.decode(ids, skip_special_tokens=False)


def test_truncation_and_padding_stored_in_a_tokenizer_file_do_not_touch_captions(model):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(model.tokenizer.to_json())
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=64, pad_id=0)
    stored = RewardTokenizer(tokenizer, model.tokenizer.template)
    assert stored.encode("a cat", 3) == model.tokenizer.encode("a cat", 3)


def test_a_model_that_reads_all_scores_at_the_end_needs_a_caption(model, clip, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(model, "settings", replace(model.settings, reward_token="last", output_dim=3))
    with pytest.raises(CaptionError, match="give one"):
        model.score([clip], [None])
