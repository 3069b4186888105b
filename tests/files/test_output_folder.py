"""A folder is filled by one process at a time; whoever comes second is told by whom, and a dead process holds nothing."""

import os
import signal
import subprocess
import sys

import pytest

from videoalign.errors import FileError
from videoalign.files import atomic_file
from videoalign.files.file_lock import InUseError
from videoalign.files.output_folder import HOLDER, held

HOLDING = (
    "import sys, time; from videoalign.files.output_folder import held; from videoalign.files.atomic_file import replacing\n"
    "with held(sys.argv[1], 'train dpo'), replacing(sys.argv[2]) as path:\n"
    "    path.write_bytes(b'half'); print('.', flush=True); time.sleep(60)"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path/run and is in the middle of writing deep inside of it."""
    deep = tmp_path / "run" / "checkpoints" / "state-00000001" / "file"
    with subprocess.Popen([sys.executable, "-c", HOLDING, tmp_path / "run", deep], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_the_second_is_told_who_holds_the_folder_and_gets_it_when_that_process_is_dead(tmp_path, holder, monkeypatch):
    folder = tmp_path / "run"
    said = rf"run is in use by another process \(videoalign train dpo, process {holder.pid}\)\. Wait"
    with pytest.raises(InUseError, match=said), held(folder, "generate"):
        raise AssertionError("it was let in")
    with held(folder, "generate", wanted=False):  # a process that works together with the one that holds it
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    half = list(folder.rglob("*.tmp"))
    assert len(half) == 1 and (folder / HOLDER).exists()
    monkeypatch.setattr(atomic_file, "_swept", set())
    with held(folder, "generate"):
        assert not half[0].exists(), "what the dead process left half-written is still there"
        with held(tmp_path / "other", "generate"):  # another folder has another lock
            pass
    assert not (folder / HOLDER).exists()


def test_a_damaged_note_of_the_holder_does_no_harm(tmp_path, holder):
    for content in (b"", b"\xff", b"[]", b'{"pid": "x", "host": 1, "command": 2}', b"[" * 100_000):
        (tmp_path / "run" / HOLDER).write_bytes(content)
        with pytest.raises(InUseError, match=r"is in use by another process\. Wait"), held(tmp_path / "run", "align"):
            pass


def test_an_error_in_the_block_lets_go_and_is_not_taken_for_a_held_folder(tmp_path):
    with pytest.raises(InUseError, match="of something else"), held(tmp_path / "run", "align"):
        raise InUseError("of something else")
    assert not (tmp_path / "run").exists()  # nothing came into it
    with held(tmp_path / "run", "align"):
        (tmp_path / "run" / "result").write_bytes(b"")
    assert (tmp_path / "run" / "result").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="file/run could not be written"), held(tmp_path / "file" / "run", "align"):
        pass
