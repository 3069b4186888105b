"""The page of curves."""

import xml.etree.ElementTree as ElementTree

from videoalign.training.flow.curves import page

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
