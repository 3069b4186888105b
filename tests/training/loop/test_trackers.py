"""Curves in accelerate's trackers: the numbers of the log, continued by a resumed run, and never at the training's cost."""

import json
import math
from types import SimpleNamespace

import pytest
from accelerate import tracking

from videoalign.errors import VideoAlignError
from videoalign.training.loop import trackers as module
from videoalign.training.loop.config import LoopConfig
from videoalign.training.loop.trackers import check_trackers, trackers


def at(step):
    return SimpleNamespace(step=step)


def write(callback, steps, said=print):
    callback.began(at(steps[0] - 1), said)
    for step in steps:
        callback.logged(step, "train", {"loss": 1 / step, "loss/0.2-0.4": 2 / step}, said)
    callback.ended(at(steps[-1]), said)


@pytest.fixture
def toy(monkeypatch):
    """A tracker of a program's own, as accelerate's ``register_tracker_class`` puts it into the table; what it was told."""
    told = []

    class Toy(tracking.GeneralTracker):
        name, requires_logging_directory, tracker = "toy", False, None

        def __init__(self, run_name, **options):
            super().__init__()
            told.append(("begin", run_name, options))

        def start(self):
            pass

        def store_init_configuration(self, values):
            told.append(("options", values))

        def log(self, values, step=None):
            if any(not math.isfinite(value) for value in values.values()):
                raise RuntimeError("the network is away")
            told.append(("log", values, step))

        def finish(self):
            told.append(("finish",))

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "toy", Toy)
    return told


def test_tensorboard_has_one_curve_after_a_run_was_stopped_beyond_its_state_and_resumed(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (callback,) = trackers(LoopConfig(output=tmp_path, log_with=["tensorboard"]))
    write(callback, [1, 2, 3, 4, 5])  # killed here; the newest state is that of step 3
    (callback,) = trackers(LoopConfig(output=tmp_path, log_with=["tensorboard"]))
    write(callback, [4, 5, 6])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Tags()["scalars"] == ["train/loss", "train/loss/0.2-0.4"]
    curve = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert curve == [(step, pytest.approx(1 / step)) for step in range(1, 7)]


def test_a_tracker_gets_the_options_once_and_every_number_with_its_step(toy, tmp_path):
    config = LoopConfig(output=tmp_path / "fox", log_with=["toy"], log_project="mine", seed=7)
    (tmp_path / "fox").mkdir()
    write(trackers(config)[0], [1])
    write(trackers(config)[0], [2])
    begun = ("begin", "mine", {})
    ((_, options),) = [entry for entry in toy if entry[0] == "options"]
    assert options["seed"] == 7 and options["log_with"] == '["toy"]'
    assert toy == [
        begun, ("options", options), ("log", {"train/loss": 1.0, "train/loss/0.2-0.4": 2.0}, 1), ("finish",),
        begun, ("log", {"train/loss": 0.5, "train/loss/0.2-0.4": 1.0}, 2), ("finish",),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["wandb", "comet_ml", "swanlab", "trackio"])
def test_a_resumed_run_tells_a_service_the_same_run_and_a_new_one_another(name, toy, tmp_path, monkeypatch):
    """The services themselves are not at hand; what their classes would be told is."""
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, tracking.LOGGER_TYPE_TO_CLASS["toy"])
    monkeypatch.setattr(module, "check_trackers", lambda names, _: names)
    config = LoopConfig(output=tmp_path, log_with=[name])
    for steps in ([1, 2], [2, 3], [1]):
        write(trackers(config)[0], steps)
    first, resumed, new = (entry[2] for entry in toy if entry[0] == "begin")
    assert first == resumed != new
    assert len(json.loads((tmp_path / "trackers.json").read_text())["run"]) == 32


def test_what_is_not_installed_or_not_known_is_one_sentence_with_what_to_do(monkeypatch):
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    with pytest.raises(VideoAlignError, match=r"log_with = comet_ml: comet-ml is not installed.*pip install comet-ml"):
        check_trackers(["comet_ml"])
    with pytest.raises(VideoAlignError, match=r"log_with = wanbd: there is no such tracker; accelerate knows .*wandb"):
        check_trackers(["wanbd"])
    assert check_trackers([], ["tensorboard"]) == []


def test_a_tracker_that_fails_later_is_left_out_and_the_training_goes_on(toy, tmp_path):
    said = []
    callback = trackers(LoopConfig(output=tmp_path, log_with=["toy"]))[0]
    callback.began(at(0), said.append)
    for step, loss in ((1, 1.0), (2, math.nan), (3, 1.0)):
        callback.logged(step, "train", {"loss": loss}, said.append)
    callback.ended(at(3), said.append)
    assert said == ["toy gets no more numbers (the network is away); log.jsonl has all of them."]
    assert [entry[0] for entry in toy] == ["begin", "options", "log"]


def test_a_tracker_that_cannot_be_started_stops_the_run_with_its_reason(toy, tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise RuntimeError("no login")

    monkeypatch.setattr(tracking.LOGGER_TYPE_TO_CLASS["toy"], "start", refuse)
    with pytest.raises(VideoAlignError, match=r"toy could not be started \(no login\)"):
        trackers(LoopConfig(output=tmp_path, log_with=["toy"]))[0].began(at(0), print)
