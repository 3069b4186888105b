"""Tables of every kind are read right, or refused with the file, the row, the column and the remedy."""

import csv
import io
import json
import math

import pytest

from videoalign.errors import TableError
from videoalign.files.csv_text import csv_text
from videoalign.files.tables import read_table

COLUMNS = ("path", "prompt", "fps", "seed")
PROMPTS = [
    'a cat, a "dog", and\na bird', "line\r\nbreak", "separators \u2028 \u0085 \x0b \x0c", " leading and trailing ", "猫 🎈",
    "=1+1", "+49 red balls", "-", "- a cat", "@home", "\t=x", "''=x", "''''-y", "'=x", "'", "-0.5", "'tis", "-1e5", "=", "''",
]  # fmt: skip


def put(path, text, encoding="utf-8"):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def cells(path, **options):
    return [dict(row.cells) for row in read_table(path, COLUMNS, **options)]


def refused(path, **options):
    with pytest.raises(TableError) as caught:
        read_table(path, COLUMNS, **options)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text and len(text) < 600
    return text


ROWS = [{"path": "a.mp4", "prompt": "x"}, {"path": "b.mp4", "prompt": "y"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path,prompt\na.mp4,x\nb.mp4,y\n"),
        ("t.CSV", "path,prompt\r\na.mp4,x\r\n\r\nb.mp4,y"),
        ("t.csv", "\ufeffpath;prompt\r\na.mp4;x\r\nb.mp4;y\r\n;\r\n"),
        ("t.csv", "sep=;\r\npath;prompt\r\na.mp4;x\r\nb.mp4;y\r\n"),
        ("t.csv", "path\tprompt\na.mp4\tx\nb.mp4\ty\n"),
        ("t.csv", "path, prompt\na.mp4, x\nb.mp4, y\n"),
        ("t.csv", "Path,PROMPT \na.mp4,x\nb.mp4,y\n"),
        ("t.csv", "path,prompt\ra.mp4,x\rb.mp4,y\r"),
        ("t.csv", 'path,prompt\na.mp4, "x"\nb.mp4, "y"\n'),
        ("t.csv", ",path,prompt\n0,a.mp4,x\n1,b.mp4,y\n"),
        ("t.csv", "path,prompt,\na.mp4,x,\nb.mp4,y,\n"),
        ("t.tsv", "path\tprompt\na.mp4\tx\nb.mp4\ty\n"),
        ("t.json", json.dumps(ROWS)),
        ("t.json", "\ufeff" + json.dumps(ROWS, indent=2)),
        ("t.json", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("t.JSONL", "".join(json.dumps(row) + "\r\n\r\n" for row in ROWS)),
        ("t.ndjson", "\n".join(json.dumps(row) for row in ROWS)),
        ("t.jsonl", json.dumps(ROWS)),
        ("t.jsonl", '{"Path": "a.mp4", "prompt": "x"}\n{"path": "b.mp4", "Prompt": "y"}'),
    ],
)
def test_every_kind_of_table_is_read(tmp_path, name, text):
    assert cells(put(tmp_path / name, text)) == ROWS


def test_prompts_come_back_as_they_were_from_every_form(tmp_path):
    rows = [{"path": "a.mp4", "prompt": prompt} for prompt in PROMPTS]
    quoted = io.StringIO(newline="")
    csv.writer(quoted, quoting=csv.QUOTE_ALL).writerows(
        [["path", "prompt"], *(["a.mp4", row["prompt"]] for row in rows)]
    )
    unguarded = [row for row in rows if not row["prompt"].startswith("''")]
    for name, text, expected in (
        ("own.csv", csv_text(rows, ["path", "prompt"]), rows),
        ("raw.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), rows),
        ("list.json", json.dumps(rows), rows),
    ):
        assert cells(put(tmp_path / name, text)) == expected, name
    found = cells(put(tmp_path / "theirs.csv", quoted.getvalue()))
    assert [row for row in found if row in unguarded] == unguarded  # other programs' files, but for our own sign


def test_a_column_whose_name_is_a_formula_comes_back_as_it_was(tmp_path):
    rows = [{"=a": "x", "\uff1db": "\uff0b1", "c": "\u2212"}]
    text = csv_text(rows, ["=a", "\uff1db", "c"])
    assert text.splitlines() == ["''=a,''\uff1db,c", "x,''\uff0b1,\u2212"]
    (row,) = read_table(put(tmp_path / "t.csv", text))
    assert dict(row.cells) == rows[0]


def test_a_cell_of_any_length_is_read_whole_and_pythons_limit_is_as_before(tmp_path):
    before, long = csv.field_size_limit(), 'a "cat", ' * 40_000
    text = csv_text([{"path": "a.mp4", "prompt": long}], ["path", "prompt"])
    assert cells(put(tmp_path / "t.csv", text)) == [{"path": "a.mp4", "prompt": long}]
    assert csv.field_size_limit() == before


def test_lists_that_are_many_and_not_deep_are_read(tmp_path):
    rows = [{"path": "a.mp4", "boxes": [[[1]] * 200]}]
    assert cells(put(tmp_path / "t.json", json.dumps(rows))) == rows


def test_an_id_that_is_not_a_number_is_none(tmp_path):
    (row,) = read_table(put(tmp_path / "t.jsonl", '{"id": NaN, "name": Infinity, "n": 7}'))
    assert row.text_or_none("n") == "7"
    for column in ("id", "name"):
        with pytest.raises(TableError, match="must be text or a number"):
            row.text_or_none(column)


def test_no_text_is_written_that_a_spreadsheet_runs_and_numbers_stay_numbers():
    rows = [{"prompt": prompt, "score": -0.25} for prompt in PROMPTS]
    for prompt, score in csv.reader(io.StringIO(csv_text(rows, ["prompt", "score"], header=False), newline="")):
        assert score == "-0.25"
        if prompt[:1] in tuple("=+-@\t\r\n"):
            float(prompt)
    assert csv_text([{"a": None}, {"b": 1}], ["a", "b"]) == "a,b\n,\n,1\n"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("t.csv", "path,prompt\na.mp4,x\nb.mp4,a cat, running\n", "row 2 (line 3): 3 cells under 2 columns"),
        ("t.csv", "path,prompt\na.mp4\n", "row 1 (line 2): 1 cells under 2 columns"),
        ("t.csv", "path,prompt,\na.mp4,a cat, running\n", "under no column name"),
        ("t.csv", 'path,prompt\na.mp4,"x\nb.mp4,y\n', "row 1 (line 2), column 'prompt': not valid CSV"),
        ("t.csv", 'path,prompt\na.mp4,x\nb.mp4,"y', "row 2 (line 3), column 'prompt': not valid CSV"),
        ("t.csv", 'path,prompt\na.mp4,"a \\"red\\" fox"\n', "row 1 (line 2)"),
        ("t.csv", "path,prompt,prompt\na,b,c\n", "column 'prompt' occurs twice"),
        ("t.csv", "path,prompt,Prompt\na,b,c\n", "columns 'prompt' and 'Prompt' are one name"),
        ("t.csv", "path,prompt\na,b\npath,prompt\nc,d\n", "row 2 (line 3): the header line stands there again"),
        ("t.csv", 'path,prompt\na,"' + "x" * 200_000 + "\n", "row 1 (line 2), column 'prompt': not valid CSV"),
        ("t.csv", "", "the file is empty"),
        ("t.csv", b"path,prompt\na.mp4,\xe4\n", "not UTF-8"),
        ("t.csv", "path,prompt\na.mp4,x\n".encode("utf-16"), "not UTF-8"),
        ("t.xlsx", "PK", "files of type .xlsx cannot be read"),
        ("t.jsonl", '{"path": "a"}\n{"path": \n', "line 2: not valid JSON"),
        ("t.jsonl", '{"path": "a"}\n["a"]\n', "row 2 (line 2): found list; expected a JSON object"),
        ("t.jsonl", '{"path": "a", "path": "b"}\n', "line 1: not usable as JSON (the key 'path' occurs twice"),
        ("t.jsonl", '{"path": "a", "Path": "b"}\n', "columns 'path' and 'Path' are one name"),
        ("t.jsonl", '{"path": ' + "[" * 100_000 + "}\n", "line 1"),
        ("t.jsonl", '{"path": "a", "seed": ' + "1" * 5000 + "}\n", "line 1: not usable as JSON"),
        ("t.json", "{}", "expected a JSON list"),
        ("t.json", '{"path": "a",\n "prompt": "x"}', "found dict; expected a JSON list"),
        ("t.json", "[\n{},\n{\n]", "line 4: not valid JSON"),
        ("t.json", "[" * 100_000, "nested too deeply"),
        ("t.json", '[{"path": ' + "[" * 200 + "]" * 200 + "}]", "nested too deeply"),
        (
            "t.jsonl",
            '{"path": ' + '{"a": ' * 200 + "1" + "}" * 201,
            "line 1: not usable as JSON (it is nested too deeply)",
        ),
        ("t.csv", csv_text([{"=x": "y"}], ["=x"]) + "''=x\n", "row 2 (line 3): the header line stands there again"),
    ],
)
def test_what_cannot_be_read_right_is_refused_with_its_row(tmp_path, name, text, told):
    assert told in refused(put(tmp_path / name, text))


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    assert "there is no such file" in refused(tmp_path / "t.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "cannot be read" in refused(tmp_path / "folder.csv")


def test_the_half_line_of_a_growing_file_is_left_out_and_elsewhere_refused(tmp_path):
    path = put(tmp_path / "t.jsonl", '{"path": "a"}\n{"pa')
    assert cells(path, growing=True) == [{"path": "a"}]
    assert "line 2: not valid JSON" in refused(path)
    assert "line 1" in refused(put(path, '{"pa\n{"path": "a"}\n'), growing=True)


def test_a_bare_text_stands_for_the_column_that_was_named(tmp_path):
    assert cells(put(tmp_path / "t.json", '["x", {"prompt": "y"}]'), text_column="prompt") == [
        {"prompt": "x"},
        {"prompt": "y"},
    ]


@pytest.mark.parametrize("value", [7, 7.0, "7", "7.0", " 7 ", "+7", "7e0"])
def test_a_whole_number_is_one_however_it_is_spelled(tmp_path, value):
    (row,) = read_table(put(tmp_path / "t.jsonl", json.dumps({"seed": value})))
    assert row.integer_in("seed") == 7 and isinstance(row.integer_in("seed"), int)
    assert row.number_in("seed") == 7.0


def test_whole_numbers_keep_every_digit(tmp_path):
    large = 2**63 + 1
    first, second = read_table(put(tmp_path / "t.jsonl", f'{{"seed": {large}}}\n{{"seed": "{large}"}}'))
    assert first.integer_in("seed") == second.integer_in("seed") == large
    (empty,) = read_table(put(tmp_path / "t.jsonl", '{"seed": null, "fps": ""}'))
    assert empty.integer_in("seed") is empty.integer_in("none") is empty.number_in("fps") is None


@pytest.mark.parametrize("value", ["x", "7.5", 7.5, True, [7], "1e999", "nan", "1" * 5000, 1e300, "7_0", "0x7"])
def test_what_is_no_whole_number_is_refused_with_its_place(tmp_path, value):
    (row,) = read_table(put(tmp_path / "t.jsonl", json.dumps({"seed": value})))
    with pytest.raises(
        TableError, match=r"t\.jsonl, row 1 \(line 1\), column 'seed': found .* expected a whole number"
    ) as caught:
        row.integer_in("seed")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "value", ["x", "nan", "inf", "-Infinity", "1e999", math.nan, math.inf, True, [1], "0,5", 10**400]
)
def test_what_is_no_finite_number_is_refused_with_its_place(tmp_path, value):
    (row,) = read_table(put(tmp_path / "t.jsonl", json.dumps({"fps": value})))
    with pytest.raises(TableError, match=r"column 'fps': found .* expected a finite number or nothing") as caught:
        row.number_in("fps")
    assert len(str(caught.value)) < 400 and ("point: 0.5" in str(caught.value)) == (value == "0,5")


def test_a_terminals_escapes_are_not_told_raw(tmp_path):
    (row,) = read_table(put(tmp_path / "t.jsonl", json.dumps({"fps": "\x1b[2J"})))
    with pytest.raises(TableError) as caught:
        row.number_in("fps")
    assert "\x1b" not in str(caught.value)


def test_a_choice_may_be_a_number(tmp_path):
    first, second = read_table(put(tmp_path / "t.jsonl", '{"answer": 1}\n{"answer": true}'))
    assert first.choice("answer", {"1": "A"}) == "A"
    with pytest.raises(TableError, match="allowed: 1"):
        second.choice("answer", {"1": "A"})
