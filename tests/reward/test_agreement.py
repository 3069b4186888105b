"""Benchmark accuracies against the official script's recorded numbers, brute force and simulations."""

import json
from pathlib import Path

import numpy as np
import pytest

from videoalign.reward.agreement import (
    label_values,
    measure_agreement,
    multi_attribute_accuracy,
    ties_excluded_accuracy,
)
from videoalign.reward.bootstrap import bootstrap_mean, resampled_weights
from videoalign.reward.official_agreement import (
    official_accuracy_with_ties,
    official_accuracy_without_ties,
    official_counts,
    official_multi_attribute_accuracy,
)
from videoalign.reward.tie_calibration import calibrate_ties, held_out_ties, ties_included_accuracy

FIXTURES = Path(__file__).resolve().parents[1] / "data" / "videoreward" / "results"
RECORDED = json.loads((FIXTURES / "accuracy.json").read_text())
PAIRS = [pytest.param(case, id=case["name"]) for case in RECORDED["calc_accuracy"]]
ATTRIBUTES = [pytest.param(case, id=case["name"]) for case in RECORDED["compute_multi_attr_accuracy"]]


def numbers(values):
    return [float(value) for value in values]


def made_up_pairs(n, seed, digits=None, quality=1.0):
    """Human labels with ties, and score differences that agree with them by `quality`, rounded to make repeats."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    labels = np.where(np.abs(truth) < 0.4, 0, np.sign(truth))
    differences = quality * truth + rng.normal(size=n)
    return labels, differences if digits is None else differences.round(digits)


def brute_force_accuracy(labels, differences, threshold):
    right = 0
    for h, d in zip(labels, differences, strict=True):
        verdict = 0 if abs(d) <= threshold else (1 if d > 0 else -1)
        right += verdict == h
    return right / len(labels)


def brute_force_best(labels, differences):
    return max(brute_force_accuracy(labels, differences, t) for t in [0.0, *np.abs(differences)])


@pytest.mark.parametrize("case", PAIRS)
def test_official_accuracies_equal_the_recorded_ones_to_the_last_bit(case):
    h, m = numbers(case["h"]), numbers(case["m"])
    assert official_accuracy_with_ties(h, m) == float(case["with_ties"])
    assert list(official_counts(h, m, -1)) == case["suff_stats_eps_minus1"]
    assert list(official_counts(h, m, 0)) == case["suff_stats_eps_0"]
    if isinstance(case["without_ties"], dict):
        with pytest.raises(ZeroDivisionError, match="no pair has a winner"):
            official_accuracy_without_ties(h, m)
    else:
        assert official_accuracy_without_ties(h, m) == case["without_ties"]


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_official_multi_attribute_metrics_equal_the_recorded_ones(case):
    found = official_multi_attribute_accuracy(case["predictions"], case["labels"], case["eval_dims"])
    assert list(found) == list(case["out"])
    for name, value in case["out"].items():
        np.testing.assert_equal(found[name], float(value), err_msg=name)


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("seed", range(8))
def test_the_calibrated_accuracy_equals_the_best_of_all_thresholds_by_brute_force(seed, digits):
    labels, differences = made_up_pairs(60, seed, digits)
    found = calibrate_ties(labels, differences)
    assert found.accuracy == pytest.approx(brute_force_best(labels, differences), abs=1e-12)
    assert brute_force_accuracy(labels, differences, found.threshold) == pytest.approx(found.accuracy, abs=1e-12)
    for threshold in (0.0, 0.5, found.threshold):
        one = ties_included_accuracy(labels, differences, threshold)
        assert one == pytest.approx(brute_force_accuracy(labels, differences, threshold), abs=1e-12)


def test_of_equally_good_thresholds_the_smallest_is_taken():
    labels, differences = [1, 0, 1, 0, 1], [-0.1, 0.2, 0.3, -0.4, 0.5]
    best = brute_force_best(labels, differences)
    smallest = min(t for t in [0.0, *np.abs(differences)] if brute_force_accuracy(labels, differences, t) == best)
    assert calibrate_ties(labels, differences).threshold == smallest == 0.2


def test_the_exact_accuracy_does_not_depend_on_the_order_of_the_rows_and_the_official_one_does():
    labels, differences = made_up_pairs(200, seed=3, digits=0)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(200) for _ in range(30)]
    exact = {calibrate_ties(labels[o], differences[o]) for o in orders}
    official = {official_accuracy_with_ties(labels[o], differences[o]) for o in orders}
    assert len(exact) == 1
    assert len(official) > 1 and min(official) >= exact.pop().accuracy - 1e-12
    # The two recorded orders of one pair of rows: 1.0 and 0.5, of which only 0.5 is attainable by a threshold.
    assert calibrate_ties([0, 1], [0.5, 0.5]).accuracy == calibrate_ties([1, 0], [0.5, 0.5]).accuracy == 0.5


def test_without_repeated_differences_the_official_number_is_the_exact_one_unless_no_tie_is_best():
    labels, differences = made_up_pairs(300, seed=5)
    assert official_accuracy_with_ties(labels, differences) == pytest.approx(
        calibrate_ties(labels, differences).accuracy, abs=1e-12
    )
    assert official_accuracy_with_ties([1, -1], [1.0, -1.0]) == 0.5, "the official sweep must call one pair a tie"
    assert calibrate_ties([1, -1], [1.0, -1.0]).accuracy == 1.0


def test_the_exact_measures_leave_invalid_pairs_out_however_they_are_written():
    labels, differences = made_up_pairs(50, seed=1)
    for invalid in (np.nan, 22):
        more_labels = np.append(labels, [invalid, invalid])
        more = np.append(differences, [3.0, np.nan])
        assert calibrate_ties(more_labels, more) == calibrate_ties(labels, differences)
        assert ties_excluded_accuracy(more_labels, more) == ties_excluded_accuracy(labels, differences)


def test_ties_excluded_accuracy_counts_by_hand_and_gives_equal_scores_a_coins_chance_or_the_official_zero():
    labels, differences = [1, -1, 1, 0, 1, 22], [0.5, 0.1, 0.0, 9.0, 2.0, -1.0]
    assert ties_excluded_accuracy(labels, differences) == (1 + 0 + 0.5 + 1) / 4
    assert ties_excluded_accuracy(labels, differences, equal_counts=0.0) == 2 / 4
    assert official_accuracy_without_ties(labels[:5], differences[:5]) == 2 / 4
    assert np.isnan(ties_excluded_accuracy([0, 0], [1.0, 2.0]))


def test_multi_attribute_accuracy_skips_invalid_labels_that_the_official_one_counts_as_wrong():
    predictions = [[[1.0, 1.0], [0.0, 0.0]], [[0.0, 2.0], [1.0, 1.0]], [[3.0, 1.0], [1.0, 5.0]]]
    labels = [[1, 22], [-1, 1], [22, -1]]
    assert official_multi_attribute_accuracy(predictions, labels, ["VQ", "MQ"])["accuracy_VQ"] == pytest.approx(2 / 3)
    found = multi_attribute_accuracy(predictions, labels, ["VQ", "MQ"])
    assert found == {"VQ": 1.0, "MQ": 1.0, "mean": 1.0}
    found = multi_attribute_accuracy([[[1.0, 2.0], [1.0, 2.0]]], [[1, 0]], ["VQ", "MQ"])
    assert found["VQ"] == found["mean"] == 0.5 and np.isnan(found["MQ"])


def test_the_held_out_accuracy_is_the_average_over_splits_computed_one_by_one():
    # With two clusters a two-fold split can only be this one, so the answer can be worked out by hand.
    labels, differences = made_up_pairs(80, seed=11, digits=1)
    half = np.arange(80) < 40
    found = held_out_ties(labels, differences, half, repeats=3, resamples=10)
    right, thresholds = 0.0, []
    for part in (half, ~half):
        candidates = sorted({0.0, *np.abs(differences[~part])})
        scores = [brute_force_accuracy(labels[~part], differences[~part], t) for t in candidates]
        thresholds.append(candidates[int(np.argmax(scores))])
        right += brute_force_accuracy(labels[part], differences[part], thresholds[-1]) * part.sum()
    assert found.accuracy == pytest.approx(right / 80, abs=1e-12)
    assert found.threshold == pytest.approx(np.mean(thresholds), abs=1e-12)


@pytest.mark.parametrize("digits", [None, 1])
def test_the_held_out_interval_is_that_of_resamples_computed_pair_by_pair(digits):
    """Each resample draws prompts, splits them five times, and fits each half's threshold on the copies in the other half."""
    labels, differences = made_up_pairs(40, seed=5, digits=digits)
    clusters = np.repeat(np.arange(10), 4)
    got = held_out_ties(labels, differences, clusters, repeats=3, resamples=12, confidence=0.8, seed=9)
    order = np.argsort(np.abs(differences), kind="stable")
    labels, differences, clusters = labels[order], differences[order], clusters[order]
    rng = np.random.default_rng(9)

    def right(threshold):
        return np.where(np.abs(differences) <= threshold, 0.0, np.sign(differences)) == labels

    def split(copies):
        fold = (rng.permutation(10) % 2)[clusters]
        total = 0.0
        for part in (0, 1):
            fitted = [(copies * (fold != part) * right(t)).sum() for t in (0.0, *np.unique(np.abs(differences)))]
            total += (copies * (fold == part) * right((0.0, *np.unique(np.abs(differences)))[np.argmax(fitted)])).sum()
        return total / copies.sum()

    runs = [split(np.ones(40)) for _ in range(3)]
    replicates = [np.mean([split(copies) for _ in range(5)]) for copies in resampled_weights(clusters, 12, rng)]
    assert got.accuracy == pytest.approx(np.mean(runs), rel=1e-14)  # a mean of three shares of whole numbers
    low, high = np.quantile(replicates, [0.1, 0.9])
    assert (got.interval.low, got.interval.high) == pytest.approx((low, high), rel=1e-14)


