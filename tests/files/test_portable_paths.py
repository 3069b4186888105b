"""Paths and names that travel between systems, on an emulated Windows, macOS and on this one."""

import ast
from pathlib import Path, PureWindowsPath

import pytest
from pyfakefs.fake_filesystem import OSType
from pyfakefs.fake_filesystem_unittest import Patcher

from videoalign.files.portable_paths import (
    file_name,
    path_text,
    refused_by_windows,
    relative_text,
    same_path,
    table_path,
)
from videoalign.preferences.preference_file import PreferencePair, Preferences

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "CON", "con", "nul.mp4", "COM1.tar.gz", "LPT9", "com¹", "aux.", "PRN ", "a:b", "a<b>c", 'say "hi"', "a|b?c*", "dir/file", "back\\slash",
    "trailing dot.", "trailing space ", "...", "   ", "", ".", "..", "line\nbreak", "tab\t", "\x00", "\x85", "\udc80", "猫 🎈", "x" * 400,
    "é" * 400, "CONSOLE", "com10", "../../etc/passwd", "C:\\clips\\a.mp4", "-rf", "~root",
]  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("ending", ["", ".mp4", ".safetensors"])
def test_a_name_made_of_any_text_is_a_file_everywhere(text, ending):
    name = file_name(text, ending)
    assert refused_by_windows(name) is None and name.endswith(ending) and len(name) <= 100
    assert not PureWindowsPath(name).is_reserved() and PureWindowsPath(name).name == name == Path(name).name
    assert len(name.encode()) <= 255 or not text.isascii()
    assert name not in ("", ".", "..")


@pytest.mark.parametrize("system", [OSType.WINDOWS, OSType.MACOS, OSType.LINUX])
def test_such_names_can_be_written_on_every_system(system):
    with Patcher() as patcher:
        patcher.fs.os = system
        folder = patcher.fs.create_dir("/out" if system is not OSType.WINDOWS else "C:\\out").path
        names = {file_name(text, ".txt").casefold(): file_name(text, ".txt") for text in NAMES}
        for name in names.values():
            patcher.fs.create_file(patcher.fs.joinpaths(folder, name))
        assert set(patcher.fs.listdir(folder)) == set(names.values())


@pytest.mark.parametrize(
    "text", ["clips\\a.mp4", "clips/a.mp4", ".\\clips/a.mp4", "C:\\out\\clips\\a.mp4", "C:/out/clips/a.mp4"]
)
def test_both_spellings_are_read_on_windows(text):
    with Patcher() as patcher:
        patcher.fs.os = OSType.WINDOWS
        patcher.fs.create_file("C:\\out\\clips\\a.mp4")
        assert table_path("C:\\out", text).is_file()
        assert path_text(Path("clips") / "a.mp4") == "clips/a.mp4"


def test_long_names_stay_apart_and_plain_ones_stay_as_they_are():
    assert file_name("a red ball", ".mp4") == "a red ball.mp4"
    assert file_name("x" * 300 + "1") != file_name("x" * 300 + "2")
    assert file_name("con.mp4") == "_con.mp4" and file_name("console") == "console"


@pytest.mark.parametrize("name", ["CON.csv", "a:b.csv", "nul", "x?.csv", "end.", "end ", "COM7.jsonl"])
def test_what_windows_refuses_is_told(name):
    assert refused_by_windows(name)
    assert refused_by_windows("scores.csv") is None


