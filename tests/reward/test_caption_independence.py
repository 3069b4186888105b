"""Positions are 1-D; VQ and MQ cannot see the caption; one clip against many captions equals many full passes."""

import copy
import random
import warnings

import pytest
import torch

from videoalign.errors import CaptionError
from videoalign.reward.qwen2vl_layers import KeyValueCache
from videoalign.reward.video_reward import CAPTION_BATCH, _common_prefix

TAG = "full.fp32"
PROMPTS = ["ta0", "long", "one", "unicode", "vb300", "braces"]


@pytest.fixture(scope="module")
def clip(official):
    return official.prepared("syn/s05_10fps_3f_96x64")[0]


@pytest.fixture(scope="module")
def model(official):
    return official.model(TAG)


@pytest.fixture(scope="module")
def captions(official):
    return [official.prompts[name] for name in PROMPTS]


def full_passes(model, clip, captions):
    """Raw rewards [caption, dimension], each caption in a forward pass of its own."""
    with torch.no_grad():
        return torch.stack([model.raw_rewards([clip], [caption])[0] for caption in captions])


@pytest.fixture
def rounding_by_shape(monkeypatch):
    """A processor on which the rounding of a product depends on its whole shape, as oneDNN's does with AMX: each output is
    off by up to 2^-8, after rounding to the next number of bfloat16 at most, in a pattern of the shape's own."""
    linear = torch.nn.functional.linear

    def rounded(x, weight, bias=None):
        out = linear(x, weight, bias)
        pattern = torch.sin(1.0 + torch.arange(out.shape[-1], dtype=torch.float32) * (out.numel() % 9973))
        return (out.float() * (1 + 2**-8 * pattern)).to(out.dtype)

    monkeypatch.setattr(torch.nn.functional, "linear", rounded)


def raw(scores):
    return torch.tensor([[score.raw[name] for name in ("VQ", "MQ", "TA")] for score in scores])


def test_positions_are_one_dimensional_and_go_on_after_a_cached_part(model, monkeypatch):
    seen = []
    forward = model.network.language_model.forward
    monkeypatch.setattr(
        model.network.language_model,
        "forward",
        lambda **options: seen.append(options["position_ids"]) or forward(**options),
    )
    cache = KeyValueCache()
    with torch.no_grad():
        model.network.read(torch.zeros(1, 7, 64), cache=cache)
        model.network.read(torch.zeros(1, 5, 64), cache=cache)
    assert torch.equal(seen[0], torch.arange(7).expand(3, 1, 7))
    assert torch.equal(seen[1], torch.arange(7, 12).expand(3, 1, 5))


def test_vq_and_mq_are_the_same_for_every_caption(model, clip, captions):
    rewards = full_passes(model, clip, captions)
    assert (rewards[:, :2] - rewards[:1, :2]).abs().max() <= 1e-5
    assert rewards[:, 2].std() > 0.01


@pytest.mark.parametrize("tag", ["full.fp32", "full.bf16_official", "dim3.fp32"])
def test_vq_and_mq_are_the_same_bit_for_bit_for_any_captions_however_a_processor_rounds(
    official, clip, captions, rounding_by_shape, tag
):
    model = official.model(tag)
    [bare] = model.score_captions(clip, [None])
    expected = {name: bare.raw[name] for name in ("VQ", "MQ")}
    calls = [[caption] for caption in captions] + [captions, [captions[0], None, captions[1]], captions * 3]
    for scores in (model.score_captions(clip, own) for own in calls):
        assert all({name: score.raw[name] for name in expected} == expected for score in scores)
    passes = full_passes(model, clip, captions)
    assert (passes[:, :2] - passes[:1, :2]).abs().max() > 1e-4  # one whole pass a caption does depend on it there


@pytest.mark.parametrize("tag", ["full.fp32", "full.bf16_official"])
def test_scores_are_the_same_bit_for_bit_whatever_clips_share_the_call_however_a_processor_rounds(
    official, rounding_by_shape, tag
):
    model = official.model(tag)
    names = ["s04_10fps_2f_64x64", "s05_10fps_3f_96x64", "s06_10fps_4f_96x64"]  # the last two are of one size
    clips = [official.prepared(f"syn/{name}")[0] for name in names]
    captions = [("cat",), ("A dog runs.",), ("cat", "A dog runs.")]
    together = model.score_prepared(clips, captions)
    assert together == [model.score_prepared([clip], [own])[0] for clip, own in zip(clips, captions, strict=True)]
    assert together == model.score_prepared(clips[::-1], captions[::-1])[::-1]


def test_a_broken_causal_mask_is_noticed_by_the_same_check(model, clip, captions):
    broken = copy.deepcopy(model)
    for layer in broken.network.language_model.layers:
        layer.self_attn.is_causal = False
    rewards = full_passes(broken, clip, captions[:2])
    assert (rewards[0, :2] - rewards[1, :2]).abs().max() > 1e-3


