"""What the page and the Reward Trace node get of a run."""

import json
import math

import numpy as np
import pytest

from videoalign.guidance.settings import GuidanceSettings
from videoalign.guidance.trace import RewardTrace, TracePoint
from videoalign.nodes.guidance_trace import EVENT, GuidanceTrace
from videoalign.nodes.reward_curve import COLOURS, reward_curve
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
        yield TracePoint(1 - place / count, rows, 0.1 * place, 0.01, rows is None, place == count - 1)


def traced(calibration, count=6, reused=False):
    trace = GuidanceTrace(RewardTrace(), "12", "mine.safetensors", GuidanceSettings({"MQ": 1.0}), calibration)
    told = []
    trace.tell(lambda event, content: told.append((event, content)))
    trace.trace.begin()
    for point in points(count, reused):
        trace.trace.add(point)
    return trace, told


def test_points_are_told_as_they_come_and_in_the_same_words_as_at_the_end(calibration):
    trace, told = traced(calibration)
    assert [event for event, _ in told] == [EVENT] * 7
    assert told[0][1] == {"node": "12", "run": 1, "index": -1, "point": None}
    shown = trace.shown()["points"]
    for place, (_, content) in enumerate(told[1:]):
        assert content["node"] == "12" and content["index"] == place
        assert content["point"] == {name: value for name, value in shown[place].items() if name != "samples"}


def test_rewards_are_shown_in_standard_deviations_of_the_reward(calibration):
    point = traced(calibration)[0].shown()["points"][2]
    assert point["VQ"] == pytest.approx(((0.2 - 1) / 2 + (0.6 - 1) / 2) / 2)
    assert point["MQ"] == pytest.approx((-0.4 / 0.5 + 0.0) / 2)
    assert point["samples"][1] == pytest.approx([(0.6 - 1) / 2, 0.0, 1.5])


def test_what_is_shown_is_json_and_names_its_settings(calibration):
    shown = json.loads(json.dumps(traced(calibration)[0].shown()))
    about = {
        name: shown[name]
        for name in ("node", "latent_reward", "weights", "strength_mode", "strength", "cap", "every", "run")
    }
    assert about == {
        "node": "12", "latent_reward": "mine.safetensors", "weights": {"MQ": 1.0}, "strength_mode": "unit-free", "strength": 0.3,
        "cap": 0.5, "every": 1, "run": 1,
    }  # fmt: skip
    assert shown["seconds"] == pytest.approx(0.06)


def drawn(picture, colour: str):
    """Columns and rows where a colour is."""
    rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    rows, columns = (picture[84:440] == rgb).all(-1).nonzero()
    return columns, rows


def test_the_curves_go_where_the_rewards_go(calibration):
    picture = reward_curve(traced(calibration)[0].shown())
    assert picture.shape == (600, 960, 3) and picture.dtype == np.uint8
    for name, rises in (("VQ", True), ("MQ", False)):
        columns, rows = drawn(picture, COLOURS[name])
        early, late = rows[columns < 300].mean(), rows[columns > 700].mean()
        assert (late < early) == rises  # row 0 is at the top


def test_the_curves_go_on_over_points_without_rewards(calibration):
    picture = reward_curve(traced(calibration, reused=True)[0].shown())
    columns, _ = drawn(picture, COLOURS["VQ"])
    assert np.diff(np.unique(columns)).max() <= 2


@pytest.mark.parametrize("count", [0, 1, 60])
def test_any_number_of_points_can_be_drawn(calibration, count):
    shown = traced(calibration, count)[0].shown()
    assert reward_curve(shown).std() > 0
    assert math.isfinite(shown["seconds"])


def test_the_picture_has_only_what_its_font_can_show(calibration, monkeypatch):
    from PIL import ImageDraw

    written = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, text, **_: written.append(text))
    shown = traced(calibration)[0].shown() | {"latent_reward": "\N{GREEK SMALL LETTER SIGMA}.safetensors"}
    reward_curve(shown)
    assert written and all(text.isascii() for text in written)