def test_backslashes_of_a_table_from_windows_are_read_here(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").touch()
    (tmp_path / "odd\\name.mp4").touch()
    assert table_path(tmp_path, "clips\\a.mp4").samefile(tmp_path / "clips" / "a.mp4")
    assert table_path(tmp_path, ".\\clips\\a.mp4").is_file()
    assert table_path(tmp_path, "clips/a.mp4") == tmp_path / "clips" / "a.mp4"
    assert table_path(tmp_path, "odd\\name.mp4") == tmp_path / "odd\\name.mp4"  # a name of this system goes first
    assert table_path(tmp_path, "clips\\none.mp4") == tmp_path / "clips\\none.mp4"  # as it was written, for the message
    assert table_path(tmp_path, str(tmp_path / "x.mp4")) == tmp_path / "x.mp4"
    for strange in ("~nobody-of-this-name/a.mp4", "\0", "a" * 5000, "\udc80\\b"):
        table_path(tmp_path, strange)


def test_accents_are_found_as_macos_spells_them_and_as_others_do(tmp_path):
    for name in ("caf\u00e9.mp4", "nai\u0308ve.mp4"):
        (tmp_path / name).touch()
    for text in ("caf\u00e9.mp4", "cafe\u0301.mp4", "na\u00efve.mp4", ".\\nai\u0308ve.mp4"):
        assert table_path(tmp_path, text).is_file(), text
    assert table_path(tmp_path, "no\u00ebl.mp4").name == "no\u00ebl.mp4"


def test_the_same_file_is_known_under_other_spellings():
    assert (
        same_path("./clips/a.mp4", "clips\\a.mp4")
        and same_path("a.mp4", "x/../a.mp4")
        and not same_path("a.mp4", "A.mp4")
    )


def test_tables_are_written_with_forward_slashes_on_windows():
    assert PureWindowsPath("clips\\a.mp4").as_posix() == "clips/a.mp4" == path_text("clips/a.mp4")


def test_a_preference_file_of_windows_is_moved_with_forward_slashes(tmp_path):
    (tmp_path / "data" / "clips").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "data" / "clips" / f"{name}.mp4").touch()
    pair = PreferencePair(prompt="x", chosen="clips\\a.mp4", rejected="clips\\b.mp4")
    preferences = Preferences([pair], tmp_path / "data")
    preferences.check_clips()
    (moved,) = preferences.relative_to(tmp_path).pairs
    assert (moved.chosen, moved.rejected) == ("data/clips/a.mp4", "data/clips/b.mp4")
    absolute = Preferences([pair.model_copy(update={"chosen": "D:\\clips\\a.mp4"})], tmp_path / "data")
    assert absolute.relative_to(tmp_path).pairs[0].chosen == "D:\\clips\\a.mp4"


ONLY_POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "multiprocessing", "readline"}
ONLY_POSIX_NAMES = {
    "os.fork", "os.getuid", "os.geteuid", "os.getgid", "os.killpg", "os.setsid", "os.mkfifo", "os.statvfs", "os.uname", "os.getloadavg",
    "signal.SIGKILL", "signal.SIGHUP", "signal.SIGUSR1", "signal.SIGALRM", "signal.SIGPIPE", "signal.alarm", "signal.setitimer",
    "os.sched_getaffinity",
}  # fmt: skip
LOOKED_FOR = {"/proc/cpuinfo", "/proc/meminfo"}  # where they are not, other ways are taken


def test_nothing_is_called_that_windows_does_not_have_and_no_process_is_forked():
    """What is absent there fails when it is reached, which no test on Linux would see."""
    wrong = []
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] in ("tests", "benchmarks") or any(
            part.startswith(".") for part in file.relative_to(ROOT).parts
        ):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            used = (
                f"{node.value.id}.{node.attr}"
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                else ""
            )
            literal = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if (
                {name.split(".")[0] for name in names} & ONLY_POSIX
                or used in ONLY_POSIX_NAMES
                or (literal.startswith(("/dev/", "/tmp/", "/proc/")) and literal not in LOOKED_FOR)
            ):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {names or used or literal}")
    assert not wrong


def test_a_path_in_a_table_starts_at_its_folder_unless_it_is_absolute_and_lies_outside(tmp_path, monkeypatch):
    work, out = tmp_path / "work", tmp_path / "work" / "out"
    out.mkdir(parents=True)
    monkeypatch.chdir(work)
    assert relative_text(Path("clips/a.mp4"), Path("out")) == "../clips/a.mp4"
    assert relative_text("out/clips/a.mp4", out) == "clips/a.mp4"
    assert relative_text(out / "clips" / "a.mp4", out) == "clips/a.mp4"
    outside = (tmp_path / "elsewhere" / "a.mp4").as_posix()
    assert relative_text(outside, out) == outside
    assert relative_text("~/a.mp4", out) == "~/a.mp4" and relative_text("C:/a.mp4", out) == "C:/a.mp4"
    link = tmp_path / "link"
    link.symlink_to(out)
    assert (link / relative_text("clips/a.mp4", link)).resolve() == work / "clips" / "a.mp4"
