"""Files are there whole or not at all, with ordinary permissions, and nothing is left behind."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file

from videoalign.errors import CheckpointError, FileError
from videoalign.files import atomic_file
from videoalign.files.atomic_file import replacing, write_bytes, write_json, write_text
from videoalign.files.tensor_file import save_tensors


@pytest.fixture
def fresh(monkeypatch):
    """As in a new process, which has not looked into any folder yet."""
    monkeypatch.setattr(atomic_file, "_swept", set())


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old\r\n")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_bytes() == b"old\r\n"
        raise KeyError
    assert path.read_bytes() == b"old\r\n" and os.listdir(path.parent) == ["a.txt"]
    write_text(path, "new \u2028 lone \udc80")
    assert path.read_bytes() == "new \u2028 lone \\udc80".encode()
    write_json(path, {"é": [1.5, None]}, indent=None)
    assert path.read_bytes() == '{"é": [1.5, null]}'.encode()


def test_a_file_has_the_permissions_of_the_one_it_replaces_or_those_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        (tmp_path / "plain").write_bytes(b"")
        write_bytes(tmp_path / "a", b"x")
        save_tensors(tmp_path / "b.safetensors", {"a": torch.ones(2)})  # the library writes 0600
        (tmp_path / "secret").write_bytes(b"")
        (tmp_path / "secret").chmod(0o600)
        write_bytes(tmp_path / "secret", b"x")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"plain": 0o640, "a": 0o640, "b.safetensors": 0o640, "secret": 0o600}


def test_what_a_killed_writer_left_is_removed_by_the_next_process_and_a_living_writers_file_is_not(tmp_path, fresh):
    code = (
        "import sys, time; from videoalign.files.atomic_file import replacing\n"
        "with replacing(sys.argv[1]) as path: path.write_bytes(b'half'); print('.', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with (
        subprocess.Popen([*command, tmp_path / "dead"], stdout=subprocess.PIPE) as dead,
        subprocess.Popen([*command, tmp_path / "alive"], stdout=subprocess.PIPE) as alive,
    ):
        dead.stdout.readline(), alive.stdout.readline()
        os.kill(dead.pid, signal.SIGKILL)
        dead.wait()
        assert len(os.listdir(tmp_path)) == 2
        write_text(tmp_path / "other", "")
        (left,) = [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
        assert left.startswith(".alive.") and str(alive.pid) in left
        alive.kill()


def test_of_another_computers_temporary_files_only_old_ones_are_removed(tmp_path, fresh):
    new, old = tmp_path / ".a.videoalign-00000000-1-0.tmp", tmp_path / ".b.videoalign-00000000-1-0.tmp"
    foreign = tmp_path / ".c.1.tmp"
    for path in (new, old, foreign):
        path.write_bytes(b"")
    for path in (old, foreign):
        os.utime(path, (time.time() - 90_000,) * 2)
    write_text(tmp_path / "d", "")
    assert sorted(os.listdir(tmp_path)) == [new.name, foreign.name, "d"]


def test_names_as_long_as_a_file_system_takes_them_can_be_written(tmp_path):
    write_text(tmp_path / ("ü" * 127), "x")
    assert os.listdir(tmp_path) == ["ü" * 127]


@pytest.mark.parametrize("write", ["bytes", "torch", "safetensors"])
def test_a_full_disk_is_one_sentence_whoever_writes(tmp_path, write):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    tensor = torch.zeros(100_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with (
            pytest.raises(CheckpointError, match=r"a\.bin could not be written \(.*\)\. Make room\."),
            replacing(path, CheckpointError, "Make room.") as temporary,
        ):
            if write == "bytes":
                temporary.write_bytes(bytes(100_000))
            elif write == "torch":
                torch.save({"a": tensor}, temporary)
            else:
                save_file({"a": tensor}, temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "read-only: choose another"),
        (errno.EACCES, "allow writing there"),
    ],
)
def test_the_remedy_is_told_from_the_cause(tmp_path, monkeypatch, number, remedy):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match=rf"a could not be written .*{os.strerror(number)}.*{remedy}"):
        write_text(tmp_path / "a", "x")
    assert os.listdir(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="A file is where a folder should be"):
        write_text(tmp_path / "file" / "a", "x")


def test_an_error_of_what_is_read_or_computed_while_writing_stays_itself(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "source").read_bytes()
    with pytest.raises(RuntimeError, match="shape"), replacing(tmp_path / "a"):
        raise RuntimeError("shape")


def test_on_windows_a_target_that_is_open_elsewhere_is_waited_for(tmp_path, monkeypatch):
    refusals, real = [PermissionError(13, "in use")] * 3, os.replace

    def busy(source, target):
        if refusals:
            raise refusals.pop()
        real(source, target)

    monkeypatch.setattr(atomic_file.os, "name", "nt")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", busy)
        atomic_file._replace(_written(tmp_path / "new"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"x"
    refusals[:] = [PermissionError(13, "in use")] * 1000
    monkeypatch.setattr(atomic_file, "REPLACE_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", busy)
        with pytest.raises(PermissionError):
            atomic_file._replace(_written(tmp_path / "new"), tmp_path / "a")


def _written(path):
    path.write_bytes(b"x")
    return path
