"""A full or a read-only disk is one sentence in every command, nothing is left half-written, and the same command goes on."""

import errno
import os
import re
import subprocess
import sys

import pytest
from small_runs import RUNS, result_of

from videoalign.cli import main as cli
from videoalign.files import atomic_file

READS_ONLY = {"lora inspect", *(name for name in cli.COMMANDS if name.startswith("plan "))}
SERVES = {"choose"}  # its writing is ChoiceFile's: tests/preferences/choices
BLOCK = 4096
FAST = {"generate", "score", "pairs", "compare", "convert", "train dpo"}  # each way of writing once


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As in a new process, which has not looked into any folder yet."""
    monkeypatch.setattr(atomic_file, "_swept", set())


@pytest.fixture
def disk(tmp_path):
    """Mounts a small file system of its own: ``disk(kilobytes)`` is its folder."""
    mounted = []

    def mount(kilobytes):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted: {done.stderr.strip() or done.returncode}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder, free):
    """Fill a disk up to ``free`` bytes; returns the file that does."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(BLOCK))
        file.truncate(max(os.fstat(file.fileno()).st_size // BLOCK * BLOCK - free, 0))
    return ballast


def check_sentence(outcome, name, text, folder):
    """Status 1, and behind lines of progress a sentence with the file's name and what to do."""
    assert outcome.status == 1, outcome.err
    assert "Traceback" not in outcome.err
    [sentence] = re.findall(rf"^videoalign {name}: .*$", outcome.err, re.MULTILINE)
    assert text in sentence and str(folder) in sentence
    assert re.search(r"run the (same )?command again|hoose another|copy it yourself", sentence), sentence


def no_half_files(folder):
    return not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_every_command_is_tested_here():
    assert set(RUNS) | READS_ONLY | SERVES == set(cli.COMMANDS)


@pytest.mark.parametrize(
    "share", [pytest.param(0.0, id="from the start"), pytest.param(0.5, id="halfway", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in RUNS])
def test_on_a_full_disk(name, share, in_small_world, whole_runs, disk, videoalign):
    expected = whole_runs[name]
    needed = sum(
        -(-path.stat().st_size // BLOCK) * BLOCK for path in whole_runs.output(name).rglob("*") if path.is_file()
    )
    folder = disk(2 * needed // 1024 + 1024)
    ballast = fill(folder, int(share * needed) // BLOCK * BLOCK)
    words = RUNS[name].arguments(folder)
    check_sentence(videoalign(*words), name, "No space left on device", folder)
    assert no_half_files(folder)
    ballast.unlink()
    assert videoalign(*words).status == 0
    assert result_of(RUNS[name], folder) == expected


@pytest.mark.parametrize("name", RUNS)
def test_on_a_read_only_disk(name, in_small_world, disk, videoalign):
    folder = disk(64)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    check_sentence(videoalign(*RUNS[name].arguments(folder)), name, "Read-only file system", folder)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(0.0, id="first", marks=pytest.mark.slow),
        pytest.param(0.4, id="middle", marks=pytest.mark.slow),
        pytest.param(0.8, id="late", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", RUNS)
def test_where_the_disk_is_full_at_any_write(name, part, in_small_world, whole_runs, tmp_path, videoalign, monkeypatch):
    """Portable: the system says so when a file is brought to the disk, as network disks do."""
    expected, real = whole_runs[name], os.fsync
    left = [int(part * whole_runs.writes[name])]

    def fsync(number):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    words = RUNS[name].arguments(tmp_path)
    check_sentence(videoalign(*words), name, "No space left on device", tmp_path)
    assert no_half_files(tmp_path)
    left[0] = -1
    if not all((tmp_path / result).exists() for result in RUNS[name].results):  # else it is done
        assert videoalign(*words).status == 0
    assert result_of(RUNS[name], tmp_path) == expected


def test_a_full_disk_behind_standard_output_is_said(in_small_world, disk):
    folder = disk(64)
    fill(folder, 0)
    words = ["lora", "inspect", "lora.safetensors", "--model", "network.safetensors"]
    with (folder / "out.txt").open("wb") as out:
        command = [sys.executable, "-m", "videoalign.cli.main", *words]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "videoalign lora inspect: A file could not be written" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EACCES, "Permission denied", "/there/file"), "/there/file cannot be used (Permission denied)"),
        (OSError(errno.EROFS, "Read-only file system", "/there"), "/there could not be written"),
        (OSError(errno.ENOSPC, "No space left on device"), "A file could not be written"),
        (OSError(errno.EIO, "Input/output error"), "The disk or the network behind it fails"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/there/x"), "Choose another name or place"),
    ],
)
def test_an_error_of_the_system_that_nobody_put_into_words_is_a_sentence_at_the_door(
    videoalign, monkeypatch, error, message
):
    from videoalign.evaluation import demo_command

    def fail(_):
        raise error

    monkeypatch.setattr(demo_command, "run", fail)
    outcome = videoalign("demo")
    assert outcome.status == 1 and message in outcome.err and "Traceback" not in outcome.err


def test_what_is_no_error_of_a_file_keeps_its_traceback(videoalign, monkeypatch):
    from videoalign.evaluation import demo_command

    def fail(_):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(demo_command, "run", fail)
    with pytest.raises(ConnectionRefusedError):
        videoalign("demo")
