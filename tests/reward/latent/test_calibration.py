"""The measurements that guidance reads."""

import json

import pytest

from videoalign.errors import CheckpointError
from videoalign.reward.latent.calibration import Calibration, even_edges

ROWS = {"VQ": (0.9, 0.7), "MQ": (0.8, 0.5), "TA": (0.75, 0.4)}


def make(**changes):
    values = {
        "edges": (0.0, 0.5, 1.0),
        "accuracy": ROWS,
        "pairs": {name: (100, 100) for name in ROWS},
        "gradient_scale": {"VQ": (8.0, 4.0), "MQ": (2.0, 1.0), "TA": (1.0, 0.0)},
        "mean": dict.fromkeys(ROWS, 0.0),
        "std": dict.fromkeys(ROWS, 1.0),
    }
    return Calibration(**{**values, **changes})


def test_it_survives_json():
    assert Calibration.from_dict(json.loads(json.dumps(make().to_dict()))) == make()


def test_values_are_interpolated_between_the_centres_of_the_bins_and_constant_beyond():
    calibration = make()
    assert calibration.gradient_rms("VQ", 0.1, 4) == 2.0
    assert calibration.gradient_rms("VQ", 0.5, 4) == pytest.approx(1.5)
    assert calibration.gradient_rms("VQ", 1.0, 4) == 1.0
    assert calibration.confidence("VQ", 0.0) == pytest.approx(0.8)
    assert calibration.confidence("VQ", 0.375) == pytest.approx(0.7)


def test_confidence_is_never_negative_and_full_where_nothing_was_measured():
    assert make().confidence("TA", 1.0) == 0
    assert make(pairs={name: (0, 0) for name in ROWS}).confidence("TA", 1.0) == 1


def test_overall_accuracy_leaves_out_bins_without_pairs():
    assert make().overall_accuracy("VQ") == pytest.approx(0.8)
    assert make(pairs={name: (100, 0) for name in ROWS}).overall_accuracy("VQ") == 0.9


def test_what_was_not_measured_is_said_to_be_so_in_memory_and_in_the_file():
    nothing = make(
        pairs={**{name: (100, 0) for name in ROWS}, "TA": (0, 0)}
    )  # as 0.1.0 wrote it: with shares all the same
    assert nothing.overall_accuracy("TA") is None and not nothing.is_measured("TA")
    assert nothing.is_measured("VQ") and not make(gradient_scale={name: (0.0, 0.0) for name in ROWS}).is_measured("VQ")
    written = json.loads(json.dumps(nothing.to_dict()))
    assert written["accuracy"]["TA"] == [None, None] and written["accuracy"]["VQ"] == [0.9, None]
    again = Calibration.from_dict(written)
    assert again.overall_accuracy("TA") is None and again.overall_accuracy("VQ") == 0.9


def test_accuracy_within_prompts_survives_json_and_files_of_before_have_none():
    within = {"VQ": (0.7, None), "MQ": (0.5, 0.6), "TA": (None, None)}
    calibration = make(within=within, prompts={"VQ": (5, 0), "MQ": (5, 5), "TA": (0, 0)})
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again == calibration
    assert [again.within_accuracy(name) for name in ROWS] == [0.7, pytest.approx(0.55), None]
    assert "within" not in make().to_dict() and make().within_accuracy("VQ") is None
    with pytest.raises(CheckpointError, match="within"):
        make(within={"VQ": (0.7, 0.5)})


def test_an_inner_edge_belongs_to_the_bin_above_and_both_ends_to_their_own():
    assert [make().bin(t) for t in (0.0, 0.49, 0.5, 1.0)] == [0, 0, 1, 1]
    assert even_edges(4) == (0, 0.25, 0.5, 0.75, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"edges": (0.0, 1.0)},
        {"edges": (0.1, 0.5, 1.0)},
        {"accuracy": {"VQ": (0.5, 0.5)}},
        {"gradient_scale": {name: (1.0, float("nan")) for name in ROWS}},
        {"mean": {"VQ": 0.0}},
    ],
)
def test_tables_that_do_not_fit_are_refused(changes):
    with pytest.raises(CheckpointError):
        make(**changes)
    with pytest.raises(CheckpointError):
        Calibration.from_dict({**make().to_dict(), **{key: None for key in changes}})