def test_a_threshold_fitted_on_pure_noise_looks_better_on_its_own_pairs_than_held_out():
    gaps = []
    for seed in range(20):
        labels, differences = made_up_pairs(60, seed, quality=0.0)
        held_out = held_out_ties(labels, differences, repeats=5, resamples=1)
        gaps.append(calibrate_ties(labels, differences).accuracy - held_out.accuracy)
    assert np.mean(gaps) > 0.03 and min(gaps) > -1e-12


def test_held_out_numbers_repeat_with_the_seed_and_change_without_it():
    labels, differences = made_up_pairs(100, seed=2)
    one, same, other = (held_out_ties(labels, differences, repeats=2, resamples=50, seed=s) for s in (4, 4, 5))
    assert one == same and one != other


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # The truth: how thresholds fitted on 125 pairs of this world do on pairs without end.
    everyone = made_up_pairs(100_000, seed=999)
    fitted = [calibrate_ties(*made_up_pairs(125, seed)).threshold for seed in range(1000, 1040)]
    truth = np.mean([ties_included_accuracy(*everyone, threshold) for threshold in fitted])
    runs = [
        held_out_ties(*made_up_pairs(250, seed), repeats=2, resamples=150, confidence=0.9, seed=seed)
        for seed in range(60)
    ]
    assert np.mean([run.accuracy for run in runs]) == pytest.approx(truth, abs=0.01)
    covered = np.mean([run.interval.low <= truth <= run.interval.high for run in runs])
    assert 0.8 <= covered <= 0.99


