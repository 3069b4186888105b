"""What the Reward Trace node gets of a run."""

import json
import math

import numpy as np
import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.guidance.settings import GuidanceSettings
from videoalign.guidance.trace import TracePoint
from videoalign.nodes.guidance_trace import RECORDS, GuidanceTrace, read_trace
from videoalign.nodes.reward_curve import _FAINT, COLOURS, reward_curve
from videoalign.nodes.run_records import RunRecord
from videoalign.reward.latent.calibration import Calibration, even_edges

NAMES = ("VQ", "MQ", "TA")


@pytest.fixture
def calibration():
    return Calibration(
        even_edges(1),
        accuracy=dict.fromkeys(NAMES, (0.8,)),
        pairs=dict.fromkeys(NAMES, (9,)),
        gradient_scale=dict.fromkeys(NAMES, (1.0,)),
        mean={"VQ": 1.0, "MQ": 0.0, "TA": 0.0},
        std={"VQ": 2.0, "MQ": 0.5, "TA": 1.0},
    )


def points(count: int, reused: bool = False):
    for place in range(count):
        rows = None if reused and place % 2 else ((0.1 * place, -0.2 * place, 1.0), (0.3 * place, 0.0, 1.5))
        yield TracePoint(
            1 - place / count, rows, 0.1 * place, 0.01, rows is None, place == count - 1, step=float(place)
        )


SAMPLES = torch.arange(8.0).view(1, 2, 1, 2, 2)


def traced(calibration, count=6, reused=False, **about) -> dict:
    """The trace that belongs to SAMPLES."""
    trace = GuidanceTrace("12", "mine.safetensors", GuidanceSettings({"MQ": 1.0}), calibration, object())
    sigmas = tuple(1 - place / max(count, 1) for place in range(count + 1))
    record = RunRecord(3, 42, sigmas, tuple(points(count, reused)), **about)
    RECORDS.keep(trace.steered_by, SAMPLES, record)
    return trace.of(SAMPLES)


def test_rewards_are_shown_in_standard_deviations_of_the_reward(calibration):
    point = traced(calibration)["points"][2]
    assert point["VQ"] == pytest.approx(((0.2 - 1) / 2 + (0.6 - 1) / 2) / 2)
    assert point["MQ"] == pytest.approx((-0.4 / 0.5 + 0.0) / 2)
    assert point["samples"][1] == pytest.approx([(0.6 - 1) / 2, 0.0, 1.5])


def test_what_is_shown_is_json_and_names_its_settings(calibration):
    shown = json.loads(json.dumps(traced(calibration)))
    about = {
        name: shown[name]
        for name in (
            "node", "latent_reward", "weights", "strength_mode", "strength", "cap", "every", "run", "seed", "steps", "note",
        )
    }  # fmt: skip
    assert about == {
        "node": "12", "latent_reward": "mine.safetensors", "weights": {"MQ": 1.0}, "strength_mode": "unit-free", "strength": 0.3,
        "cap": 0.5, "every": 1, "run": 3, "seed": 42, "steps": 6, "note": None,
    }  # fmt: skip
    assert shown["seconds"] == pytest.approx(0.06)


def test_samples_that_no_guided_sampler_gave_have_no_trace_and_that_is_said(calibration):
    trace = GuidanceTrace("12", "mine.safetensors", GuidanceSettings({"MQ": 1.0}), calibration, object())
    RECORDS.keep(object(), SAMPLES, RunRecord(1, 7, (1.0, 0.0), tuple(points(1))))  # of another node
    shown = trace.of(SAMPLES)
    assert shown["points"] == [] and shown["run"] is None and shown["seed"] is None
    assert shown["note"].startswith("No trace belongs to these samples")
    assert reward_curve(shown).std() > 0


