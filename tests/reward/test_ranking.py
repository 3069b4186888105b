"""Candidates of one prompt by marks of any judges: z-scores against NumPy, dominance against its definition, gates as vetoes."""

import itertools

import numpy as np
import pytest

from videoalign.errors import VideoAlignError
from videoalign.reward.gates import Gate
from videoalign.reward.ranking import check_names, dominates, standings
from videoalign.reward.weight_options import named_weights
from videoalign.reward.weights import RewardWeights

ULP = np.finfo(np.float64).eps


def test_totals_are_weighted_z_scores_with_more_always_better():
    rng = np.random.default_rng(1)
    marks = rng.normal(size=(6, 3)) * (1, 100, 0.01) + (0, 5000, 0)
    names = ("videoscore.quality", "measures.sharpness", "measures.still")
    candidates = [dict(zip(names, row, strict=True)) for row in marks.tolist()]
    rows = standings(candidates, RewardWeights(dict(zip(names, (2, 1, 1), strict=True))), lower_is_better={names[2]})
    z = (marks - marks.mean(0)) / marks.std(0) * (1, 1, -1)
    # The marks of 5000 +- 100 lose 50 units to their mean.
    assert [row.total for row in rows] == pytest.approx(list(z @ (0.5, 0.25, 0.25)), abs=6 * 50 * 10 * ULP)


def test_the_ranking_does_not_depend_on_the_marks_units():
    candidates = [{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 1.0}, {"a": 4.0, "b": 2.0}]
    scaled = [{"a": 1000 * one["a"] - 7, "b": one["b"] / 8} for one in candidates]
    weights = RewardWeights({"a": 1, "b": 2})
    totals = [[row.total for row in standings(some, weights)] for some in (candidates, scaled)]
    assert totals[0] == pytest.approx(totals[1], abs=1e-11)  # 3000 - 7 loses three digits of sixteen


def test_a_gate_is_a_veto_before_anything_is_compared():
    candidates = [
        {"a": 1.0, "still": 0.1},
        {"a": 2.0, "still": 0.0},
        {"a": 100.0, "still": 0.9},
        {"a": 3.0, "still": None},
    ]
    rows = standings(candidates, RewardWeights({"a": 1}), [Gate.parse("still<0.5")])
    assert [row.total for row in rows] == [-1.0, 1.0, None, None]  # those of the two that are in
    assert rows[2].out == ("still is 0.9, not < 0.5",)
    assert rows[3].out == ("it has no still",)
    assert standings(candidates, RewardWeights({"still": 1}))[3].out == ("it has no still",)


@pytest.mark.parametrize(
    ("text", "passes"), [("x<1", 0.5), ("x <= 1", 1.0), ("x>1", 1.5), ("x>=1.0", 1.0), ("measures.x>-1e-3", 0.0)]
)
def test_gates_are_read_as_they_are_written(text, passes):
    gate = Gate.parse(text)
    assert gate.failure({gate.name: passes}) is None
    assert gate.failure({gate.name: -5.0 if ">" in text else 5.0}) and Gate.parse(str(gate)) == gate


@pytest.mark.parametrize("text", ["", "x", "x=1", "x<", "<1", "x<much", "x<nan", "x<1<2"])
def test_what_is_no_gate_is_refused(text):
    with pytest.raises(VideoAlignError, match=r"measures\.still<0\.2"):
        Gate.parse(text)


@pytest.mark.parametrize("least", [1, 2, 3])
@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_dominance_counts_the_marks_in_which_one_is_better(least, margin):
    marks = np.random.default_rng(2).normal(size=(7, 3))
    names = ("a", "b", "c")
    rows = standings([dict(zip(names, row, strict=True)) for row in marks.tolist()], compared=names)
    z = (marks - marks.mean(0)) / marks.std(0)
    found = {
        (i, j) for i, j in itertools.permutations(range(7), 2) if dominates(rows[i], rows[j], names, least, margin)
    }
    lead = z[:, None] - z[None]
    wins = (lead > margin).sum(-1)
    expected = {
        (i, j) for i, j in itertools.permutations(range(7), 2) if wins[i, j] >= least and wins[i, j] > wins[j, i]
    }
    assert found == expected and (least > 1 or found)


def test_a_name_that_no_clip_has_is_a_slip_of_the_pen():
    with pytest.raises(VideoAlignError, match=r"no clip has a mark called 'motoin'. Marks are: motion\."):
        check_names(["motion", "motoin"], [{"motion": 1.0, "motoin": None}], "--weight")


def test_weights_of_any_marks_are_read_from_texts():
    assert named_weights(["measures.motion=0.5", "VQ=2"]).values == {"measures.motion": 0.5, "VQ": 2.0}
    assert named_weights([]) is None
    for wrong in (["VQ"], ["=1"], ["VQ=x"], ["VQ=1", "VQ=2"], ["VQ=-1"], ["VQ=0"]):
        with pytest.raises(VideoAlignError):
            named_weights(wrong)