def test_the_bootstrap_interval_of_a_share_has_the_binomial_width():
    values = np.repeat([1.0, 0.0], [300, 100])
    interval = bootstrap_mean(values, resamples=4000, seed=1)
    half_width = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert interval.low == pytest.approx(0.75 - half_width, abs=0.006)
    assert interval.high == pytest.approx(0.75 + half_width, abs=0.006)


def test_copies_of_a_pair_in_one_cluster_do_not_narrow_the_interval_as_they_do_when_drawn_alone():
    values = np.repeat(np.repeat([1.0, 0.0], [30, 10]), 9)
    prompts = [f"prompt {i // 9}" for i in range(360)]
    single = bootstrap_mean(values[::9], resamples=3000)
    clustered = bootstrap_mean(values, prompts, resamples=3000)
    alone = bootstrap_mean(values, resamples=3000)
    width = single.high - single.low
    assert clustered.high - clustered.low == pytest.approx(width, rel=0.1)
    assert alone.high - alone.low == pytest.approx(width / 3, rel=0.1)


def test_every_pair_of_a_cluster_is_drawn_equally_often():
    cluster = np.array([0, 1, 1, 2, 2, 2])
    for weights in resampled_weights(cluster, 20, np.random.default_rng(0)):
        assert weights[1] == weights[2] and len(set(weights[3:])) == 1
        assert weights[0] + weights[1] + weights[3] == 3