def test_a_clip_that_is_read_once_scores_like_full_passes_for_captions_of_very_different_lengths(model, clip, captions):
    reused = raw(model.score_captions(clip, captions))
    assert (reused - full_passes(model, clip, captions)).abs().max() <= 2e-5


def test_more_captions_than_one_batch_holds_score_like_full_passes(model, clip):
    shuffled = random.Random(0)
    captions = [
        " ".join(shuffled.choices(["a", "red", "fox", "jumps", "over", "two", "lazy", "dogs"], k=1 + i % 9))
        for i in range(2 * CAPTION_BATCH + 3)
    ]
    reused = raw(model.score_captions(clip, captions))
    assert len(reused) == len(captions)
    some = [0, CAPTION_BATCH - 1, CAPTION_BATCH, 2 * CAPTION_BATCH, len(captions) - 1]
    assert (reused[some] - full_passes(model, clip, [captions[index] for index in some])).abs().max() <= 2e-5


def test_captions_that_are_equal_or_each_others_beginning_are_told_apart(model, clip):
    captions = ["a cat", "a cat", "a cat on a mat", "a"]
    scores = model.score_captions(clip, captions)
    assert (raw(scores) - full_passes(model, clip, captions)).abs().max() <= 2e-5
    assert [score.caption for score in scores] == captions
    assert abs(scores[0].TA - scores[2].TA) > 1e-4


def test_reading_with_a_cache_gives_no_warning(model, clip, captions):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score_captions(clip, captions[:2])


def test_the_clip_passes_through_the_vision_tower_once_for_all_captions(model, clip, captions, monkeypatch):
    calls = []
    embed = model.network.embed_clips
    monkeypatch.setattr(model.network, "embed_clips", lambda *given: calls.append(1) or embed(*given))
    model.score_captions(clip, captions)
    assert len(calls) == 1


def test_no_captions_give_no_scores(model, clip):
    assert model.score_captions(clip, []) == []


def test_a_three_output_head_is_read_once_like_in_full_passes(official, clip, captions):
    model = official.model("dim3.fp32")
    assert (raw(model.score_captions(clip, captions[:3])) - full_passes(model, clip, captions[:3])).abs().max() <= 2e-5


@pytest.mark.parametrize("tag", ["full.fp32", "dim3.fp32"])
def test_without_a_caption_vq_and_mq_are_those_with_one_and_ta_and_overall_are_none(official, clip, tag):
    model = official.model(tag)
    [bare] = model.score([clip], [None])
    [[captioned]] = model.score_prepared([clip], [("a cat",)])
    assert (bare.TA, bare.Overall, bare.caption) == (None, None, None)
    assert (bare.VQ, bare.MQ) == (captioned.VQ, captioned.MQ)
    assert set(bare.raw) == {"VQ", "MQ"}


def test_no_caption_may_stand_among_captions(model, clip):
    bare, captioned = model.score_captions(clip, [None, "a cat"])
    [alone] = model.score([clip], ["a cat"])
    assert bare.TA is None
    assert captioned.raw == alone.raw
    assert {"VQ": captioned.raw["VQ"], "MQ": captioned.raw["MQ"]} == bare.raw


def test_a_batch_scores_like_its_clips_alone_and_like_one_padded_pass(official, model):
    names = ["s04_10fps_2f_64x64", "s01_24fps_48f_128x128", "s05_10fps_3f_96x64", "s12_23.976fps_71f_256x144"]
    clips = [official.prepared(f"syn/{name}")[0] for name in names]
    captions = ["cat", official.prompts["long"], None, official.prompts["ta0"]]
    together = model.score_prepared(clips, [(caption,) for caption in captions])
    for clip, caption, [score] in zip(clips, captions, together, strict=True):
        [[alone]] = model.score_prepared([clip], [(caption,)])
        assert score.raw == alone.raw
    with torch.no_grad():
        padded = model.raw_rewards(clips, captions)
    for [score], rewards in zip(together, padded, strict=True):
        assert list(score.raw.values()) == pytest.approx(rewards.tolist(), abs=2e-5)


def test_clips_with_one_and_with_many_captions_mix_in_one_batch(official, model, clip, captions):
    other = official.prepared("syn/s04_10fps_2f_64x64")[0]
    one, many = model.score_prepared([other, clip], [("cat",), tuple(captions[:3])])
    assert raw(one) == pytest.approx(full_passes(model, other, ["cat"]), abs=2e-5)
    assert raw(many) == pytest.approx(full_passes(model, clip, captions[:3]), abs=2e-5)


def test_the_shared_beginning_ends_before_the_shortest_caption_does():
    assert _common_prefix([[1, 2, 3, 4], [1, 2, 5]]) == 2
    assert _common_prefix([[1, 2, 3], [1, 2, 3]]) == 2
    assert _common_prefix([[1, 2, 3, 4], [1, 2]]) == 1


def test_a_number_of_captions_other_than_that_of_the_clips_is_an_error(model, clip):
    with pytest.raises(CaptionError, match=r"1 clips and 2 captions"):
        model.score([clip], ["a", "b"])
