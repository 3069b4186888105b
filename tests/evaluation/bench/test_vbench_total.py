"""VBench's total from its dimensions: a published row, the bounds, and what is missing."""

import json

import pytest

from videoalign.errors import VideoAlignError
from videoalign.evaluation.bench.vbench_total import DIMENSIONS, QUALITY, SEMANTIC, read_vbench_results, vbench_scores

# CogVideoX-5B on VBench's leaderboard, in per cent with two decimals.
PUBLISHED = {
    "subject_consistency": 96.23, "background_consistency": 96.52, "temporal_flickering": 98.66, "motion_smoothness": 96.92,
    "dynamic_degree": 70.97, "aesthetic_quality": 61.98, "imaging_quality": 62.90, "object_class": 85.23, "multiple_objects": 62.11,
    "human_action": 99.40, "color": 82.81, "spatial_relationship": 66.35, "scene": 53.20, "appearance_style": 24.91,
    "temporal_style": 25.38, "overall_consistency": 27.59,
}  # fmt: skip
PUBLISHED_SCORES = {"quality": 82.75, "semantic": 77.04, "total": 81.61}


def test_a_published_row_gives_the_published_scores():
    scores = vbench_scores({name: value / 100 for name, value in PUBLISHED.items()})
    # Each value is rounded by up to 0.005, which its range enlarges (by 3.5 at most); quality is a mean over 6.5 of them.
    spread = {
        "quality": sum(
            0.005 * (0.5 if name == "dynamic_degree" else 1) / (high - low) for name, (low, high) in QUALITY.items()
        )
        / 6.5,
        "semantic": sum(0.005 / (high - low) for low, high in SEMANTIC.values()) / 9,
    }
    spread["total"] = (4 * spread["quality"] + spread["semantic"]) / 5
    for name, expected in PUBLISHED_SCORES.items():
        assert abs(100 * getattr(scores, name) - expected) <= spread[name] + 0.005, name


def test_the_bounds_of_each_dimension_become_0_and_1():
    for bound in (0, 1):
        scores = vbench_scores({name: bounds[bound] for name, bounds in DIMENSIONS.items()})
        assert set(scores.normalised.values()) == {bound}
        assert (scores.quality, scores.semantic) == (bound, pytest.approx(bound, abs=1e-15))


def test_dynamic_degree_counts_half_and_quality_four_times():
    lowest = {name: low for name, (low, _) in DIMENSIONS.items()}
    one = vbench_scores(lowest | {"dynamic_degree": 1.0})
    assert one.quality == pytest.approx(0.5 / 6.5, rel=1e-12) and one.total == pytest.approx(0.8 * 0.5 / 6.5, rel=1e-12)
    assert vbench_scores(lowest | {"color": 1.0}).total == pytest.approx(0.2 / 9, rel=1e-12)


def test_a_missing_dimension_leaves_no_score_that_it_belongs_to():
    scores = vbench_scores({name: 0.9 for name in QUALITY})
    assert scores.quality is not None and scores.semantic is None and scores.total is None
    assert scores.missing == list(SEMANTIC)


def test_results_as_vbench_writes_them_are_put_together(videoalign, tmp_path):
    names = list(PUBLISHED)
    for number, part in enumerate((names[:9], names[9:])):
        content = {name: [PUBLISHED[name] / 100, [{"video_path": "a-0.mp4", "video_results": 0.5}]] for name in part}
        (tmp_path / f"{number}_eval_results.json").write_text(json.dumps(content))
    files = sorted(tmp_path.glob("*_eval_results.json"))
    outcome = videoalign("bench", "vbench-total", *files, "--output", tmp_path / "total.json")
    assert outcome.status == 0 and outcome.out.splitlines()[-1].split() == ["total", "81.61"]
    assert json.loads((tmp_path / "total.json").read_text())["total"] == pytest.approx(0.8161, abs=5e-5)
    partly = videoalign("bench", "vbench-total", files[0])
    assert partly.status == 1 and "there is no semantic and no total score" in partly.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"colour": [0.5, []]}, "'colour' is no dimension of VBench"),
        ({"color": "high"}, "'color' is without a value"),
        ({"color": []}, "'color' is without a value"),
        ([], "is no result of VBench"),
        ("not JSON", "is no result of VBench"),
        ({"color": [82.8, []]}, "expected a share between 0 and 1"),
    ],
)
def test_other_files_are_refused(content, said, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(VideoAlignError, match=said):
        vbench_scores(read_vbench_results([path]))


def test_names_with_spaces_are_the_leaderboards_and_contradictions_are_refused(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text('{"human action": 0.5}')
    second.write_text('{"human_action": [0.6, []]}')
    assert read_vbench_results([first, first]) == {"human_action": 0.5}
    with pytest.raises(VideoAlignError, match=r"b\.json and .*a\.json have different values of human_action"):
        read_vbench_results([first, second])