def test_the_parts_of_a_run_are_one_trace_whose_steps_are_counted_over_all(calibration):
    before = RunRecord(2, 42, (1.0, 0.8, 0.6), (TracePoint(0.8, ((1.0, 0.0, 1.0),), 0.1, 0.01, step=1.0),))
    trace = GuidanceTrace("12", "mine.safetensors", GuidanceSettings({"MQ": 1.0}), calibration, object())
    after = TracePoint(0.6, ((1.0, 0.0, 1.0),), 0.1, 0.01, model="model_low_noise", step=0.0)
    RECORDS.keep(trace.steered_by, SAMPLES, RunRecord(3, 0, (0.6, 0.3, 0.0), (after,), before))
    shown = trace.of(SAMPLES)
    assert [(point["step"], point["model"]) for point in shown["points"]] == [(1, "model"), (2, "model_low_noise")]
    assert (shown["seed"], shown["run"], shown["steps"]) == (42, 3, 4)


def test_a_trace_without_its_beginning_says_so(calibration):
    assert traced(calibration, begins_late=True)["note"].startswith("Cut: it begins at sigma 1.000")


@pytest.mark.parametrize("data", ["", "[]", "{", "7", '{"points": 3}', '{"points": [{"sigma": 1}]}', "[" * 100000])
def test_what_is_no_trace_is_no_ghost(data):
    with pytest.raises(GuidanceError, match="ghost is not a trace"):
        read_trace(data)


def test_a_ghost_is_drawn_behind_in_the_same_range(calibration):
    shown = traced(calibration)
    ghost = read_trace(json.dumps(shown))
    for point in ghost["points"]:
        point["VQ"] = point["VQ"] + 5
    alone, together = reward_curve(shown), reward_curve(shown, ghost)
    # The ghost needs room above, so the curve itself moves down.
    assert drawn(together, COLOURS["VQ"])[1].mean() > drawn(alone, COLOURS["VQ"])[1].mean() + 50
    assert len(drawn(together, _FAINT["VQ"])[0]) > 100 and not len(drawn(alone, _FAINT["VQ"])[0])


def drawn(picture, colour: str):
    """Columns and rows where a colour is."""
    rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    rows, columns = (picture[84:440] == rgb).all(-1).nonzero()
    return columns, rows


def test_the_curves_go_where_the_rewards_go(calibration):
    picture = reward_curve(traced(calibration))
    assert picture.shape == (600, 960, 3) and picture.dtype == np.uint8
    for name, rises in (("VQ", True), ("MQ", False)):
        columns, rows = drawn(picture, COLOURS[name])
        early, late = rows[columns < 300].mean(), rows[columns > 700].mean()
        assert (late < early) == rises  # row 0 is at the top


def test_points_stand_at_their_steps_not_at_their_noise_levels(calibration):
    picture = reward_curve(traced(calibration))
    dots = [70 + 24 + (930 - 70 - 48) * place / 5 for place in range(6)]
    columns, _ = drawn(picture, COLOURS["TA"])
    assert columns.min() == pytest.approx(dots[0] - 3, abs=1) and columns.max() == pytest.approx(dots[-1] + 3, abs=1)


def test_the_curves_go_on_over_points_without_rewards(calibration):
    picture = reward_curve(traced(calibration, reused=True))
    columns, _ = drawn(picture, COLOURS["VQ"])
    assert np.diff(np.unique(columns)).max() <= 2


@pytest.mark.parametrize("count", [0, 1, 60])
def test_any_number_of_points_can_be_drawn(calibration, count):
    shown = traced(calibration, count)
    assert reward_curve(shown).std() > 0
    assert math.isfinite(shown["seconds"])


def test_the_picture_has_only_what_its_font_can_show(calibration, monkeypatch):
    from PIL import ImageDraw

    written = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, text, **_: written.append(text))
    shown = traced(calibration) | {"latent_reward": "\N{GREEK SMALL LETTER SIGMA}.safetensors"}
    reward_curve(shown)
    assert written and all(text.isascii() for text in written)
