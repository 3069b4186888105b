"""The page of curves."""

import xml.etree.ElementTree as ElementTree

import pytest

from videoalign.pages.render import render
from videoalign.training.flow.curves import TEMPLATE, curves

LOG = [
    {"step": 1, "kind": "train", "loss": 0.69, "margin": 0.0, "margin/0.2-0.4": 0.0},
    {"step": 2, "kind": "train", "loss": 0.6, "margin": 0.2, "margin/0.6-0.8": 0.3},
    {
        "step": 2,
        "kind": "eval",
        "loss": 0.65,
        "accuracy": 0.6,
        "accuracy/0.2-0.4": 0.7,
        "accuracy/0.6-0.8": float("nan"),
    },
]


def page(lines, title):
    return render(TEMPLATE, **curves(lines, title))


def charts(text):
    return [ElementTree.fromstring("<svg" + part.split("</svg>")[0] + "</svg>") for part in text.split("<svg")[1:]]


def test_every_number_has_a_curve_with_its_meaning_and_held_out_ones_by_noise_level():
    text = page(LOG, "my <run>")
    assert "my &lt;run&gt;" in text
    for name in ("loss", "margin", "accuracy"):
        assert f"<h2>{name}</h2>" in text
    assert "0.5 is chance" in text
    lines = [line for chart in charts(text) for line in chart.iter("polyline")]
    assert len(lines) >= 5


def test_a_rising_number_is_drawn_rising():
    log = [{"step": step, "kind": "train", "loss": float(step)} for step in range(5)]
    points = next(charts(page(log, "run"))[0].iter("polyline")).attrib["points"].split()
    x, y = zip(*(map(float, point.split(",")) for point in points), strict=True)
    assert list(x) == sorted(x)
    assert list(y) == sorted(y, reverse=True)


def test_a_number_that_never_changes_and_one_that_was_logged_once_are_drawn():
    log = [
        {"step": 3, "kind": "train", "loss": 0.5},
        *({"step": step, "kind": "train", "margin": 0.0} for step in (1, 2)),
    ]
    once, flat = charts(page(log, "run"))
    (dot,) = once.iter("circle")
    assert dot.attrib["cx"] and float(dot.attrib["cy"]) < 220
    heights = {point.split(",")[1] for point in next(flat.iter("polyline")).attrib["points"].split()}
    assert len(heights) == 1 and 0 < float(heights.pop()) < 220


def test_the_middle_of_the_axis_is_the_middle_of_the_values():
    log = [{"step": step, "kind": "train", "loss": value} for step, value in enumerate((2.0, -4.0, 1.0))]
    (chart,) = charts(page(log, "run"))
    labels = {text.text: float(text.attrib["y"]) for text in chart.iter("text")}
    drawn = [float(point.split(",")[1]) for point in next(chart.iter("polyline")).attrib["points"].split()]
    assert labels["2"] == drawn[0] and labels["-4"] == drawn[1]
    assert labels["-1"] == pytest.approx((drawn[0] + drawn[1]) / 2, abs=0.1)


def test_names_from_a_log_are_text():
    text = page([{"step": 1, "kind": "eval", "<script>": 1.0, "loss/</svg><script>": 2.0}], "</title><script>")
    assert "<script" not in text and text.count("</svg>") == text.count("<svg")
