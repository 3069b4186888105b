"""Early looks held to final ones: against scipy's correlations and a gain that is counted by hand."""

import math

import numpy as np
import pytest

from videoalign.errors import VideoAlignError
from videoalign.reward.search.calibration import Calibration, calibrate
from videoalign.reward.search.seed_search import Look


def looks_of(table, steps):
    """Of totals [steps, seeds]; None is a take that is out."""
    return [
        Look(seed, step, {}, total) for step, row in zip(steps, table, strict=True) for seed, total in enumerate(row)
    ]


def test_correlations_gain_and_share_are_those_of_an_independent_computation():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    tables = [np.round(rng.normal(size=(3, 8)) + np.linspace(0, 2, 8)[rng.permutation(8)], 1) for _ in range(12)]
    found = calibrate(
        {str(number): looks_of(table.tolist(), (2, 6, 12)) for number, table in enumerate(tables)}, 12, {"model": "m"}
    )
    assert (found.prompts, found.seeds, [one.step for one in found.worth]) == (12, 8, [2, 6, 12])
    whole = np.mean([table[-1].max() - table[-1].mean() for table in tables])
    for index, one in enumerate(found.worth):
        ranked = [stats.spearmanr(table[index], table[-1]).statistic for table in tables]
        plain = [stats.pearsonr(table[index], table[-1]).statistic for table in tables]
        assert one.spearman.mean == pytest.approx(np.mean(ranked)) and one.pearson.mean == pytest.approx(np.mean(plain))
        if np.std(ranked):
            low, high = stats.t.interval(0.95, 11, np.mean(ranked), stats.sem(ranked))
            # The quantile is the package's own; it agrees with scipy's to 1e-6 of a width of about 0.5.
            assert (one.spearman.low, one.spearman.high) == pytest.approx((low, high), abs=1e-5)
        gains = []
        for table in tables:
            first = [seed for seed in range(8) if table[index][seed] == max(table[index])]
            gains.append(np.mean([table[-1][seed] for seed in first]) - np.mean(table[-1]))
        assert one.gain.mean == pytest.approx(np.mean(gains)) and one.share.mean == pytest.approx(
            np.mean(gains) / whole
        )
        assert one.work == pytest.approx((8 * one.step + 12 - one.step) / 12)


def test_the_step_is_the_earliest_from_which_on_all_keep_enough():
    final = [0.0, 1.0, 2.0, 3.0]  # best of 4 gains 1.5
    table = [[0, 0, 0, 9], [9, 0, 0, 0], [0, 0, 9, 0], final]  # shares 1 (by luck), -1, 1/3, 1
    found = calibrate({"a": looks_of(table, (1, 2, 3, 4)), "b": looks_of(table, (1, 2, 3, 4))}, 4, {})
    assert [round(one.share.mean, 3) for one in found.worth] == [1, -1, 0.333, 1]
    assert found.chosen().step == 4 and found.chosen(0.3).step == 3
    assert found.sentence(found.chosen(0.3)) == (
        "a look after 3 of 4 steps keeps 33 % of the gain of best of 4 [33, 33] for 3.25 runs"
    )


def test_a_take_that_is_out_somewhere_counts_nowhere_and_a_single_prompt_has_no_interval(tmp_path):
    found = calibrate(
        {"a": looks_of([[1, None, 3], [1, 2, 3]], (2, 4)), "b": looks_of([[1, None], [1, 2]], (2, 4))}, 4, {}
    )
    assert (found.prompts, found.seeds) == (1, 2) and found.worth[0].share.mean == 1
    assert found.worth[0].share.high == math.inf and found.caution().startswith("1 prompt is few")
    found.write(tmp_path / "c.json")
    assert Calibration.read(tmp_path / "c.json") == found
    with pytest.raises(VideoAlignError, match="nothing can be measured"):
        calibrate({"a": looks_of([[1, None], [1, 2]], (2, 4))}, 4, {})


def test_a_calibration_of_something_else_is_refused(tmp_path):
    found = calibrate({"a": looks_of([[1, 2], [1, 2]], (2, 4))}, 4, {"model": "a", "steps": 4})
    found.check_is_of({"model": "a", "steps": 4}, tmp_path)
    with pytest.raises(VideoAlignError, match="other values of model, steps"):
        found.check_is_of({"model": "b", "steps": 5}, tmp_path)
    (tmp_path / "c.json").write_text('{"worth": 3}', encoding="utf-8")
    with pytest.raises(VideoAlignError, match="no calibration"):
        Calibration.read(tmp_path / "c.json")
