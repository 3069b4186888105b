"""``videoalign pairs`` by marks of any judges: each rule against a computation of its own from the same numbers."""

import csv
import itertools
import json

import numpy as np
import pytest

from videoalign.cli.main import main
from videoalign.preferences.importers.scored_clips import read_scored_clips
from videoalign.preferences.reading import read_pairs, read_preferences

MARKS = ("VQ", "MQ", "TA", "Overall", "measures.motion", "measures.still", "other.quality")
LOWER = ["measures.still"]
CLIPS, PROMPTS = 6, 3


@pytest.fixture
def table():
    """Marks [prompt, clip, mark]: each in a range of its own."""
    return np.random.default_rng(5).normal(size=(PROMPTS, CLIPS, len(MARKS))) * (1, 1, 1, 2, 0.1, 0.05, 30) + 0.5


@pytest.fixture(params=["scores.jsonl", "scores.csv"])
def scores(tmp_path, table, request):
    """A file as ``videoalign score`` writes it for a panel; the last clip of each prompt has no mark of the third judge."""
    rows = []
    for prompt, clip in itertools.product(range(PROMPTS), range(CLIPS)):
        name = f"{prompt}{clip}"
        (tmp_path / f"{name}.mp4").write_bytes(b"clip")
        marks = dict(zip(MARKS, table[prompt, clip].tolist(), strict=True))
        about = {"id": name, "path": f"{name}.mp4", "prompt": f"p{prompt}"}
        rows.append({**about, **marks, "total_frames": 9, "fps": 8.0, "judge": "videoreward+measures+other"})
        if clip == CLIPS - 1:
            rows[-1] |= {"other.quality": None, "errors": {"other": "too dark"}}
    path = tmp_path / request.param
    if path.suffix == ".jsonl":
        lines = [json.dumps({**row, "lower_is_better": LOWER}) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
    else:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0], "errors", "lower_is_better"])
            writer.writeheader()
            writer.writerows({**row, "errors": "", "lower_is_better": " ".join(LOWER)} for row in rows)
    return path


def paired(scores, *options):
    output = scores.parent / "out" / "pairs.jsonl"
    assert main(["pairs", str(scores), "--output", str(output), "--overwrite", *options]) == 0
    found = read_preferences(output)
    found.check_clips()
    return found


def ends(found):
    return {(pair.chosen[-6:-4], pair.rejected[-6:-4]) for pair in found}


def z_of(marks):
    return (marks - marks.mean(0)) / marks.std(0)


def totals(table, weights, keep):
    """By prompt: clip -> weighted z-scores, of the clips that are kept."""
    found = []
    for marks in table:
        kept = [clip for clip in range(CLIPS) if keep(marks[clip], clip)]
        z = z_of(marks[kept])
        z[:, MARKS.index("measures.still")] *= -1
        share = np.array([weights.get(name, 0) for name in MARKS]) / sum(weights.values())
        found.append(dict(zip(kept, z @ share, strict=True)))
    return found


def test_weights_of_marks_with_other_units_rank_by_z_scores(scores, table, capsys):
    weights = {"VQ": 1.0, "measures.still": 2.0, "other.quality": 0.5}
    options = [part for name, weight in weights.items() for part in ("--weight", f"{name}={weight}")]
    found = paired(scores, *options)
    assert "3 of 18 clips are in no pair" in (said := capsys.readouterr()).err and "it has no other.quality" in said.err
    expected = set()
    for prompt, total in enumerate(totals(table, weights, lambda marks, clip: clip != CLIPS - 1)):
        expected.add((f"{prompt}{max(total, key=total.get)}", f"{prompt}{min(total, key=total.get)}"))
    assert ends(found) == expected
    for pair in found:
        prompt = int(pair.chosen[-6])
        total = totals(table, weights, lambda marks, clip: clip != CLIPS - 1)[prompt]
        # Sums of 5 numbers of up to 100: 1e-12 is a thousand units of their rounding.
        assert pair.scores_chosen["Overall"] == pytest.approx(total[int(pair.chosen[-5])], abs=1e-12)
        assert pair.scores_chosen["measures.still"] == table[prompt, int(pair.chosen[-5]), 5]  # in its unit, as it was
        assert pair.labels["Overall"] == "A" and pair.source.columns["lower_is_better"] == LOWER


