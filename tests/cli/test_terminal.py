"""What commands print: no file's text is obeyed by the terminal, and no encoding ends a command."""

import io
import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import save_file

from videoalign.cli import main as cli
from videoalign.cli.terminal import VisibleText, visible_output
from videoalign.errors import VideoAlignError, visible

HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\x08\x7f\u202egnp.exe"
CONTROLS = [
    chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
]


def raw(text):
    """Characters of ``text`` that a terminal would obey, returns of progress bars and of Windows aside."""
    return set(text.replace("\r\n", "\n").replace("\n\r", "\n")) & set(CONTROLS)


def test_control_characters_are_shown_and_json_stays_the_same_json():
    value = {"prompt": "".join(CONTROLS) + "猫 \t é \u200f"}
    text = visible(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value and not raw(text)
    assert visible("plain\n\ttext 猫") == "plain\n\ttext 猫"
    assert not raw(str(VideoAlignError(HOSTILE))) and "\\u001b[2J" in str(VideoAlignError(HOSTILE))


def test_a_progress_bars_returns_and_windows_line_ends_pass():
    stream = io.StringIO(newline="")
    shown = VisibleText(stream)
    assert shown.write("\rbar") == 4
    shown.writelines(["a\r\nb\n", "c\rd\x1b"])
    assert stream.getvalue() == "\rbara\r\nb\nc\\u000dd\\u001b"
    assert shown.getvalue() == stream.getvalue()


def test_the_streams_are_as_before_when_a_command_is_done(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)
    with visible_output():
        print("é\x1b")
        assert sys.stderr is None
    assert sys.stdout is stream and stream.errors == "strict"
    stream.flush()
    assert stream.buffer.getvalue() == b"\\xe9\\u001b\n"


def test_captions_ids_paths_and_errors_are_printed_without_obeying_them(score, manifest, small_clips):
    rows = manifest(
        {"path": "a.mp4", "prompt": HOSTILE, "id": HOSTILE}, {"path": f"{HOSTILE}.mp4".replace("/", "_"), "prompt": "x"}
    )
    for outcome in (score("--manifest", rows), score("--manifest", rows, "--json")):
        assert outcome.status == 1
        assert not raw(outcome.out) and not raw(outcome.err)
    assert outcome.rows[0]["prompt"] == outcome.rows[0]["id"] == HOSTILE  # JSON: the same text for who reads it
    missing = score(small_clips / "no\x1b[2J.mp4*")
    assert missing.status == 1 and not raw(missing.err) and "\\u001b[2J" in missing.err


def test_a_loras_metadata_is_printed_without_obeying_it(videoalign, tmp_path):
    import torch

    keys = {f"diffusion_model.blocks.0.self_attn.q.lora_{part}.weight": torch.ones(4, 4) for part in "AB"}
    save_file(keys, tmp_path / "l.safetensors", {f"ss_{HOSTILE}": HOSTILE})
    outcome = videoalign("lora", "inspect", tmp_path / "l.safetensors")
    assert "owned" in outcome.out and not raw(outcome.out) and not raw(outcome.err)


def in_cp1252(*arguments, cwd=None):
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "OMP_NUM_THREADS": "1"}
    code = "import sys; from videoalign.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=environment, cwd=cwd, capture_output=True
    )


def test_a_windows_console_prints_every_commands_help():
    code = (
        "from videoalign.cli import main as cli\n"
        "statuses = []\n"
        "for arguments in [['--help'], ['nothing'], *([*name.split(), '--help'] for name in cli.COMMANDS)]:\n"
        "    try:\n        statuses.append(cli.main(arguments))\n"
        "    except SystemExit as stopped:\n        statuses.append(stopped.code)\n"
        "assert statuses == [0, 2] + [0] * len(cli.COMMANDS), statuses\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert done.stdout.decode("cp1252").count("usage: videoalign") == 1 + len(cli.COMMANDS)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_windows_console_prints_scores_of_captions_that_it_has_no_letters_for(
    small_clips, checkpoint, manifest, form
):
    rows = manifest(("a.mp4", "猫 🎈"), ("犬.mp4", "x"))
    options = ["--model", checkpoint, "--dtype", "float32", "--device", "cpu"]
    done = in_cp1252("score", "--manifest", rows, *options, *form)
    assert done.returncode == 1, done.stderr.decode("cp1252")  # 犬.mp4 is not there, which is told
    assert b"Traceback" not in done.stderr and b"1 of 2 rows failed" in done.stderr
    text = done.stdout.decode("cp1252")
    if form:
        first, second = map(json.loads, text.splitlines())
        assert first["prompt"] == "猫 🎈" and "犬.mp4" in second["error"]
    else:
        assert "\\u732b" in text and "\\u72ac" in text


def test_what_a_library_warns_of_when_it_is_imported_and_no_command_uses_is_not_shown():
    pytest.importorskip("bitsandbytes", reason="the warning is of bitsandbytes, which is not installed")
    code = "from videoalign.cli.main import main; main(['--version']); import bitsandbytes"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "gemm_4bit_forward" not in outcome.stderr
