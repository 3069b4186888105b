"""The command line's front door."""

import subprocess
import sys

import pytest

import videoalign as package
from videoalign.cli import main as cli
from videoalign.cli.options import CommandConfig
from videoalign.errors import VideoAlignError
from videoalign.evaluation import score_command


def test_without_a_command_the_usage_is_printed_and_the_status_is_2(videoalign):
    outcome = videoalign()
    assert outcome.status == 2
    assert all(f"  {name} " in outcome.out for name in cli.COMMANDS)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command(videoalign, option):
    outcome = videoalign(option)
    assert outcome.status == 0
    assert all(text in outcome.out for _, text in cli.COMMANDS.values())


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_the_packages(videoalign, option):
    assert videoalign(option).out.strip() == package.__version__


def test_an_unknown_command_is_named_and_the_known_ones_listed(videoalign):
    outcome = videoalign("scare")
    assert (outcome.status, outcome.out) == (2, "")
    assert "no command 'scare'" in outcome.err
    assert "score" in outcome.err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_configuration_help_and_printable_defaults(videoalign, name):
    command = cli.load_command(name)
    assert issubclass(command.Config, CommandConfig)
    assert callable(command.run)
    shown = videoalign(name, "--help")
    assert shown.status == 0
    assert f"usage: videoalign {name}" in shown.out
    assert videoalign(name, "--print-config").status == 0


def test_wrong_usage_gives_status_2_and_a_failure_status_1_both_on_standard_error(videoalign, checkpoint):
    wrong = videoalign("score", "a.mp4", "--model", checkpoint, "--modle", "x")
    assert (wrong.status, wrong.out) == (2, "")
    assert "did you mean '--model'?" in wrong.err
    failed = videoalign("score", "*.nothing", "--model", checkpoint)
    assert (failed.status, failed.out) == (1, "")
    assert failed.err.startswith("videoalign score: No file matches")


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (VideoAlignError("as it is"), 1)])
def test_what_ends_a_command_decides_its_status(videoalign, monkeypatch, error, status):
    def fail(_):
        raise error

    monkeypatch.setattr(score_command, "run", fail)
    assert videoalign("score", "a.mp4", "--model", "m").status == status


def test_a_reader_that_leaves_early_gets_no_traceback():
    code = (
        "import sys\n"
        "from videoalign.cli import main as cli\n"
        "from videoalign.evaluation import score_command\n"
        "score_command.run = lambda config: [print(line, flush=True) for line in range(100_000)]\n"
        "sys.exit(cli.main(['score', 'a.mp4', '--model', 'm']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        error = process.stderr.read().decode()
        assert process.wait() == 1
    assert error == ""


def test_the_front_door_imports_nothing_heavy():
    code = "import sys, videoalign.cli.main; print([m for m in ('torch', 'transformers', 'av', 'numpy', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