def test_a_gate_takes_clips_out_before_they_are_compared(scores, table):
    bound = float(np.median(table[:, :, 5]))
    found = paired(
        scores, "--weight", "VQ=1", "--weight", "MQ=1", "--gate", f"measures.still<{bound!r}", "--pairing", "margin"
    )
    expected = set()
    for prompt, total in enumerate(totals(table, {"VQ": 1, "MQ": 1}, lambda marks, clip: marks[5] < bound)):
        expected |= {(f"{prompt}{a}", f"{prompt}{b}") for a in total for b in total if total[a] > total[b]}
    assert ends(found) == expected
    plain = paired(
        scores, "--gate", f"measures.still<{bound!r}", "--pairing", "margin"
    )  # VideoReward's own ranking behind it
    mean = table[:, :, :3].mean(-1)
    kept = [(p, c) for p in range(PROMPTS) for c in range(CLIPS) if table[p, c, 5] < bound]
    assert ends(plain) == {
        (f"{p}{a}", f"{p}{b}") for p, a in kept for q, b in kept if p == q and mean[p, a] > mean[p, b]
    }


@pytest.mark.parametrize("least", [1, 2, 3])
def test_dominance_asks_for_a_lead_in_m_of_k_marks(scores, table, least):
    names = ("VQ", "measures.motion", "measures.still")
    options = [part for name in names for part in ("--dominate", name)]
    found = paired(scores, "--pairing", "dominance", *options, "--least", str(least), "--margin", "0.1")
    expected = set()
    for prompt, marks in enumerate(table):
        z = z_of(marks[:, [MARKS.index(name) for name in names]]) * (1, 1, -1)
        for a, b in itertools.permutations(range(CLIPS), 2):
            better, worse = (z[a] - z[b] > 0.1).sum(), (z[b] - z[a] > 0.1).sum()
            if better >= least and better > worse:
                expected.add((f"{prompt}{a}", f"{prompt}{b}"))
    assert ends(found) == expected and expected
    assert all("Overall" not in pair.scores_chosen and pair.labels["Overall"] == "A" for pair in found)


def test_pairs_per_prompt_keeps_the_largest_leads(scores, table):
    found = paired(scores, "--weight", "VQ=1", "--pairing", "margin", "--pairs-per-prompt", "1")
    assert ends(found) == {(f"{p}{table[p, :, 0].argmax()}", f"{p}{table[p, :, 0].argmin()}") for p in range(PROMPTS)}


def test_without_a_rule_a_panels_file_is_ranked_by_videorewards_marks_as_ever(scores, table):
    mean = table[:, :, :3].mean(-1)
    assert ends(paired(scores)) == {(f"{p}{mean[p].argmax()}", f"{p}{mean[p].argmin()}") for p in range(PROMPTS)}


def test_trainers_read_a_panels_file_with_all_its_marks(scores):
    pairs = read_pairs([scores])
    assert len(pairs) == PROMPTS * CLIPS * (CLIPS - 1) // 2
    assert set(pairs[0].pair.scores_chosen) == set(MARKS)
    assert sum("other.quality" not in clip.scores for clip in read_scored_clips(scores)) == PROMPTS


def test_marks_that_are_not_videorewards_say_by_themselves_nothing_of_who_is_better(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_bytes(b"clip")
    path = tmp_path / "measures.jsonl"
    rows = [
        {"path": f"{name}.mp4", "prompt": "x", "motion": 1.0, "still": still, "judge": "measures"}
        for name, still in zip("ab", (0.5, 0.1), strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    [pair] = read_pairs([path])
    assert pair.pair.labels == {"Overall": "invalid"}
    [pair] = paired(path, "--weight", "still=1")  # which is the better the lower, and the measurements say so
    assert (pair.chosen[-5], pair.rejected[-5]) == ("b", "a")


def test_rules_that_cannot_be_are_refused_before_anything_is_read(scores, capsys):
    output = ["--output", str(scores.parent / "x.jsonl")]
    for options, told in (
        (["--weight", "VQ"], "NAME=WEIGHT"),
        (["--gate", "VQ"], "is no gate"),
        (["--dominate", "VQ"], "--pairing dominance"),
        (["--pairing", "dominance", "--dominate", "VQ", "--least", "2"], "least is 2"),
    ):
        assert main(["pairs", str(scores), *output, *options]) == 2
        assert told in capsys.readouterr().err
    assert main(["pairs", str(scores), *output, "--weight", "measures.motoin=1"]) == 1
    assert "no clip has a mark called 'measures.motoin'" in capsys.readouterr().err
    assert main(["pairs", str(scores), *output, "--gate", "VQ>99"]) == 1
    assert "No clip is left for a pair" in capsys.readouterr().err
