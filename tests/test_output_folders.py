"""Two of a command in one output folder: the second leaves at once and says who is there."""

import subprocess
import sys

import pytest
from small_runs import RUNS

FOLDERS = {
    "train dpo": "run", "train rvm": "run", "train rwr": "run", "train sft": "run", "train latent-reward": "run", "train video-reward": "run",
    "generate": "clips", "search": "found", "align": "aligned", "bench": "bench", "compare": "comparison", "filter": "filtered",
}  # fmt: skip
HOLDING = (
    "import contextlib, sys, time; from videoalign.files.output_folder import held\n"
    "with contextlib.ExitStack() as stack:\n"
    "    [stack.enter_context(held(folder, 'generate')) for folder in sys.argv[1:]]; print('.', flush=True); time.sleep(600)"
)


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    """Another process, and the folder in which it holds all output folders."""
    folder = tmp_path_factory.mktemp("held")
    command = [sys.executable, "-c", HOLDING, *(folder / name for name in sorted(set(FOLDERS.values())))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.pid, folder
        process.kill()


@pytest.mark.parametrize("name", FOLDERS)
def test_the_second_leaves_at_once_and_says_who_holds_the_folder(name, holder, in_small_world, videoalign):
    process, folder = holder
    before = sorted(folder.rglob("*"))
    outcome = videoalign(*RUNS[name].arguments(folder))
    assert outcome.status == 1
    said = f"{folder / FOLDERS[name]} is in use by another process (videoalign generate, process {process})"
    assert f"videoalign {name}: {said}" in outcome.err
    assert sorted(folder.rglob("*")) == before


def test_every_run_that_fills_a_folder_is_tested_here():
    files = {
        "score",
        "measure",
        "convert",
        "bench vbench-total",
        "pairs",
        "choose merge",
        "choose export",
        "lora convert",
        "lora export",
    }  # each writes one, whole
    assert set(FOLDERS) | files | {"demo"} == set(RUNS)
