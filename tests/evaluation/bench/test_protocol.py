"""What each benchmark compares, and how large its frames are."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from videoalign.errors import VideoAlignError
from videoalign.evaluation.bench.protocol import GENAI_BENCH, REWARD_BENCH, protocol_of
from videoalign.preferences.preference_file import PreferencePair, Preferences, Source
from videoalign.reward.frame_sampling import resized_size
from videoalign.reward.judge import Dimension
from videoalign.reward.settings import FrameSampling

RELEASED = FrameSampling()


def test_reward_bench_takes_the_checkpoints_own_sampling_which_is_2_fps_at_448_squared_for_the_released_one():
    assert REWARD_BENCH.max_pixels is None
    assert (RELEASED.fps, RELEASED.max_pixels) == (2.0, 448 * 448)
    assert dict(REWARD_BENCH.score_of) == {name: name for name in ("VQ", "MQ", "TA", "Overall")}


@pytest.mark.parametrize("size", [(256, 256), (320, 512), (576, 1024), (64, 64), (240, 426), (480, 720)])
def test_genai_bench_shows_no_frame_larger_than_256_by_256(size):
    height, width = resized_size(*size, RELEASED.limited(GENAI_BENCH.max_pixels))
    assert height * width <= 256 * 256


def test_genai_bench_compares_its_vote_with_text_alignment_alone():
    assert dict(GENAI_BENCH.score_of) == {"Overall": "TA"}


def test_genai_bench_never_enlarges_what_a_checkpoint_with_small_frames_sees():
    micro = replace(RELEASED, fps=8.0, min_pixels=28 * 28, max_pixels=84 * 84)
    assert micro.limited(GENAI_BENCH.max_pixels) is micro


def test_the_protocol_follows_from_where_the_pairs_come_from():
    def pairs(name):
        source = Source(format=name) if name else None
        return Preferences([PreferencePair(prompt="p", chosen="a", rejected="b", source=source)], root=".")

    assert protocol_of(pairs("genai_bench")) is GENAI_BENCH  # also when imported earlier and saved as native
    assert protocol_of(pairs("videoalign")) is REWARD_BENCH
    assert protocol_of(pairs(None)) is REWARD_BENCH


def judge_of(*names, overall=None):
    return SimpleNamespace(
        name="other",
        dimensions=tuple(Dimension(name, name, "") for name in names),
        overall=overall and Dimension(overall, overall, ""),
    )


def test_a_judge_without_these_dimensions_answers_for_the_whole():
    assert dict(REWARD_BENCH.for_judge(judge_of("a", "b", overall="mean")).score_of) == {"Overall": "mean"}
    assert dict(REWARD_BENCH.for_judge(judge_of("mu")).score_of) == {"Overall": "mu"}
    assert REWARD_BENCH.for_judge(judge_of("VQ", "b")).score_of == REWARD_BENCH.score_of
    with pytest.raises(VideoAlignError, match="no mark for the whole"):
        REWARD_BENCH.for_judge(judge_of("a", "b"))
