"""Scores of a panel in nodes: from marks to files and back, and the verdict on two sets of them."""

import json

import numpy as np
import pytest

from videoalign.cli.main import main
from videoalign.clips.video_file import write_video
from videoalign.judges import open_judge
from videoalign.micro_world.clip import make_clip
from videoalign.micro_world.faults import Fault
from videoalign.micro_world.scene import parse_caption, sample_scene
from videoalign.nodes.clip_pairs import compared, named_sets, summary
from videoalign.nodes.clip_verdict import verdict_on
from videoalign.nodes.score_file import append_scores, read_scores
from videoalign.nodes.scored_clip import ScoredClip
from videoalign.reward.guard.comparing import Witness, verdict_of
from videoalign.reward.panel import Panel
from videoalign.reward.scoring_stream import score_clips

pytest.importorskip("cv2", reason="the judge measures needs OpenCV: pip install '.[measure]'")
COLOURS = ("red", "yellow", "green", "cyan", "blue", "purple")


@pytest.fixture(scope="module")
def panel():
    return Panel([open_judge("micro-world"), open_judge("measures")])


@pytest.fixture(scope="module")
def sets(panel, tmp_path_factory):
    """Six prompts: clips with noise, and clips without, which stand still for a while."""
    folder, made = tmp_path_factory.mktemp("clips"), []
    for fault, degree in (("noise", 0.9), ("freeze", 0.4)):
        paths, captions = [], [f"two {colour} circles move left over a plain grey ground" for colour in COLOURS]
        for seed, caption in enumerate(captions):
            scene = sample_scene(np.random.default_rng(seed), parse_caption(caption))
            clip = make_clip(np.random.default_rng([seed, 1]), scene, (Fault(fault, degree),))
            paths.append(folder / f"{fault}_{seed}.mp4")
            write_video(paths[-1], clip.frames, clip.fps)
        marks = score_clips(panel, paths, captions)
        made.append(
            tuple(
                ScoredClip.of(one, panel, path.stem, seed=seed)
                for seed, (path, one) in enumerate(zip(paths, marks, strict=True))
            )
        )
    return folder, made


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_panels_scores_come_back_with_their_meaning_as_far_as_it_is_known(sets, tmp_path, ending):
    _, (first, _) = sets
    path = tmp_path / f"s.{ending}"
    append_scores(path, first[:3])
    append_scores(path, first[3:])
    for back, one in zip(read_scores(path), first, strict=True):
        assert (back.judge, dict(back.scores), back.details) == ("micro-world+measures", dict(one.scores), one.details)
        measured = {d.name: d for d in one.dimensions if d.name.startswith("measures.")}
        assert {d.name: d for d in back.dimensions if d.name.startswith("measures.")} == measured
    assert set(one.details) == {"measures.brightness", "measures.saturation", "measures.camera_x", "measures.camera_y"}


def test_a_file_of_the_command_has_the_same_scores(sets, tmp_path):
    folder, (first, _) = sets
    rows = [{"path": str(folder / f"{clip.name}.mp4"), "prompt": clip.prompt} for clip in first]
    manifest, output = tmp_path / "clips.jsonl", tmp_path / "s.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (
        main(
            [
                "score",
                "--manifest",
                str(manifest),
                "--judge",
                "micro-world",
                "--judge",
                "measures",
                "--output",
                str(output),
            ]
        )
        == 0
    )
    back = {clip.prompt: clip for clip in read_scores(output)}
    for one in first:
        assert dict(back[one.prompt].scores) == dict(one.scores) and back[one.prompt].details == one.details


def test_refusals_come_back_in_both_forms_and_leave_cells_without_marks(sets, tmp_path):
    _, (first, _) = sets
    words = "the caption: none; of it, a fox"
    without = {name: None if "." in name else mark for name, mark in first[0].scores.items()}
    refused = ScoredClip(without, "x", judge=first[0].judge, dimensions=first[0].dimensions, errors={"measures": words})
    for ending in ("csv", "jsonl"):
        append_scores(tmp_path / f"s.{ending}", [first[1], refused])
        _, back = read_scores(tmp_path / f"s.{ending}")
        assert (
            back.errors == {"measures": words}
            and back.scores["measures.motion"] is None
            and back.scores["VQ"] is not None
        )


def test_the_verdict_is_the_guards_own(sets):
    _, (base, candidate) = sets
    said = verdict_on(list(zip(base, candidate, strict=True)), ("before", "after"))
    world = [one for one in base[0].dimensions if "." not in one.name] + [base[0].overall]
    rows = [[{**one.scores, **one.details} for one in some] for some in (base, candidate)]
    measures = [[{name.removeprefix("measures."): mark for name, mark in row.items()} for row in some] for some in rows]
    expected = verdict_of(
        Witness("the reward", world, *rows, "Overall"),
        [],
        Witness("measures", [], *measures),
        [one.prompt for one in base],
    )
    assert said == {"outcome": expected.outcome.value, "sentence": expected.sentence}
    assert said["outcome"] == "hacked" and "still frames" in said["sentence"]


def test_compare_clips_groups_a_panels_marks_by_judge_and_ends_with_the_verdict(sets):
    shown, _ = compared(named_sets(["before", "after"], sets[1]))
    assert [one["judge"] for one in shown["measures"]] == ["micro-world"] * 4 + ["measures"] * 18
    assert [one["name"] for one in shown["measures"][:5]] == ["VQ", "MQ", "TA", "Overall", "flickering"]
    [comparison] = shown["comparisons"]
    assert "by overall" in comparison["verdict"]  # the first judge's, not the last measurement
    assert f"Hacked: {comparison['guard']['sentence']}" in summary(shown)


def test_without_a_panel_there_is_no_verdict_and_pairs_without_the_rewards_marks_are_left_out(sets):
    _, (base, candidate) = sets
    alone = [ScoredClip({"VQ": 0.0, "MQ": 0.0, "TA": 0.0, "Overall": 0.0}, one.name, prompt=one.prompt) for one in base]
    assert verdict_on(list(zip(alone, alone, strict=True)), ("a", "b")) is None
    gone = {name: mark if "." in name else None for name, mark in base[0].scores.items()}
    pairs = [
        (
            ScoredClip(gone, "x", judge=base[0].judge, dimensions=base[0].dimensions, overall=base[0].overall),
            candidate[0],
        )
    ]
    pairs += list(zip(base[1:], candidate[1:], strict=True))
    said = verdict_on(pairs, ("a", "b"))
    assert "5 prompts only" in said["sentence"] and "(1 of 6 pairs lack the reward's marks.)" in said["sentence"]
