"""Scored clips become pairs by margin, best against worst, or all."""

import json
import random
import tracemalloc

import pytest

from videoalign.errors import PreferenceFileError
from videoalign.preferences.importers.scored_clips import ScoredClip, pair_clips, read_scored_pairs
from videoalign.preferences.reading import read_preferences


def put(path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def put_lines(path, rows):
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


SCORES = [
    ("a", "cat", 1.0, 0.0, 0.5),
    ("b", "cat", 0.2, 0.1, 0.5),
    ("c", "cat", -1.0, 2.0, 0.0),
    ("d", "dog", 0.0, 0.0, 0.0),
]


def scored_file(path, rows=SCORES):
    names = ("id", "path", "prompt", "VQ", "MQ", "TA", "Overall")
    table = [dict(zip(names, (i, f"{i}.mp4", p, vq, mq, ta, vq + mq + ta), strict=True)) for i, p, vq, mq, ta in rows]
    if path.suffix == ".jsonl":
        return put_lines(path, table)
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in table)]
    return put(path, "\n".join(lines) + "\n")


def ends(pairs):
    return [(pair.chosen[0], pair.rejected[0]) for pair in pairs]


@pytest.mark.parametrize("name", ["scores.csv", "scores.jsonl"])
def test_scored_clips_of_a_prompt_are_paired_by_margin(tmp_path, name):
    path = scored_file(tmp_path / name)  # Overall: a 1.5, b 0.8, c 1.0, d 0.0
    found = read_preferences(path)
    assert found.format == "scored_clips" and ends(found) == [("a", "b"), ("a", "c"), ("c", "b")]
    assert ends(read_preferences(path, margin=0.3)) == [("a", "b"), ("a", "c")]
    assert ends(read_preferences(path, margin=0.3, dimension="VQ")) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].source.columns == {"id_A": "a", "id_B": "b"} and found[0].scores_rejected["VQ"] == 0.2


def test_best_worst_gives_one_pair_a_prompt_and_all_gives_ties_too(tmp_path):
    path = scored_file(tmp_path / "scores.csv")
    assert ends(read_preferences(path, pairing="best_worst")) == [("a", "b")]
    assert ends(read_preferences(path, pairing="best_worst", dimension="MQ")) == [("c", "a")]
    every = read_preferences(path, pairing="all", margin=0.6)
    assert ends(every) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert every[0].labels == {"VQ": "A", "MQ": "same", "TA": "same", "Overall": "A"}
    assert every[2].labels == {"VQ": "A", "MQ": "B", "TA": "same", "Overall": "same"}


def test_every_margin_pair_is_won_by_more_than_the_margin_and_none_is_left_out():
    clips = [ScoredClip(f"{i}.mp4", f"p{i % 3}", {"VQ": ((i * 37) % 23) / 7}) for i in range(24)]
    pairs = pair_clips(clips, dimension="VQ", margin=0.5)
    expected = {
        (x.path, y.path) for x in clips for y in clips if x.prompt == y.prompt and x.scores["VQ"] - y.scores["VQ"] > 0.5
    }
    assert {(p.chosen, p.rejected) for p in pairs} == expected and len(pairs) == len(expected)


def test_the_sum_of_the_three_scores_is_overall_where_the_file_has_none(tmp_path):
    path = put(tmp_path / "s.csv", "path,prompt,VQ,MQ,TA\na.mp4,x,1,1,1\nb.mp4,x,4,0,0\n")
    assert ends(read_preferences(path)) == [("b", "a")]


@pytest.mark.parametrize(("score", "told"), [("", "no score"), ("nan", "finite number"), ("failed", "finite number")])
def test_a_clip_that_was_not_scored_is_an_error_that_names_it(tmp_path, score, told):
    path = put(tmp_path / "s.csv", f"path,prompt,VQ\na.mp4,x,1\nb.mp4,x,{score}\n")
    with pytest.raises(PreferenceFileError, match=rf"row 2 \(line 3\), column 'VQ': .*{told}"):
        read_preferences(path, dimension="VQ")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ["s.csv", "s.jsonl"])
