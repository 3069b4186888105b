"""A benchmark's section of RESULTS.md: what it prints, and that writing it changes nothing else."""

import argparse
import io
import re
import sys

import pytest
from machine import REPOSITORY, command_line
from results_section import Section, headings, write_section

BEFORE = "# Measured\n\nWords  with trailing blanks  \n\n## First\n\n```\n## in code\n```\n\n"
SECTION = "## Second\n\nold\n\n### a part\n\nold\n\n"
AFTER = "## Second and more\n\n| a |\n|---|\n\n\n## Third\n\nno line end at the end"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_only_the_section_with_the_heading_is_replaced_and_the_rest_stays_byte_for_byte(tmp_path, line_end):
    file = tmp_path / "RESULTS.md"
    before, old, after = (text.replace("\n", line_end).encode() for text in (BEFORE, SECTION, AFTER))
    file.write_bytes(before + old + after)
    write_section(file, "Second", "## Second\n\nnew\n")
    assert file.read_bytes() == before + f"## Second{line_end}{line_end}new{line_end}{line_end}".encode() + after
    assert headings(file) == ["First", "Second", "Second and more", "Third"]


def test_the_last_section_is_replaced_up_to_the_end_of_the_file(tmp_path):
    file = tmp_path / "RESULTS.md"
    file.write_bytes((BEFORE + SECTION + AFTER).encode())
    write_section(file, "Third", "## Third\n\nnew\n")
    assert file.read_bytes() == (BEFORE + SECTION + AFTER).encode().replace(b"no line end at the end", b"new\n")


def test_a_new_section_goes_to_the_end_after_an_empty_line(tmp_path):
    file = tmp_path / "RESULTS.md"
    file.write_bytes(AFTER.encode())
    write_section(file, "in code", "## in code\n\nnew\n")
    assert file.read_bytes() == AFTER.encode() + b"\n\n## in code\n\nnew\n"


def test_two_sections_with_the_heading_are_refused_and_nothing_is_written(tmp_path):
    file = tmp_path / "RESULTS.md"
    content = (SECTION + SECTION).encode()
    file.write_bytes(content)
    with pytest.raises(ValueError, match="2 sections with the heading 'Second'"):
        write_section(file, "Second", "## Second\n")
    assert file.read_bytes() == content


def test_a_run_that_fails_prints_its_rows_and_writes_nothing(tmp_path, monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    options = argparse.Namespace(write=True, results=tmp_path / "RESULTS.md")
    with pytest.raises(KeyboardInterrupt), Section("Second", options) as section:
        section.table("name", "value")
        section.row("a | b", 1.005)
        print("chatter")
        raise KeyboardInterrupt
    assert output.getvalue().endswith("| name | value |\n|---|---:|\n| a \\| b | 1.00 |\n")
    assert not options.results.exists()


def test_aims_are_met_within_their_limits_alone(tmp_path, capsys):
    with Section("Second", argparse.Namespace(write=False)) as section:
        section.aim("a", 1.3, at_most=1.3)
        section.aim("b", 1.31, at_most=1.3)
        section.aim("c", 0.89, at_least=0.9)
    assert re.findall(r"^- (\**Aim \w+\**: \w)", capsys.readouterr().out, re.MULTILINE) == [
        "Aim met: a",
        "**Aim missed**: b",
        "**Aim missed**: c",
    ]


def test_the_command_names_no_path_of_the_machine(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COMFYUI_PATH", "/home/someone/ComfyUI")
    for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    words = [
        "/home/someone/work",
        "--sheet=/tmp/sheet.png",
        str(REPOSITORY / "tests" / "data"),
        "--only",
        "DPO, constant beta",
        "out/x",
    ]
    assert command_line([str(REPOSITORY / "benchmarks" / "score_clips.py"), *words]) == (
        "OMP_NUM_THREADS=1 COMFYUI_PATH=ComfyUI python benchmarks/score_clips.py work --sheet=sheet.png tests/data --only 'DPO, constant beta' out/x"
    )
