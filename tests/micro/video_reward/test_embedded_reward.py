"""The embedded micro reward keeps its promise on clips it has never seen."""

import numpy as np
import pytest

from videoalign.micro_world import iterate_pairs
from videoalign.reward.clip import Frames
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.loading import load_video_reward
from videoalign.reward.settings import EMBEDDED_FILE

pytestmark = pytest.mark.skipif(not EMBEDDED_FILE.exists(), reason="the embedded micro reward is not in this checkout")
PAIRS = 160
CLEAR = 0.4


@pytest.fixture(scope="module")
def judged():
    """True and judged differences of fresh pairs, [pairs, 3] each."""
    model = load_video_reward("micro", device="cpu")
    pairs = [pair for pair, _ in zip(iterate_pairs(seed=77_001), range(PAIRS), strict=False)]
    clips = [Frames(clip.frames, clip.fps) for pair in pairs for clip in (pair.a, pair.b)]
    scores = model.score(clips, [pair.prompt for pair in pairs for _ in "ab"])
    values = np.array([[getattr(score, name) for name in DIMENSIONS] for score in scores])
    truth = np.array([[clip.quality[name] for name in DIMENSIONS] for pair in pairs for clip in (pair.a, pair.b)])
    return truth[0::2] - truth[1::2], values[0::2] - values[1::2]


@pytest.mark.parametrize(("dimension", "least"), [("VQ", 0.9), ("MQ", 0.85), ("TA", 0.9)])
def test_it_ranks_clear_pairs_as_the_truth_does(judged, dimension, least):
    """Nine of ten over many pairs (benchmarks/micro_reward_accuracy.py); these are about fifty of each dimension."""
    truth, judgement = (values[:, DIMENSIONS.index(dimension)] for values in judged)
    clear = np.abs(truth) >= CLEAR
    assert clear.sum() >= 40
    assert (np.sign(truth[clear]) == np.sign(judgement[clear])).mean() >= least


def test_it_is_small_enough_for_the_repository_and_samples_at_eight_frames_a_second():
    assert EMBEDDED_FILE.stat().st_size < 8_000_000
    assert load_video_reward("micro", device="cpu").settings.sampling.fps == 8.0
