"""The demo's page, from scores that are made up."""

import re
from dataclasses import replace

from videoalign.evaluation.demo_clips import make_demo_clips
from videoalign.evaluation.demo_page import write_demo_page

SCORES = {"VQ": 1.5, "MQ": -0.75, "TA": 9.0, "Overall": 9.75}


def page(tmp_path, *clips) -> str:
    return write_demo_page(tmp_path / "index.html", clips, [SCORES] * len(clips)).read_text(encoding="utf-8")


def test_bars_grow_to_the_side_of_their_sign_and_end_at_three_deviations(tmp_path):
    clip, *_ = make_demo_clips(7)
    text = page(tmp_path, clip)
    bars = re.findall(r'class="fill ?(\w*)" style="(\w+): 50%; width: ([\d.]+)%"', text)
    assert bars == [("", "left", "25.0"), ("down", "right", "12.5"), ("", "left", "50.0"), ("", "left", "50.0")]
    assert re.findall(r'class="number">([+-][\d.]+)<', text) == ["+1.50", "-0.75", "+9.00", "+9.75"]


def test_only_the_first_is_called_best_and_only_the_last_worst(tmp_path):
    text = page(tmp_path, *make_demo_clips(7)[:3])
    assert re.findall(r'<section class="card clip (\w*)">', text) == ["best", "", "worst"]


def test_names_and_prompts_are_text_whatever_they_hold(tmp_path):
    text = '"><script>alert(1)</script>'
    clip, *_ = make_demo_clips(7)
    assert "<script" not in page(tmp_path, replace(clip, name=text, note=text, prompt=text))
