"""``videoalign bench`` with several judges: each measured as alone, and their panel against a computation from the scores."""

import csv
import json

import numpy as np
import pytest

from videoalign.micro_world import write_prompt_groups

pytest.importorskip("cv2", reason="the judge measures needs OpenCV: pip install '.[measure]'")
FILES = ("out_single.csv", "out_pair.csv", "accuracy.json", "agreement.json", "scores.jsonl")
JUDGES = ("--judge", "micro-world", "--judge", "videoreward:micro", "--judge", "measures", "--device", "cpu")
FEW = ("--resamples", "20")
"""The intervals are not what is looked at."""
WEIGHTS = {"VQ": 1.0, "videoreward.TA": 2.0, "measures.blown": 0.5}
OPTIONS = [part for name, weight in WEIGHTS.items() for part in ("--weight", f"{name}={weight}")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """9 pairs: three clips for each of three prompts."""
    folder = tmp_path_factory.mktemp("world")
    write_prompt_groups(folder, 3, 3, seed=2)
    return folder


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def panels_accuracy(world, rows):
    """Share of the pairs with a winner that weighted z-scores of the clips of a prompt get right, and those totals."""
    totals = {}
    for prompt in {row["prompt"] for row in rows}:
        group = [row for row in rows if row["prompt"] == prompt]
        marks = np.array([[row[name] for name in WEIGHTS] for row in group]) * (
            1,
            1,
            -1,
        )  # of clipped highlights less is better
        spread = marks.std(0)
        z = np.where(spread > 0, (marks - marks.mean(0)) / np.where(spread > 0, spread, 1), 0)
        share = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())
        totals |= {(row["path"].rpartition("/")[2], prompt): total for row, total in zip(group, z @ share, strict=True)}
    with open(world / "pairs.csv", newline="", encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    right = []
    for pair in pairs:
        if pair["Overall"] != "same":
            lead = [totals[pair[f"path_{side}"].rpartition("/")[2], pair["prompt"]] for side in "AB"]
            right.append(0.5 if lead[0] == lead[1] else float((lead[0] > lead[1]) == (pair["Overall"] == "A")))
    return sum(right) / len(right), totals


def test_several_judges_are_measured_as_each_alone_and_their_panel_by_weighted_z_scores(world, tmp_path, videoalign):
    output = tmp_path / "out"
    outcome = videoalign("bench", world / "pairs.csv", *JUDGES, *OPTIONS, *FEW, "--output", output)
    assert outcome.status == 0
    for said in ("micro-world: VQ", "videoreward: Overall", "panel: Overall", "with ties, held out", "95 % interval"):
        assert said in outcome.out
    assert "measures:" not in outcome.out.partition("without ties")[2]  # which has no mark for the whole
    for text, folder in (("micro-world", "micro-world"), ("videoreward:micro", "videoreward-micro")):
        alone = tmp_path / folder
        call = ("bench", world / "pairs.csv", "--judge", text, "--device", "cpu", *FEW, "--output", alone)
        assert videoalign(*call).status == 0
        for name in FILES:
            assert (output / folder / name).read_bytes() == (alone / name).read_bytes()
    marks = [
        read_lines(output / folder / "scores.jsonl") for folder in ("micro-world", "videoreward-micro", "measures")
    ]
    rows = [
        {**first, "videoreward.TA": second["TA"], "measures.blown": third["blown"]}
        for first, second, third in zip(*marks, strict=True)
    ]
    accuracy, _ = panels_accuracy(world, rows)
    record = json.loads((output / "panel" / "agreement.json").read_text(encoding="utf-8"))
    assert record["dimensions"]["Overall"]["without_ties"] == pytest.approx(accuracy) and record["weights"] == WEIGHTS


def test_the_panel_is_measured_from_a_file_of_scores_too(world, tmp_path, videoalign):
    manifest = tmp_path / "rows.jsonl"
    with open(world / "pairs.csv", newline="", encoding="utf-8") as file:
        clips = {(pair[f"path_{side}"], pair["prompt"]) for pair in csv.DictReader(file) for side in "AB"}
    lines = [json.dumps({"path": str(world / path), "prompt": prompt}) + "\n" for path, prompt in sorted(clips)]
    manifest.write_text("".join(lines), encoding="utf-8")
    scores = tmp_path / "scores.csv"
    assert videoalign("score", "--manifest", manifest, *JUDGES, "--output", scores).status == 0
    output = tmp_path / "out"
    call = ("bench", world / "pairs.csv", "--scores", scores, *OPTIONS, *FEW, "--output", output)
    outcome = videoalign(*call)
    assert outcome.status == 0 and "panel: Overall" in outcome.out and "scores.csv: VQ" in outcome.out
    with open(scores, newline="", encoding="utf-8") as file:
        rows = [{**row, **{name: float(row[name]) for name in WEIGHTS}} for row in csv.DictReader(file)]
    accuracy, totals = panels_accuracy(world, rows)
    record = json.loads((output / "panel" / "agreement.json").read_text(encoding="utf-8"))
    assert record["dimensions"]["Overall"]["without_ties"] == pytest.approx(accuracy)
    with open(output / "panel" / "out_single.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            # Weighted sums of z-scores of at most 2: some units of rounding.
            assert float(row["reward_Overall"]) == pytest.approx(
                totals[row["path"].rpartition("/")[2], row["prompt"]], abs=1e-12
            )


def test_a_judge_that_cannot_be_compared_is_refused_unless_it_serves_a_panel(world, tmp_path, videoalign):
    call = ("bench", world / "pairs.csv", "--judge", "micro-world", "--judge", "measures", "--output", tmp_path / "out")
    refused = videoalign(*call)
    assert refused.status == 1 and "no mark for the whole" in refused.err
    slip = videoalign(*call, "--weight", "measures.blwon=1")
    assert slip.status == 1 and "no clip has a mark called 'measures.blwon'" in slip.err
    assert "a judge is named twice" in videoalign(*call[:4], *call[2:4], "--output", tmp_path / "x").err
