"""The command that makes all tables about the micro family: complete, and it goes on where it was stopped."""

import argparse
import importlib
import re

import evidence
import pytest
from machine import REPOSITORY
from results_section import RESULTS, headings


def test_every_section_about_the_micro_family_has_its_command():
    made = set()
    for table in evidence.TABLES:
        script = importlib.import_module(table.script)
        made |= {value for name, value in vars(script).items() if name.startswith("HEADING")}
    about = {title for title in headings(RESULTS) if re.search(r"\bmicro\b|in kind", title)}
    elsewhere = {"The micro latent reward", "What reward guidance costs: the micro model"}  # its recipe; a cost
    assert about - elsewhere <= made


def test_the_commands_options_are_those_of_the_scripts(monkeypatch, tmp_path, capsys):
    for table in evidence.TABLES:
        words = evidence.command(table, tmp_path)[2:]
        text = (REPOSITORY / "benchmarks" / f"{table.script}.py").read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words if word.startswith("--")), table.name


def test_the_rows_of_the_ablation_are_asked_for_where_its_file_is_given(tmp_path):
    table = evidence.Table("one", "good", 1.0, ("FOLDER", "--clean", "CLEAN", "--clips", "3"))
    own, clean = tmp_path / "own", tmp_path / "clean.safetensors"
    assert evidence.command(table, own)[2:] == [str(own), "--clips", "3"]
    assert evidence.command(table, own, clean)[2:] == [str(own), "--clean", str(clean), "--clips", "3"]


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Two tables of scripts that note that they ran; the second fails until a file is there."""
    (tmp_path / "benchmarks").mkdir()
    for name, end in (("good", ""), ("bad", "raise SystemExit(not pathlib.Path('mended').exists())")):
        lines = ["import pathlib, sys", "file = pathlib.Path('ran')"]
        lines.append(
            f"file.write_text((file.read_text() if file.exists() else '') + '{name} ' + ' '.join(sys.argv[1:]) + ';')"
        )
        (tmp_path / "benchmarks" / f"{name}.py").write_text("\n".join([*lines, end]), encoding="utf-8")
    monkeypatch.setattr(evidence, "REPOSITORY", tmp_path)
    return tmp_path, [evidence.Table("one", "good", 1.0, ("--clips", "3")), evidence.Table("two", "bad", 1.0)]


def test_what_is_finished_is_not_made_again_and_what_failed_is(scripts):
    folder, tables = scripts
    options = argparse.Namespace(write=False, results=None, clean=None)
    assert evidence.make(folder / "kept", tables, options) == ["two"]
    assert evidence.make(folder / "kept", tables, options) == ["two"]
    (folder / "mended").touch()
    assert evidence.make(folder / "kept", tables, options) == []
    assert (folder / "ran").read_text() == "good --clips 3;bad ;bad ;bad ;"


def test_other_weights_are_another_state(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    before = evidence.family_state([file])
    file.write_bytes(b"another")
    assert evidence.family_state([file]) != before
