import csv
import json

import pytest
from comfy_server import RefusedError
from prompts import CAPTION, MODEL, node, one_clip, pick_best, show

pytestmark = pytest.mark.comfyui


def saved(seed: int, filename: str) -> dict:
    prompt = one_clip(seed=seed)
    prompt["score"]["inputs"]["seed"] = ["number", 0]
    prompt["number"] = {"class_type": "PrimitiveInt", "inputs": {"value": seed}}
    return prompt | {"save": node("SaveScores", scores=["score", 0], filename=filename)}


def test_scores_are_appended_with_prompt_seed_and_model(comfyui):
    runs = [comfyui.run(saved(seed, "runs/one.csv")) for seed in (401, 402)]
    with (comfyui.base / "output" / "runs" / "one.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["401", "402"]
    assert {row["prompt"] for row in rows} == {CAPTION} and {row["model"] for row in rows} == {MODEL}
    for row, run in zip(rows, runs, strict=True):
        assert float(row["VQ"]) == run.outputs["score"]["videoalign_scores"][0]["VQ"]
    assert runs[1].outputs["save"]["videoalign_saved"] == [{"filename": "runs/one.csv", "added": 1, "rows": 2}]


def test_saved_scores_are_loaded_and_ranked_but_bring_no_clips(comfyui):
    for seed in (411, 412, 413):
        comfyui.run(saved(seed, "runs/two.jsonl"))
    lines = (comfyui.base / "output" / "runs" / "two.jsonl").read_text().splitlines()
    totals = [0.1 * row["VQ"] + 0.1 * row["MQ"] + 0.8 * row["TA"] for row in map(json.loads, lines)]
    prompt = {
        "load": node("LoadScores", filename="runs/two.jsonl"),
        "best": pick_best("load"),
        "count": show("load", 1),
    }
    run = comfyui.run(prompt | {"indices": show("best", 3), "video": show("best", 0), "sheet": show("best", 6)})
    assert run.outputs["count"]["shown"] == [3]
    assert run.outputs["indices"]["shown"] == [totals.index(max(totals))]
    assert "holds scores, not clips" in run.error and "video" not in run.outputs
    assert run.outputs["sheet"]["shown"]


def test_a_score_file_that_has_grown_is_read_again(comfyui):
    load = {"load": node("LoadScores", filename="runs/three.csv"), "count": show("load", 1)}
    counts = []
    for seed in (421, 422):
        comfyui.run(saved(seed, "runs/three.csv"))
        counts += comfyui.run(load).outputs["count"]["shown"]
    assert counts == [1, 2]


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        ("../outside.csv", "leads out of output/"),
        ("scores.txt", "must end in .csv or .jsonl"),
        ("/etc/x.csv", "leads out of"),
    ],
)
def test_a_bad_file_name_is_refused_before_anything_is_scored(comfyui, filename, message):
    with pytest.raises(RefusedError, match=message):
        comfyui.run(saved(430, filename))


def test_a_missing_score_file_is_named(comfyui):
    run = comfyui.run({"load": node("LoadScores", filename="nothing.csv"), "count": show("load", 1)})
    assert "There is no score file" in run.error and "nothing.csv" in run.error


def test_a_table_of_something_else_is_not_appended_to(comfyui):
    path = comfyui.base / "output" / "other.csv"
    path.write_text("name,price\nbread,3\n")
    run = comfyui.run(saved(440, "other.csv"))
    assert "has the columns name, price" in run.error
    assert path.read_text() == "name,price\nbread,3\n"
