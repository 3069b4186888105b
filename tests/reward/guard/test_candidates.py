"""The gate against hacking among candidates: who is out, and how often by chance."""

import numpy as np

from videoalign.reward.guard.candidates import LEAST_CANDIDATES, TIMES, clearly_worse
from videoalign.reward.guard.watched import MEASURES


def candidates(name, values):
    return [{name: value} for value in values]


def test_what_is_far_below_the_median_is_out_and_what_is_far_above_is_not():
    reasons = clearly_worse(candidates("motion", [0.5, 0.52, 0.48, 0.51, 0.05, 0.99]))
    assert [bool(some) for some in reasons] == [False, False, False, False, True, False]
    assert "motion is 0.05, clearly worse than the candidates' median 0.505" in reasons[4][0]


def test_less_is_worse_only_where_more_is_better():
    shake = clearly_worse(candidates("shake", [0.1, 0.12, 0.11, 0.9, 0.0]))
    assert [bool(some) for some in shake] == [False, False, False, True, False]
    assert not any(clearly_worse(candidates("flickering", [0.9, 0.9, 0.9, 0.1])))  # neither more nor less is better


def test_the_edge_is_the_larger_of_spread_and_smallest_difference_of_interest():
    """Of equal candidates 3 x 0.02 of still frames; of candidates that differ, 3 deviations of 1.4826 x 0.1."""
    equal = [0.0, 0.0, 0.0, 0.0]
    assert not any(clearly_worse(candidates("still", [*equal, 0.06])))
    assert clearly_worse(candidates("still", [*equal, 0.061]))[4]
    spread = [0.1, 0.2, 0.3, 0.4, 0.5]  # with 0.7 and 0.8: median 0.4, median deviation 0.2 or less
    for last in (0.3 + 3 * 1.4826 * 0.1 - 0.01, 0.9):
        values = np.array([*spread, last])
        middle = np.median(values)
        edge = 3 * max(1.4826 * np.median(np.abs(values - middle)), 0.02)
        assert bool(clearly_worse(candidates("still", values))[5]) == (last - middle > edge)


def test_few_candidates_and_marks_that_are_missing_put_nobody_out():
    assert not any(clearly_worse(candidates("motion", [0.9] * (LEAST_CANDIDATES - 2) + [0.0])))
    assert not any(clearly_worse([{"motion": 0.9}, {"motion": None}, {}, {"motion": 0.0}]))


def test_names_may_have_the_judges_in_front():
    rows = candidates("measures.motion", [0.5, 0.5, 0.5, 0.5, 0.1])
    assert clearly_worse(rows, TIMES, "measures.")[4] and not any(clearly_worse(rows))


def test_of_alike_candidates_few_are_out_and_never_more_than_half_for_one_measurement():
    rng = np.random.default_rng(0)
    directed = [one.name for one in MEASURES if one.direction]
    out = 0
    for _ in range(100):
        rows = [dict(zip(directed, rng.normal(0.5, 0.15, len(directed)), strict=True)) for _ in range(8)]
        reasons = clearly_worse(rows)
        out += sum(map(bool, reasons))
        for name in directed:
            alone = clearly_worse([{name: row[name]} for row in rows])
            assert sum(map(bool, alone)) <= 4
    # 17 independent normal marks each: 3 deviations by a spread that is guessed from eight is below 2.5 % a mark and a clip.
    assert out / 800 < 1 - (1 - 0.025) ** len(directed)