def test_a_report_holds_all_measures_and_ignores_invalid_rows_where_it_should():
    labels, differences = made_up_pairs(120, seed=8, digits=1)
    with_invalid = np.append(labels, [22])
    found = measure_agreement(with_invalid, np.append(differences, [0.7]), resamples=50)
    assert (found.pairs, found.ties, found.invalid) == (120, int((labels == 0).sum()), 1)
    as_script = np.append(labels, [np.nan])
    assert found.official_with_ties == official_accuracy_with_ties(as_script, np.append(differences, [0.7]))
    assert found.official_without_ties == official_accuracy_without_ties(as_script, np.append(differences, [0.7]))
    assert found.with_ties.accuracy == pytest.approx(brute_force_best(labels, differences), abs=1e-12)
    assert found.without_ties_interval.low <= found.without_ties <= found.without_ties_interval.high
    assert json.loads(json.dumps(found.as_dict()))["with_ties_held_out"]["folds"] == 2


def test_pairs_that_are_all_right_have_an_interval_that_depends_on_how_many_prompts_they_are():
    widths = []
    for prompts in (2, 8, 200):
        labels, names = [1, -1] * prompts, [number for number in range(prompts) for _ in range(2)]
        found = measure_agreement(labels, [1.0, -1.0] * prompts, names, resamples=20)
        assert found.without_ties == 1 and found.without_ties_interval.high == 1
        # Agresti and Coull: (prompts + 2) of (prompts + 4) are right
        share = (prompts + 2) / (prompts + 4)
        low = share - 1.959964 * (share * (1 - share) / (prompts + 4)) ** 0.5
        assert found.without_ties_interval.low == pytest.approx(low, abs=1e-6)
        assert found.with_ties_held_out.interval.low == pytest.approx(low, abs=1e-6)
        widths.append(1 - low)
    assert widths[0] > 0.5 > widths[1] > 0.2 > 0.03 > widths[2]


def test_a_report_of_ties_alone_says_that_there_is_no_ties_excluded_accuracy():
    found = measure_agreement([0, 0, 0], [0.1, -0.4, 0.2], resamples=20)
    assert found.official_without_ties is None and np.isnan(found.without_ties)
    assert found.official_with_ties == found.with_ties.accuracy == 1.0


def test_twenty_five_thousand_pairs_take_seconds_not_hours():
    labels, differences = made_up_pairs(25_000, seed=0, digits=2)
    assert 0 < held_out_ties(labels, differences, repeats=2, resamples=20).accuracy < 1


def test_bad_input_is_refused_with_the_pair_named():
    with pytest.raises(ValueError, match="label 2 of pair 1 is not one of"):
        calibrate_ties([1, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="difference of pair 1 is NaN"):
        ties_excluded_accuracy([1, -1], [0.1, float("nan")])
    with pytest.raises(ValueError, match="one length"):
        calibrate_ties([1, -1], [0.1])
    with pytest.raises(ValueError, match="threshold must be 0 or more"):
        ties_included_accuracy([1], [0.1], -1)
    with pytest.raises(ValueError, match="2 folds need"):
        held_out_ties([1], [0.1])
    with pytest.raises(ValueError, match="one cluster per pair"):
        measure_agreement([1, -1], [0.1, 0.2], ["a prompt"])
    with pytest.raises(ValueError, match="'a' of pair 1 is not one of A, B, same, invalid"):
        label_values(["A", "a"])
    np.testing.assert_equal(label_values(["A", "B", "same", "invalid"]), [1, -1, 0, np.nan])
