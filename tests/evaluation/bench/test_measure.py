"""Accuracies equal their definitions, and pairs without scores are left out and counted."""

import pytest

from videoalign.errors import VideoAlignError
from videoalign.evaluation.bench.known_scores import read_known_scores
from videoalign.evaluation.bench.measure import compare, measure
from videoalign.evaluation.bench.pairs import bench_pairs
from videoalign.evaluation.bench.protocol import GENAI_BENCH, REWARD_BENCH
from videoalign.preferences.reading import read_preferences


def compared(files, protocol=REWARD_BENCH, drop=()):
    """The comparison of a benchmark with its scores, without those of the clips named ``drop``."""
    preferences = read_preferences(files[0])
    pairs = bench_pairs(preferences)
    known = read_known_scores(files[1], pairs, preferences.root)
    return compare(pairs, {clip: scores for clip, scores in known.items() if clip.file.name not in drop}, protocol)


def test_all_accuracies_equal_brute_force(benchmark_of, noisy, brute_force):
    prompts, labels, differences = noisy
    comparison = compared(benchmark_of({"VQ": (labels, differences)}, prompts))
    found = measure(comparison, REWARD_BENCH, resamples=1000).accuracies["VQ"]
    assert (found.pairs, found.ties) == (48, labels.count(0))
    assert found.without_ties == pytest.approx(brute_force.without_ties(labels, differences))
    best = brute_force.best_threshold(labels, differences)
    assert found.with_ties.accuracy == pytest.approx(brute_force.with_ties(labels, differences, best))
    # 20 random halves against all 70 of them.
    assert found.with_ties_held_out.accuracy == pytest.approx(
        brute_force.held_out(prompts, labels, differences), abs=0.02
    )
    low, high = brute_force.interval_without_ties(prompts, labels, differences)
    interval = found.without_ties_interval
    assert (interval.low, interval.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_intervals_resample_prompts(benchmark_of):
    labels, differences = [1] * 40, [1.0, -1.0] * 20
    many = compared(benchmark_of({"VQ": (labels, differences)}))
    few = compared(benchmark_of({"VQ": (labels, differences)}, ["right", "wrong"] * 20))
    width = [
        (lambda interval: interval.high - interval.low)(
            measure(comparison, REWARD_BENCH, resamples=200).accuracies["VQ"].without_ties_interval
        )
        for comparison in (many, few)
    ]
    assert width[0] < 0.5 < width[1]  # two prompts can both be the right one, or both the wrong one


def test_pairs_whose_clip_has_no_scores_are_left_out_and_named(benchmark_of, noisy):
    prompts, labels, differences = noisy
    files = benchmark_of({"VQ": (labels, differences)}, prompts)
    comparison = compared(files, drop={"3_A.mp4", "7_B.mp4"})
    assert (len(comparison.pairs), comparison.left_out) == (46, 2)
    assert [(failure.path, failure.where) for failure in comparison.failures] == [
        ("3_A.mp4", ("row 4, A",)),
        ("7_B.mp4", ("row 8, B",)),
    ]


def test_a_dimension_that_the_reward_does_not_score_is_said_to_be_missing(benchmark_of, table):
    pairs, _ = benchmark_of({"VQ": ([1, -1], [1, 1]), "TA": ([1, 1], [0, 0])})
    scores = [{"path": f"{i}_{side}.mp4", "VQ": i} for i in range(2) for side in "AB"]
    comparison = compared((pairs, table("only_vq.csv", scores)))
    assert (comparison.labels, comparison.not_scored) == (("VQ",), ("TA",))


def test_nothing_to_measure_is_an_error(benchmark_of, table):
    pairs, scores = benchmark_of({"VQ": ([1], [1.0])})
    with pytest.raises(VideoAlignError, match=r"No pair has a label of GenAI-Bench \(Overall\); found VQ"):
        compared((pairs, scores), GENAI_BENCH)
    with pytest.raises(VideoAlignError, match="scores for TA; VideoGen-RewardBench needs VQ"):
        compared((pairs, table("ta.csv", [{"path": "0_A.mp4", "TA": 1}])))
    with pytest.raises(VideoAlignError, match=r"No pair has scores for both clips. row 1, B"):
        compared((pairs, scores), drop={"0_B.mp4"})


def test_pairs_are_grouped_by_their_column_or_by_that_of_their_sides(benchmark_of):
    labels, differences = [1, 1, -1, -1], [1.0, -1.0, -1.0, 1.0]
    models = {"A_model": ["x", "x", "y", "z"], "B_model": ["y", "z", "z", "z"]}
    files = benchmark_of({"VQ": (labels, differences)}, generation=["old", "new", "new", "old"], **models)

    def grouped(by):
        found = measure(compared(files), REWARD_BENCH, by, resamples=5)
        return {value: (own["VQ"].pairs, own["VQ"].without_ties) for value, own in found.groups.items()}

    assert grouped("generation") == grouped("auto") == {"new": (2, 0.5), "old": (2, 0.5)}
    assert grouped("model") == {"x": (2, 0.5), "y": (2, 1.0), "z": (3, pytest.approx(1 / 3))}
    assert grouped("none") == {}
    with pytest.raises(VideoAlignError, match=r"--group-by colour.*found A_model, B_model, generation"):
        grouped("colour")


def test_a_single_group_is_no_group(benchmark_of):
    files = benchmark_of({"VQ": ([1, -1], [1.0, 1.0])}, A_model=["m", "m"], B_model=["m", "m"])
    assert measure(compared(files), REWARD_BENCH, resamples=5).grouped_by is None
