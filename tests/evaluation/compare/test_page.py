"""The page of a comparison, from figures that are made up."""

import json
import re

import numpy as np
import pytest

from videoalign.clips.video_file import write_video
from videoalign.evaluation.compare.judges import Judged
from videoalign.evaluation.compare.matching import MadeClip
from videoalign.evaluation.compare.page import Example, write_comparison
from videoalign.evaluation.compare.report import Comparison
from videoalign.reward.guard.marked import Marked
from videoalign.reward.guard.verdict import verdict
from videoalign.reward.guard.watched import MEASURES
from videoalign.reward.judge import Dimension
from videoalign.reward.win_rates import win_rate

DIMENSIONS = (
    Dimension("VQ", "visual quality", "deviations"),
    Dimension("Flicker", "flicker", "levels", higher_is_better=False),
)
PROMPT = "</div><script>alert('x')</script> \"a & b\" \u2028 <b>"


@pytest.fixture
def example(tmp_path) -> Example:
    clips = []
    (tmp_path / "made").mkdir()
    for name in ("first", "second"):
        write_video(tmp_path / "made" / f"{name}.mp4", np.zeros((3, 32, 32, 3), np.uint8), 8)
        clips.append(MadeClip(f"x/../../{name}", tmp_path / "made" / f"{name}.mp4", PROMPT, 7, "m"))
    return Example(*clips)


@pytest.fixture
def written(example, tmp_path):
    """The page of eight pairs, one of them shown; the candidate wins three quarters."""
    ids = (example.base.id, example.candidate.id)
    marks = [{ids[side]: dict.fromkeys(("VQ", "Flicker"), value)} for side, value in enumerate((0.25, 1.5))]
    rate = win_rate([0.0] * 8, [1.0] * 6 + [-1.0] * 2, [f"p{number}" for number in range(8)])
    judge = "judge <1>"
    motion = next(one for one in MEASURES if one.name == "motion")
    fell = Marked(motion, [0.8] * 8, [0.4, 0.41, 0.39, 0.4, 0.42, 0.38, 0.4, 0.4])
    found = verdict(([0.0] * 8, [1.0, 0.9, 1.1, 1.0, 1.0, 1.2, 0.9, 1.0]), [fell], range(8))
    comparison = Comparison(("the base", "LoRA <2>"), 8, {judge: dict.fromkeys(("VQ", "Flicker"), rate)}, found)
    path = write_comparison(
        tmp_path / "out" / "page", comparison, {judge: Judged(judge, DIMENSIONS, *marks)}, [example]
    )
    return path.read_text(encoding="utf-8")


def shown_in(page: str) -> dict:
    """What the view of the page is given to draw."""
    text = page.split("const view = compareView(", 1)[1]
    return json.JSONDecoder().raw_decode(text)[0]


def test_the_verdict_stands_first_with_what_fell(written):
    assert '<section class="guard worse">' in written and '<b class="said">Hacked</b>' in written
    assert "The reward won 100 %, but motion fell by 50 %." in written
    assert "1 mark, 1 clearly worse" in written and re.search(r">0\.800<.*>-0\.400<.*>-0\.410 to -0\.390<", written)


def test_figures_of_both_sides_are_on_the_page(written):
    assert "LoRA &lt;2&gt; against the base" in written and "Judged by judge &lt;1&gt;" in written
    assert written.count("75.0% [") == len(DIMENSIONS) and written.count("6 / 0 / 2") == len(DIMENSIONS)
    assert "<th>Visual quality</th>" in written and "<th>Flicker</th>" in written
    assert re.search(r'class="dot" style="left: 75\.0%"', written)
    (pair,) = shown_in(written)["pairs"]
    quality, flicker = pair["cells"]["0 1"]
    assert (quality["base"], quality["candidate"], quality["kind"]) == ("+0.25", "+1.50", "better")
    assert (flicker["base"], flicker["candidate"], flicker["kind"]) == ("+0.25", "+1.50", "worse")  # less is better
    assert quality["gain"] == 1.25 and flicker["gain"] == -1.25


def test_a_sentence_says_who_won_and_whether_that_is_enough(written):
    rate = "LoRA &lt;2&gt; won 6 of 8 pairs by flicker"
    assert rate in written and written.count("too few to tell") >= len(DIMENSIONS)


def test_a_prompt_with_markup_is_shown_and_not_run(written):
    assert written.count("<script") == 1 and "alert('x')" not in written
    assert shown_in(written)["pairs"][0]["prompt"] == PROMPT


def test_a_clip_whose_id_is_a_path_is_kept_inside_the_folder(written, tmp_path):
    clips = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*.mp4"))
    assert clips == ["out/page/clips/01_base.mp4", "out/page/clips/01_candidate.mp4"]
    assert not list(tmp_path.glob("*.mp4"))
    played = [(clip["file"], clip["fps"]) for clip in shown_in(written)["pairs"][0]["clips"]]
    assert played == [("01_base.mp4", 8.0), ("01_candidate.mp4", 8.0)]