def test_rows_that_carry_an_error_are_told_and_left_out(tmp_path, capsys, name, first):
    scored = [
        {"path": f"{clip}.mp4", "prompt": "x", "VQ": score, "error": None} for clip, score in (("a", 1), ("b", 2))
    ]
    failed = {"path": "c.mp4", "prompt": "x", "error": "c.mp4 is empty."}
    rows = [failed, *scored] if first else [*scored, failed]
    if name.endswith("csv"):
        lines = [f"{row['path']},x,{row.get('VQ', '')},{row['error'] or ''}" for row in rows]
        path = put(tmp_path / name, "\n".join(["path,prompt,VQ,error", *lines]) + "\n")
    else:
        path = put_lines(tmp_path / name, rows)
    assert ends(read_preferences(path, dimension="VQ")) == [("b", "a")]
    assert (
        "1 of 3 clips have no scores and are left out." in (said := capsys.readouterr().err)
        and "c.mp4 is empty" in said
    )
    with pytest.raises(PreferenceFileError, match=r"no clip has scores.*c\.mp4 is empty"):
        read_preferences(put_lines(tmp_path / "none.jsonl", [failed]))


def test_scores_that_give_no_pair_say_why(tmp_path):
    path = put(tmp_path / "s.csv", "path,prompt,Overall\na.mp4,x,1\nb.mp4,y,2\n")
    with pytest.raises(PreferenceFileError, match="2 clips of 2 prompts give no pair"):
        read_preferences(path)
    for options, told in (
        ({"pairing": "best"}, "pairing 'best'"),
        ({"margin": -1}, "margin"),
        ({"dimension": "X"}, "'X'"),
    ):
        with pytest.raises(ValueError, match=told):
            read_preferences(path, **options)


def test_a_file_of_0_1_0_whose_paths_start_at_the_folder_that_it_was_written_from_is_read_there(tmp_path, monkeypatch):
    work = tmp_path / "work"
    for folder in (work / "clips", work / "out"):
        folder.mkdir(parents=True)
    for name in "ab":
        (work / "clips" / f"{name}.mp4").write_bytes(b"clip")
    rows = [{"path": f"clips/{name}.mp4", "prompt": "x", "VQ": score} for name, score in (("a", 1.0), ("b", 0.0))]
    file = work / "out" / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(work)
    read = read_scored_pairs(file, dimension="VQ")
    read.check_clips()
    (work / "out" / "clips").mkdir()
    for name in "ab":  # beside the file, too: then these are meant
        (work / "out" / "clips" / f"{name}.mp4").write_bytes(b"clip")
    assert read_scored_pairs(file, dimension="VQ").clip(0, "chosen").resolve() == work / "out" / "clips" / "a.mp4"
    assert read_scored_pairs(file, tmp_path, dimension="VQ").root == tmp_path  # a root that is given counts


@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize("pairing", ["margin", "dominance"])
def test_the_clearest_pairs_of_a_prompt_are_those_of_all_pairs_and_no_others_are_made(monkeypatch, pairing, digits):
    from videoalign.preferences.importers import scored_clips
    from videoalign.preferences.pairs_command import clearest

    draw = random.Random(0)
    names = ("VQ", "MQ", "TA")
    clips = [
        scored_clips.ScoredClip(f"{prompt}_{number}.mp4", prompt, dict(zip(names, draws, strict=True)))
        for prompt in ("a", "b")
        for number in range(30)
        for draws in [
            [round(draw.gauss(0, 1), digits) for _ in names]
        ]  # whole numbers: many couples are equally far apart
    ]
    weights = {"VQ": 0.5, "MQ": 1.0, "TA": 0.25}
    every = scored_clips.pair_clips(clips, pairing=pairing, weights=weights, margin=0.1)
    made = []
    build = scored_clips._pair
    monkeypatch.setattr(scored_clips, "_pair", lambda *given: made.append(1) or build(*given))
    few = scored_clips.pair_clips(clips, pairing=pairing, weights=weights, margin=0.1, most=10)
    assert few == clearest(every, weights, 10)
    assert len(made) == len(few) == 20 < len(every)


def test_the_clearest_pairs_of_many_clips_of_one_prompt_never_hold_all_couples():
    """Of 2,000 clips they are two million, a couple alone 64 bytes."""
    from videoalign.preferences.importers.scored_clips import ScoredClip, pair_clips

    draw = random.Random(0)
    clips = [ScoredClip(f"{number}.mp4", "a", {"VQ": draw.gauss(0, 1)}) for number in range(2000)]
    tracemalloc.start()
    pairs = pair_clips(clips, weights={"VQ": 1.0}, most=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    order = sorted(clips, key=lambda clip: clip.scores["VQ"])
    leads = sorted((high.scores["VQ"] - low.scores["VQ"] for high in order[-3:] for low in order[:3]), reverse=True)
    got = [pair.scores_chosen["VQ"] - pair.scores_rejected["VQ"] for pair in pairs]
    assert sorted(got, reverse=True) == leads[:3]
    assert peak < 2_000_000
