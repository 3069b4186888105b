"""Prompt files: every prompt whole, and nothing taken for a prompt that is none."""

import json

import pytest

from videoalign.errors import TableError
from videoalign.generation.prompts import read_prompts

PROMPTS = ["a red circle, moving left", "one \u2028 prompt \x0c of \u0085 one line", "猫"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "# a remark\n" + "\r\n".join(PROMPTS) + "\n\n"),
        ("p", "\n".join(PROMPTS)),
        ("p.json", json.dumps(PROMPTS)),
        ("p.json", json.dumps([{"prompt": prompt} for prompt in PROMPTS], indent=1)),
        ("p.jsonl", "\n".join(json.dumps({"prompt": prompt}, ensure_ascii=False) for prompt in PROMPTS)),
        ("p.CSV", "Prompt\n" + "".join(f'"{prompt}"\n' for prompt in PROMPTS)),
        ("p.tsv", "id\tprompt\n" + "".join(f"1\t{prompt}\n" for prompt in PROMPTS)),
    ],
)
def test_prompts_are_read_whole_from_every_kind_of_file(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    assert read_prompts(tmp_path / name) == PROMPTS


def test_a_prompt_may_begin_with_the_sign_of_a_remark_and_help_says_how(tmp_path, videoalign):
    (tmp_path / "p.txt").write_text("# a remark\n\\# a prompt\n  \\#1 fan\n\\\\# two\n \t# remark\n", encoding="utf-8")
    assert read_prompts(tmp_path / "p.txt") == ["# a prompt", "#1 fan", "\\\\# two"]
    help_text = " ".join(videoalign("generate", "--help").out.split())
    assert "begins with # is a remark" in help_text


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".toml", ".md", ".xlsx", ".parquet", ".YAML"])
def test_files_that_are_no_list_of_prompts_are_refused_by_name(tmp_path, ending):
    (tmp_path / f"p{ending}").write_text("- a\n", encoding="utf-8")
    with pytest.raises(TableError, match="is no list of prompts"):
        read_prompts(tmp_path / f"p{ending}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "cp1252"])
@pytest.mark.parametrize("name", ["p.txt", "p.csv", "p.tsv", "p.json", "p.jsonl"])
def test_other_encodings_are_refused_with_their_remedy(tmp_path, encoding, name):
    text = {"csv": "prompt\nbär\n", "tsv": "prompt\nbär\n", "txt": "bär\n"}.get(name[2:], '[{"prompt": "bär"}]')
    (tmp_path / name).write_bytes(text.encode(encoding))
    with pytest.raises(TableError, match=r"not UTF-8 text.*Save it as UTF-8"):
        read_prompts(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("p.csv", "prompt\na red circle, moving left\n", r"row 1 \(line 2\): 2 cells under 1 columns"),
        ("p.csv", 'prompt\n"a red circle\nb\n', r"row 1 \(line 2\), column 'prompt': not valid CSV"),
        ("p.csv", "caption\nx\n", r"column 'prompt' is missing; found caption"),
        ("p.jsonl", '{"prompt": "  "}\n', "column 'prompt': found '  '; expected text"),
        ("p.yaml", "- a\n- b\n", r"is no list of prompts: a \.yaml file is not read"),
        ("p.txt", '{"prompt": "a"}\n{"prompt": "b"}\n', r"looks like JSON.*Name it \.json or \.jsonl"),
        ("p.txt", '[\n"a",\n"b"\n]\n', "looks like JSON"),
        ("p.txt", "# nothing\n", "holds no prompt"),
        ("p.txt", b"\xff\xfea", "not UTF-8"),
    ],
)
def test_what_is_no_list_of_prompts_is_refused(tmp_path, name, text, told):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TableError, match=told):
        read_prompts(tmp_path / name)
