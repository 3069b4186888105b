"""``videoalign pairs``: which clips it pairs, and what it refuses."""

import json

import pytest

from videoalign.cli.main import main
from videoalign.preferences.reading import read_preferences

SCORES = {  # prompt, VQ, MQ, TA
    "a": ("cat", 1.0, 1.0, 1.0),
    "b": ("cat", 0.0, 0.5, 0.2),
    "c": ("cat", 2.0, -2.0, 0.5),
    "d": ("dog", 0.0, 0.0, 0.0),
    "e": ("dog", 0.3, 0.1, -0.2),
}


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.jsonl"
    rows = []
    for name, (prompt, vq, mq, ta) in SCORES.items():
        (tmp_path / f"{name}.mp4").write_bytes(b"clip")
        rows.append({"id": name, "path": f"{name}.mp4", "prompt": prompt, "VQ": vq, "MQ": mq, "TA": ta})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def paired(scores, *options):
    output = scores.parent / "out" / "pairs.jsonl"
    assert main(["pairs", str(scores), "--output", str(output), "--overwrite", *options]) == 0
    found = read_preferences(output)
    found.check_clips()  # the paths are right from where the file lies
    return [(pair.chosen[-5], pair.rejected[-5]) for pair in found]


def test_the_best_clip_of_each_prompt_meets_the_worst(scores, capsys):
    assert paired(scores) == [("a", "c"), ("e", "d")]
    text = capsys.readouterr().out
    assert "2 pairs of 2 of 2 prompts" in text and "VQ -0.35, MQ +1.55, TA +0.15" in text


def test_weights_decide_who_is_best(scores):
    only_vq = ["--weights.VQ", "1", "--weights.MQ", "0", "--weights.TA", "0"]
    assert paired(scores, *only_vq) == [("c", "b"), ("e", "d")]
    assert paired(scores, "--weights.VQ", "0", "--weights.MQ", "0", "--weights.TA", "2") == [("a", "b"), ("d", "e")]


def test_dominance_asks_for_a_lead_in_every_dimension(scores):
    assert paired(scores, "--pairing", "dominance") == [("a", "b")]
    assert paired(scores, "--pairing", "dominance", "--margin", "0.4") == [("a", "b")]
    assert main(["pairs", str(scores), "--output", str(scores.parent / "x"), "--pairing", "dominance", "--margin", "1"])


def test_a_gap_refuses_pairs_whose_chosen_clip_loses_there(scores):
    assert paired(scores, "--pairing", "margin") == [("a", "b"), ("a", "c"), ("b", "c"), ("e", "d")]
    assert paired(scores, "--pairing", "margin", "--gaps.VQ", "0") == [("a", "b"), ("e", "d")]
    assert paired(scores, "--pairing", "margin", "--gaps.VQ", "-1.5") == [("a", "b"), ("a", "c"), ("e", "d")]


def test_pairs_per_prompt_keeps_the_clearest(scores):
    assert paired(scores, "--pairing", "margin", "--pairs-per-prompt", "1") == [("a", "c"), ("e", "d")]


def test_what_cannot_be_paired_says_what_to_do(scores, capsys):
    output = scores.parent / "pairs.jsonl"
    assert main(["pairs", str(scores), "--output", str(output), "--margin", "9"]) == 1
    assert "5 clips of 2 prompts give no pair" in capsys.readouterr().err and not output.exists()
    zero = ["--weights.VQ", "0", "--weights.MQ", "0", "--weights.TA", "0"]
    assert main(["pairs", str(scores), "--output", str(output), *zero]) == 2
    assert "all weights are 0" in capsys.readouterr().err
    (scores.parent / "c.mp4").unlink()
    assert main(["pairs", str(scores), "--output", str(output)]) == 1
    assert "c.mp4" in capsys.readouterr().err
    output.write_text("mine")
    assert main(["pairs", str(scores), "--output", str(output)]) == 1
    assert "--overwrite" in capsys.readouterr().err and output.read_text() == "mine"
