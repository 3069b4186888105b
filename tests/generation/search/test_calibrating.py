"""``videoalign search --calibrate`` on the embedded micro model."""

import json

import numpy as np
import pytest

from videoalign.reward.search.calibration import Calibration

STEPS = 4


def table(folder, name="search.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_all_takes_are_finished_and_the_file_chooses_the_look_of_a_search(tmp_path, search, brightness, capsys):
    assert search("--clips-per-prompt", "3", "--calibrate", "--look", "1") == 0, capsys.readouterr().err
    told, rows = capsys.readouterr().out, table(tmp_path / "out")
    assert len(rows) == 2 * 3 * 2 and brightness.seen == 12  # prompts, seeds, looks: the last is the finished clip
    found = Calibration.read(tmp_path / "out" / "calibration.json")
    assert "2 prompts are few" in told
    for index, step in enumerate((1, STEPS)):
        expected = []
        for prompt in {row["prompt"]: None for row in rows}:
            early, final = (
                [grey[seed, at] for seed in range(3)]
                for grey in [{(row["seed"], row["step"]): row["grey"] for row in rows if row["prompt"] == prompt}]
                for at in (step, STEPS)
            )
            expected.append(np.corrcoef(early, final)[0, 1])
        assert found.worth[index].pearson.mean == pytest.approx(np.mean(expected), abs=1e-9)
    clips = table(tmp_path / "out", "clips.jsonl")
    for clip in clips:  # the finished one is the brightest at the end
        last = [row for row in rows if row["prompt"] == clip["prompt"] and row["step"] == STEPS]
        assert max(last, key=lambda row: row["grey"])["seed"] == clip["seed"]

    calibration = tmp_path / "out" / "calibration.json"
    assert search("--clips-per-prompt", "3", "--calibration", calibration) == 0
    told, chosen = capsys.readouterr().out, found.chosen().step
    assert f"a look after {chosen} of {STEPS} steps keeps" in told and brightness.seen == 12  # all looks were known
    assert {row["step"] for row in table(tmp_path / "out")} == {chosen}


def test_a_calibration_of_another_sampling_is_refused(tmp_path, search, brightness, capsys):
    assert search("--clips-per-prompt", "2", "--calibrate", "--look", "1") == 0
    calibration = tmp_path / "out" / "calibration.json"
    assert search("--calibration", calibration, "--sampling.guidance-scale", "2", output="other") == 1
    assert "other values of guidance_scale, sampling" in capsys.readouterr().err
    stored = json.loads(calibration.read_text(encoding="utf-8"))
    assert stored["about"]["judge"]["grey"] == 1 and stored["about"]["sampler"] == "euler"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--calibrate", "--budget", "9"], "leave calibration, budget, budget_seconds and enough out"),
        (["--calibrate", "--clips-per-prompt", "1"], "give clips_per_prompt 2 or more"),
        (["--calibration", "c.json", "--look", "2"], "leave look out"),
    ],
)
def test_what_does_not_go_together_is_refused(search, brightness, capsys, words, told):
    assert search(*words) == 2
    assert told in capsys.readouterr().err
