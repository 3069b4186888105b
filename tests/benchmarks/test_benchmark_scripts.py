"""The folder benchmarks/: its index is complete, each script starts, and one that is run prints a section that reads as one."""

import importlib
import os
import re
import subprocess
import sys

import pytest
from machine import REPOSITORY
from results_section import RESULTS, headings

FOLDER = REPOSITORY / "benchmarks"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
SCRIPTS, LIBRARIES = (
    sorted(re.findall(r"^\| `(\w+)\.py` \|", part, re.MULTILINE)) for part in INDEX.split("## Libraries")
)
SECTIONS_FROM_ELSEWHERE = {"The micro latent reward", "From prompts to a LoRA on a CPU"}


def test_the_index_names_every_script_and_library_and_no_other():
    files = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.py")}
    scripts = {name for name, text in files.items() if '__name__ == "__main__"' in text}
    assert set(SCRIPTS) == scripts
    assert set(LIBRARIES) == set(files) - scripts


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_starts_and_tells_its_options(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main()
    assert ended.value.code == 0
    assert "--write" in capsys.readouterr().out


def test_the_contents_of_the_results_link_to_every_section_in_order():
    listed = re.findall(r"^- \[(.*)\]\(#(.*)\)$", RESULTS.read_text(encoding="utf-8").split("\n## ")[0], re.MULTILINE)
    assert [title for title, _ in listed] == headings(RESULTS)
    assert [anchor for _, anchor in listed] == [
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title, _ in listed
    ]


def test_every_section_of_the_results_is_named_in_the_index():
    assert [title for title in headings(RESULTS) if title not in INDEX] == []
    assert all(title in INDEX and title in headings(RESULTS) for title in SECTIONS_FROM_ELSEWHERE)


def test_a_real_run_prints_a_section_that_reads_as_one_and_writes_the_same(tmp_path):
    results = tmp_path / "RESULTS.md"
    results.write_text("# Measured\n", encoding="utf-8")
    command = [sys.executable, FOLDER / "import_time.py", "--repeats", "1", "--write", "--results", results]
    environment = {name: value for name, value in os.environ.items() if name != "COMFYUI_PATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert results.read_text(encoding="utf-8") == "# Measured\n\n" + done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "## Starting"
    assert lines[2].startswith("`") and lines[2].endswith("import_time.py --repeats 1 --write --results RESULTS.md`")
    facts = dict(re.findall(r"^- (\w+): (.+)$", done.stdout, re.MULTILINE))
    assert {"Machine", "Versions", "Date"} <= set(facts)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", facts["Date"])
    assert str(tmp_path) not in done.stdout and str(REPOSITORY) not in done.stdout
    head, rule, row = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines if line.startswith("|"))
    assert len(head) == len(rule) == len(row) == 7
    assert rule == ["---"] + ["---:"] * 6
    assert row[0] == "import videoalign"
    assert all(float(cell) > 0 for cell in row[1:])
