"""The room of losses: its files are its list, and a loss of another package is a command too."""

import subprocess
import sys
from pathlib import Path

import pytest
from documented import example

from videoalign.errors import VideoAlignError
from videoalign.training.flow import methods
from videoalign.training.flow.config import FlowConfig
from videoalign.training.flow.method import Method
from videoalign.training.flow.methods import load_method, method_summaries, register_method
from videoalign.training.loop.train_loop import TrainingStopped
from videoalign.training.train_flow_command import train_command

TOY = example("toy_loss.py")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The class of a file outside of the package, registered; what is registered is forgotten afterwards."""
    (tmp_path / "toy_loss.py").write_text(TOY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(methods, "_registered", {})
    import toy_loss

    yield register_method(toy_loss.Toy)
    del sys.modules["toy_loss"]


def test_every_file_of_the_room_is_a_method_of_its_name_with_options_and_a_summary():
    files = {file.stem for file in Path(methods.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(method_summaries()) == files >= {"dpo", "rwr", "sft"}
    for name, summary in method_summaries().items():
        method = load_method(name)
        assert issubclass(method, Method)
        assert (method.name, method(method.options_class()).description["method"]) == (name, name)
        assert summary.endswith(".") and summary.isprintable()
        assert issubclass(train_command(name).Config, FlowConfig)
        assert train_command(name).Config.model_fields[name].annotation is method.options_class


def test_an_unknown_method_is_named_with_those_that_there_are():
    with pytest.raises(VideoAlignError, match="no training method 'dop'; known are dpo, rvm, rwr, sft"):
        load_method("dop")


def test_a_registered_method_is_a_command_with_help_checks_and_its_own_options(toy, videoalign):
    assert "  train toy            Train a LoRA towards the chosen clips' mean colour.\n" in videoalign("--help").out
    shown = videoalign("train", "toy", "--help").out
    assert (
        "A toy." in shown and "accelerate launch" in shown and "--toy.strength X" in shown and "--dpo.beta" not in shown
    )
    assert "[toy]" in videoalign("train", "toy", "--print-config").out
    files = ["--data.train", "p", "--model.transformer", "m", "--model.vae", "v", "--model.text-encoder", "t"]
    outcome = videoalign("train", "toy", *files, "--batch-size", "1", "--toy.strength", "2")
    assert (outcome.status, outcome.err.strip()) == (
        2,
        "videoalign train toy: toy.strength must not be above batch_size",
    )


def test_a_method_in_a_script_of_its_own_is_a_command_of_that_script(tmp_path):
    (tmp_path / "my_loss.py").write_text(TOY, encoding="utf-8")
    command = [sys.executable, tmp_path / "my_loss.py", "train", "toy", "--print-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        done.stdout.startswith("# Train a LoRA towards the chosen clips' mean colour.\n")
        and "strength = 1.0" in done.stdout
    )


def test_a_registered_method_trains_and_its_own_options_are_part_of_the_fingerprint(toy, options, train):
    config = options(method="toy", toy={"strength": 2.0})
    task = train(config, toy(config.toy), steps=2)
    assert task.fingerprint()["toy"] == {"strength": 2.0}
    changed = options(method="toy", toy={"strength": 3.0})
    with pytest.raises(TrainingStopped, match="another toy"):
        train(changed, toy(changed.toy))
    train(config, toy(config.toy))


@pytest.mark.parametrize("name", ["dpo", "data", "my-loss", None])
def test_a_name_that_cannot_be_is_refused(name, toy):
    other = type("Other", (toy,), {"name": name})
    with pytest.raises(VideoAlignError, match=r"already|as an option of every method|a word of letters"):
        register_method(other)
        train_command(name)
