"""Tables after public bug reports, and others of their kind: through the commands, against Python's csv in strict mode or a value by hand."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from videoalign.errors import TableError
from videoalign.files.tables import read_table
from videoalign.generation.prompts import read_prompts
from videoalign.preferences.choices.candidates import read_candidates
from videoalign.preferences.importers.scored_clips import read_scored_clips
from videoalign.preferences.reading import read_pairs, read_preferences


@pytest.fixture
def table(field_cases, small_clips):
    """Copy a table beside the clips a.mp4 to d.mp4; returns its path."""

    def put(name, text=None):
        path = small_clips / name
        if text is None:
            shutil.copy(field_cases / "tables" / name, path)
        else:
            path.write_text(text, encoding="utf-8", newline="")
        return path

    return put


def refused(call, *arguments):
    with pytest.raises(TableError) as caught:
        call(*arguments)
    return str(caught.value)


def strict(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True))


@pytest.mark.parametrize("name", ["fpsnan.csv", "fpsnan.jsonl"])
def test_a_rate_that_is_no_number_is_its_rows_error_and_the_output_is_written(table, score, tmp_path, name):
    rows = '{"path": "a.mp4", "prompt": "a red circle", "fps": NaN}\n{"path": "b.mp4", "prompt": "a red circle", "fps": ""}\n'
    manifest = table(name, rows if name.endswith("jsonl") else None)
    first = score("--manifest", manifest, "--output", tmp_path / "out.csv")
    assert first.status == 1 and "1 of 2 rows failed" in first.err
    failed, scored = strict(tmp_path / "out.csv")
    assert failed["VQ"] == "" and "nan" in failed["error"] and scored["error"] == "" and float(scored["VQ"])
    again = score("--manifest", manifest, "--output", tmp_path / "out.csv")
    assert again.status == 1 and "1 of 2 rows are done" in again.err
    assert strict(tmp_path / "out.csv") == [failed, scored]
    plain = score("--manifest", manifest)
    assert plain.status == 1


def test_a_clip_that_no_decoder_knows_fails_alone(table, field_cases, small_clips, score, tmp_path):
    manifest = table("unk.csv")
    shutil.copy(field_cases / "video" / "unknown_fourcc.mp4", small_clips / "unk.mp4")
    done = score("--manifest", manifest, "--output", tmp_path / "out.jsonl")
    assert done.status == 1
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert ["error" in row for row in rows] == [False, True, False]


def test_columns_in_other_case_are_taken(table, score):
    (row,) = score("--manifest", table("mixed.csv"), "--json").rows
    assert row["prompt"] == "a red circle" and row["fps"] == 8 and row["TA"] is not None
    assert "columns 'prompt' and 'Prompt' are one name" in refused(
        read_table, table("two.csv", "path,prompt,Prompt\na.mp4,x,y\n"), ("prompt",)
    )


@pytest.mark.parametrize(
    "name", ["array_pretty.json", "one_line.json", "lines.json", "l.ndjson", "t.tsv", "excel.csv", "M.CSV"]
)
def test_the_same_rows_are_read_from_every_kind(table, score, name):
    texts = {
        "one_line.json": '[{"path": "a.mp4", "prompt": "x"}]',
        "lines.json": '{"path": "a.mp4", "prompt": "x"}\n',
        "l.ndjson": '{"path": "a.mp4", "prompt": "x"}\n',
        "t.tsv": "path\tprompt\na.mp4\tx\n",
        "excel.csv": "\ufeffpath;prompt\r\na.mp4;x\r\n",
    }
    path = table(name, texts.get(name))
    (row,) = score("--manifest", path, "--json").rows
    assert (row["id"], row["prompt"]) == ("a.mp4", "x") and "error" not in row
    (candidate,) = read_candidates(path.parent, path)
    assert candidate.prompt == "x" and candidate.path.is_file()


def test_a_prompt_is_not_cut_at_its_comma(table, videoalign, tmp_path):
    path = table("p_comma.csv")
    done = videoalign("generate", path, "--output", tmp_path / "made")
    assert done.status == 1 and "row 1 (line 2): 2 cells under 1 columns" in done.err and "double quotes" in done.err
    assert not (tmp_path / "made").exists()
    assert read_prompts(table("q.csv", 'prompt\n"a red circle, moving left"\n')) == ["a red circle, moving left"]


@pytest.mark.parametrize(
    "text",
    [None, 'path_A,path_B,VQ,prompt\na.mp4,b.mp4,A,"a fox\n', 'path_A,path_B,VQ,prompt\na.mp4,b.mp4,A,"a \\"red\\" fox"\na.mp4,c.mp4,B,x\n',
     'path_A,path_B,VQ,prompt\na.mp4,b.mp4,A,"a"fox\n'],
)  # fmt: skip
def test_a_quote_that_stays_open_swallows_no_row(table, text):
    path = table("openq_last.csv" if text is None else "q.csv", text)
    with pytest.raises(csv.Error):
        strict(path)
    message = refused(read_preferences, path)
    assert "row 1 (line 2)" in message and 'written twice: ""' in message
    if text is None:
        assert "column 'prompt'" in message


def test_a_clip_is_no_pair_with_itself(table, videoalign, tmp_path):
    path = table("sc_dup.csv")
    done = videoalign("pairs", path, "--output", tmp_path / "p.jsonl")
    assert done.status == 1 and "row 2 (line 3), column 'path': row 1 has other scores of a.mp4" in done.err
    same = table("same.csv", "path,prompt,VQ,MQ,TA\na.mp4,x,1,2,3\n./a.mp4,x,1.0,2,3\nb.mp4,x,0,1,2\n")
    assert [clip.path for clip in read_scored_clips(same)] == ["a.mp4", "b.mp4"]  # said twice, counted once


SELF_PAIRS = {
    "native.jsonl": '{"prompt": "x", "chosen": "a.mp4", "rejected": "./a.mp4"}\n',
    "videoalign.csv": "path_A,path_B,prompt,VQ\nb.mp4,a.mp4,x,A\na.mp4,a.mp4,x,A\n",
    "genai.jsonl": '{"prompt": "x", "left_video": "a.mp4", "right_video": "a.mp4", "vote_type": "leftvote"}\n',
    "vision.jsonl": '{"prompt": "x", "video1_path": "a.mp4", "video2_path": ".\\\\a.mp4", "standard_answer": 1}\n',
    "pair.json": '[{"video1": 0, "video2": 0, "frame_caption": "x"}]',
}


@pytest.mark.parametrize("name", SELF_PAIRS)
def test_no_preference_file_holds_a_pair_of_a_clip_with_itself(table, videoalign, tmp_path, name):
    path = table(name, SELF_PAIRS[name])
    table("metadata.json", '[{"basic": {"clip_path": "a.mp4", "clip_duration": 2.0}}]')
    for call in (read_preferences, lambda file: read_pairs([file])):
        message = refused(call, path)
        assert str(path) in message and "both clips are" in message and "row" in message
    for command in (
        ("choose", "export", path, "--output", tmp_path / "e.csv"),
        ("bench", path, "--scores", path, "--output", tmp_path / "b"),
    ):
        done = videoalign(*command)
        assert done.status == 1 and "both clips are" in done.err, done


def test_a_seed_written_as_a_float_is_a_whole_number(table, videoalign, tmp_path):
    path = table("floatseed.csv")
    assert [(one.seed, one.num_frames) for one in read_candidates(path.parent, path)] == [(7, 49), (8, 49)]
    assert [int(float(row["seed"])) for row in strict(path)] == [7, 8]
    half = table("half.csv", "path,prompt,seed\na.mp4,x,7.5\n")
    assert "column 'seed': found '7.5'; expected a whole number" in refused(read_candidates, half.parent, half)


@pytest.mark.parametrize("answer", ["1", '"1"', "1.0", '"video1"', '"A"'])
def test_an_answer_is_a_number_or_its_text(table, answer):
    path = (
        table("vr.jsonl")
        if answer == "1"
        else table(
            "o.jsonl", f'{{"prompt":"x","video1_path":"a.mp4","video2_path":"b.mp4","standard_answer":{answer}}}'
        )
    )
    (pair,) = read_preferences(path)
    assert (pair.chosen, pair.labels) == ("a.mp4", {"Overall": "A"})


@pytest.mark.parametrize("name", ["M.CSV", "mixed.csv", "floatseed.csv", "sc_dup.csv", "fpsnan.csv", "unk.csv"])
def test_our_reader_agrees_with_pythons_strict_one(field_cases, name):
    path = field_cases / "tables" / name
    assert [dict(row.cells) for row in read_table(path)] == strict(path)


def test_every_field_case_has_a_test(field_cases):
    source = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in (field_cases / "tables").iterdir() if f'"{path.name}"' not in source] == []


FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://x")',
    "+49 balls",
    "-",
    "- a cat",
    "@SUM(A1)",
    "\t=x",
    "''=x",
    "\uff1d1",
    "a cat",
]


def runs_in_a_spreadsheet(cell):
    """A cell that begins like a formula and is no number."""
    try:
        float(cell)
    except ValueError:
        return cell[:1] in tuple("=+-@\t\r\n\uff1d")
    return False


def test_no_writer_of_tables_writes_what_a_spreadsheet_runs_and_all_read_it_back(table, score, videoalign, tmp_path):
    lines = [{"path": f"{name}.mp4", "prompt": prompt, "id": f"{prompt}{name}"} for prompt in FORMULAS for name in "ab"]
    manifest = table("rows.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    assert score("--manifest", manifest, "--output", tmp_path / "scores.csv").status == 0
    assert videoalign("pairs", tmp_path / "scores.csv", "--output", tmp_path / "pairs.jsonl").status == 0
    assert videoalign("choose", "export", tmp_path / "pairs.jsonl", "--output", tmp_path / "export.csv").status == 0
    done = videoalign(
        "bench", tmp_path / "export.csv", "--scores", tmp_path / "scores.csv", "--output", tmp_path / "bench"
    )
    assert done.status == 0, done.err
    written = [tmp_path / "scores.csv", tmp_path / "export.csv", *(tmp_path / "bench").glob("*.csv")]
    assert len(written) == 4
    for path in written:
        for row in strict(path):
            assert not [cell for cell in (*row, *row.values()) if runs_in_a_spreadsheet(cell)], path
        assert {row.text("prompt") for row in read_table(path)} == set(FORMULAS), path
    assert {pair.prompt for pair in read_preferences(tmp_path / "pairs.jsonl")} == set(FORMULAS)
