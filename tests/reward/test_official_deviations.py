"""Where we differ from the official code on purpose: what it does, and why ours is right."""

from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from videoalign.clips.video_decoding import decode_frames
from videoalign.errors import CaptionError, ClipError
from videoalign.reward.clip import Frames, prepare_clip

TAG = "full.fp32"


def all_frames(path):
    """Every frame in display order by plain PyAV, nothing of ours."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def official_raw(official, case):
    return official.results(TAG)[case]["logits"][0]


def raw(score):
    return [score.raw[name] for name in ("VQ", "MQ", "TA")]


def test_s17_is_scored_on_the_frames_that_were_asked_for_where_decord_returned_frame_13_for_11(official):
    case = "syn/s17_mpeg4_15fps_33f_352x288"
    frames, caption = all_frames(official.path("s17_mpeg4_15fps_33f_352x288")), official.captions(case)[0]
    model = official.model(TAG)
    [ours] = official.score(model, case)
    assert list(ours.frame_indices) == [0, 11, 21, 32] == official.cases[case]["samples"][0]["indices"]
    [right] = model.score([Frames(frames, 15.0)], [caption])
    assert ours == right
    # The official number comes back when decord's mistake is repeated.
    mistaken = frames.copy()
    mistaken[11] = frames[13]
    [theirs] = model.score([Frames(mistaken, 15.0)], [caption])
    assert raw(theirs) == pytest.approx(official_raw(official, case), abs=5e-4)
    assert max(abs(a - b) for a, b in zip(raw(ours), raw(theirs), strict=True)) > 0.1


def test_s25_is_scored_as_players_show_it_where_decord_counts_frames_that_the_edit_list_hides(official, clips):
    case = "syn/s25_editlist_24fps_128x128"
    [prepared] = official.prepared(case)
    assert prepared.total_frames == 36 and official.cases[case]["samples"][0]["total_frames"] == 48
    shown = decode_frames(clips / "s25_editlist_24fps_128x128.mp4", lambda total, fps: list(range(total)))
    whole = all_frames(clips / "s01_24fps_48f_128x128.mp4")  # the same clip without its edit list
    assert np.array_equal(shown.frames, whole[12:48])
    model, caption = official.model(TAG), official.captions(case)[0]
    [ours] = official.score(model, case)
    [right] = model.score([Frames(whole[12:48], 24.0)], [caption])
    assert ours == right
    # decord counts 48 frames, can show 36, and so returned frames 12, 28, 43 and 43 again for 0, 16, 31 and 47.
    mistaken = whole.copy()
    mistaken[[0, 16, 31, 47]] = whole[[12, 28, 43, 43]]
    [theirs] = model.score([Frames(mistaken, 24.0)], [caption])
    assert raw(theirs) == pytest.approx(official_raw(official, case), abs=2e-5)


def test_s26_is_close(official):
    case = "syn/s26_hevc10_8fps_16f_320x240"  # 10-bit HEVC: FFmpeg 8 converts it to RGB with other rounding
    [ours] = official.score(official.model(TAG), case)
    assert raw(ours) == pytest.approx(official_raw(official, case), abs=0.05)


def test_s08_with_one_frame_is_an_error_that_says_so(official):
    with pytest.raises(ClipError, match=r"1 frame.*at least 2"):
        prepare_clip(official.path("s08_10fps_1f_96x64"), official.sampling("syn/s08_10fps_1f_96x64"))


@pytest.mark.parametrize("prompt", ["specials_text", "video_pad_text", "image_pad_text", "vq_text"])
def test_control_tokens_in_a_caption_are_read_as_plain_text(official, prompt):
    model, caption = official.model(TAG), official.prompts[prompt]
    [clip] = official.prepared("syn/s04_10fps_2f_64x64")
    plain, controls = model.tokenizer.encode("a cat", 3), model.tokenizer.encode(caption, 3)
    special = set(range(1200, 1217))  # the control tokens of the fixtures' tokenizer
    assert [token for token in controls if token in special] == [token for token in plain if token in special]
    decoded = model.tokenizer.tokenizer.decode(controls, skip_special_tokens=False)
    assert f"Textual prompt - {caption}\n" in decoded
    [[score]] = model.score_prepared([clip], [(caption,)])
    [[harmless]] = model.score_prepared([clip], [("a cat",)])
    assert abs(score.VQ - harmless.VQ) <= 1e-5 and abs(score.MQ - harmless.MQ) <= 1e-5
    assert score.TA != harmless.TA


def test_the_official_score_of_a_caption_with_control_tokens_is_that_of_a_turn_it_has_ended(official, generated_clips):
    case = "prompt/specials_text/ex3B"
    model = official.model(TAG)
    [clip] = official.prepared(case)
    text = "".join(model.tokenizer.template.pieces).replace("{text_prompt}", official.captions(case)[0])
    ids = model.tokenizer.tokenizer.encode(text, add_special_tokens=False).ids
    start = ids.index(model.tokenizer.video_token_id)
    ids[start : start + 1] = [model.tokenizer.video_token_id] * clip.video_tokens
    with torch.no_grad():
        [features] = model.network.embed_clips([clip.patches], [clip.grid])
        hidden = model.network.read(model._embed(ids, clip, features)[None])[0]
        theirs = model._head(hidden[model._reward_positions(ids)]).tolist()
    assert theirs == pytest.approx(official_raw(official, case), abs=5e-4)
    [ours] = official.score(model, case)
    assert abs(ours.raw["TA"] - theirs[2]) > 0.1


@pytest.mark.parametrize("caption", ["", " ", "\n\t"])
def test_an_empty_caption_is_refused_by_default(official, caption):
    model = official.model(TAG)
    with pytest.raises(CaptionError, match="Leave it out"):
        model.score_prepared(official.prepared("prompt/empty/s02"), [(caption,)])


def test_an_empty_caption_scores_as_officially_when_the_check_is_off(official):
    case = "prompt/empty/s02"
    [[score]] = official.model(TAG).score_prepared(official.prepared(case), [("",)], check=False)
    assert raw(score) == pytest.approx(official_raw(official, case), abs=2e-5)


def test_a_fixed_number_of_frames_beyond_an_odd_clip_takes_the_next_lower_even_number(official):
    case = "nf/6/s07"  # five frames, six asked for: the official code takes five and crashes
    assert official.cases[case]["error"]
    [clip] = official.prepared(case)
    assert clip.indices == [0, 1, 3, 4]
    assert torch.equal(clip.patches, official.prepared("nf/4/s07")[0].patches)


def test_too_small_a_pixel_budget_is_an_error_that_names_it(official):
    with pytest.raises(ClipError, match="Raise max_pixels"):
        prepare_clip(
            official.path("s02_8fps_16f_320x240"),
            replace(official.sampling("syn/s02_8fps_16f_320x240"), max_pixels=784),
        )


def test_s13_has_the_rate_of_its_timestamps_where_decord_takes_the_headers_average(official, clips):
    path = clips / "s13_vfr_40f_192x128.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        average = float(stream.average_rate)
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
    decoded = decode_frames(path, lambda total, fps: [0])
    assert decoded.fps == pytest.approx(float(39 / (times[-1] - times[0])), rel=1e-12)
    assert official.cases["syn/s13_vfr_40f_192x128"]["samples"][0]["video_fps"] == pytest.approx(average, abs=1e-3)
    assert abs(decoded.fps - average) < 0.2
    [prepared] = official.prepared("syn/s13_vfr_40f_192x128")  # close enough that the same frames are sampled
    assert prepared.indices == official.cases["syn/s13_vfr_40f_192x128"]["samples"][0]["indices"]
