"""Several processes that fill one folder of clips give the clips and the list of one."""

import json
import subprocess
import sys
import time

import pytest
from safetensors.torch import save_file
from tiny_backbones import original_state, tiny
from tiny_vaes import tiny_wan21

from videoalign.cli.main import main
from videoalign.files import claims
from videoalign.generation.sharing import FOLDER

PROMPTS = ["one red circle moves left over a plain grey ground", "two blue squares move up over a plain white ground"]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The command without its output: six clips of a tiny random Wan."""
    folder = tmp_path_factory.mktemp("models")
    save_file(original_state(tiny("wan-t2v")), folder / "network.safetensors")
    state = {name: weight.contiguous() for name, weight in tiny_wan21().original_state_dict().items()}
    save_file(state, folder / "vae.safetensors")
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n", encoding="utf-8")
    files = [folder / "prompts.txt", "--model", folder / "network.safetensors", "--vae", folder / "vae.safetensors"]
    size = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 2]
    return [
        "generate",
        *map(str, [*files, "--text-encoder", "micro", *size, "--clips-per-prompt", 3, "--device", "cpu"]),
    ]


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "clips"
    assert main([*words, "--output", str(folder)]) == 0
    return contents(folder)


def contents(folder):
    """The list and the clips, by name."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in [folder / "clips.jsonl", *folder.glob("videos/*.mp4")]
    }


ELSEWHERE = """
import sys
from pathlib import Path
from videoalign.generation.sharing import holding
with holding(Path(sys.argv[1]), "generate", True) as claims:
    claims.take(iter(sys.argv[2:]))
    print("taken", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def elsewhere(tmp_path):
    """Another process that shares the folder and makes a clip, for ever."""
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "clips"), "00001_1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_a_clip_that_another_process_makes_is_taken_over_when_it_is_killed(
    words, whole, elsewhere, tmp_path, monkeypatch, capsys
):
    folder, waited = tmp_path / "clips", []

    def sleep(_seconds):
        waited.append(len(list(folder.glob("videos/*.mp4"))))
        elsewhere.kill()
        elsewhere.wait()

    monkeypatch.setattr(claims.time, "sleep", sleep)
    assert main([*words, "--output", str(folder), "--share"]) == 0
    assert waited == [5]  # all others were made meanwhile
    assert contents(folder) == whole
    assert "6 clips of 2 prompts" in capsys.readouterr().out


def test_who_is_not_the_last_leaves_the_list_to_the_last_and_a_run_alone_is_refused_meanwhile(
    words, whole, elsewhere, tmp_path, capsys
):
    folder = tmp_path / "clips"
    alone = [*words, "--output", str(folder)]
    assert main(alone) == 1
    assert "is filled by processes that share it" in capsys.readouterr().err
    (folder / FOLDER / "claims.jsonl").write_text("")  # its clip is free, and it is still there
    assert main([*alone, "--share"]) == 0
    said = capsys.readouterr()
    assert "This process is done (0 clips failed)" in said.err and "6 clips" not in said.out
    assert contents(folder).keys() == whole.keys() and contents(folder)["clips.jsonl"] != whole["clips.jsonl"]
    elsewhere.communicate("\n")
    assert main([*alone, "--share"]) == 0
    assert contents(folder) == whole


@pytest.mark.slow
@pytest.mark.long
def test_four_processes_of_which_one_is_killed_give_the_clips_of_one(words, whole, tmp_path):
    folder = tmp_path / "clips"
    command = [sys.executable, "-m", "videoalign.cli.main", *words, "--output", str(folder), "--share"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    table, deadline = folder / FOLDER / "claims.jsonl", time.monotonic() + 240
    while time.monotonic() < deadline and not (table.exists() and "take" in table.read_text()):
        time.sleep(0.01)
    owner = json.loads(table.read_text().splitlines()[0])["by"]
    killed = next(process for process in processes if f"-{process.pid}-" in owner)
    killed.kill()
    ended = [(process.communicate(timeout=240), process.returncode) for process in processes]
    assert [status for process, (_, status) in zip(processes, ended, strict=True) if process is not killed] == [
        0,
        0,
        0,
    ], ended
    assert contents(folder) == whole
