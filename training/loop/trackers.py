"""Curves in TensorBoard, Weights & Biases, Comet, MLflow and whatever else accelerate knows, by accelerate's classes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import VideoAlignError
from ...files.atomic_file import write_json
from ...files.json_text import parse_json
from .callback import Callback, Run, Say

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

    from .config import LoopConfig

PACKAGES = {"comet_ml": "comet-ml"}  # where the package is not called as accelerate calls the tracker
RUNS = "trackers.json"


def check_trackers(names: Sequence[str], if_installed: Sequence[str] = ()) -> list[str]:
    """The trackers that a run writes to: ``names``, and those of ``if_installed`` that can be.

    Raises:
        VideoAlignError: accelerate has no such tracker, or its package is not installed.
    """
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    from accelerate.utils import LoggerType

    known = [str(name) for name in LOGGER_TYPE_TO_CLASS]
    # What a program has registered with accelerate itself needs no package that accelerate knows.
    missing = {str(name) for name in LoggerType.list()} - {str(name) for name in get_available_trackers()}
    for name in names:
        if name not in known:
            raise VideoAlignError(f"log_with = {name}: there is no such tracker; accelerate knows {', '.join(known)}.")
        if name in missing:
            package = PACKAGES.get(name, name)
            raise VideoAlignError(
                f"log_with = {name}: {package} is not installed. Install it (pip install {package}), or leave log_with out: "
                "log.jsonl has the numbers in any case."
            )
    return list(dict.fromkeys([*names, *(name for name in if_installed if name not in missing)]))


class Trackers(Callback):
    """Writes every number of the log to trackers, as ``train/NAME`` and ``eval/NAME``; a resumed run goes on with its curves.

    Curves go on with TensorBoard (in ``tensorboard`` in the output folder), W&B, Comet, MLflow, SwanLab and Trackio; others begin
    a new run. Their names of the run are kept in ``trackers.json`` in the output folder.

    Args:
        names: what ``check_trackers`` gave.
    """

    def __init__(self, names: Sequence[str], config: LoopConfig) -> None:
        self.names, self.config = list(names), config
        self._file = config.output / RUNS
        self._runs: dict[str, str] = {}
        self._trackers: dict[str, GeneralTracker] = {}

    def began(self, run: Run, say: Say) -> None:
        """Start the trackers.

        Raises:
            VideoAlignError: one cannot be started, as without a login.
        """
        # A run that starts at its first step is a new one, whatever the folder held before.
        try:
            self._runs = parse_json(self._file.read_text(encoding="utf-8")) if run.step and self._file.exists() else {}
            self._runs = {str(name): str(one) for name, one in self._runs.items()}
        except (OSError, ValueError, AttributeError):  # damaged: the curves begin a new run
            self._runs = {}
        self._runs.setdefault("run", uuid.uuid4().hex)
        for name in self.names:
            try:
                self._trackers[name] = self._started(name, run.step)
            except Exception as error:  # whatever a tracker's package raises
                self.ended(run, say)
                raise VideoAlignError(
                    f"{name} could not be started ({error}). Leave it out of log_with (TensorBoard: --no-tensorboard) to go on without."
                ) from error
        if "mlflow" in self._trackers:  # it chooses the name of a run itself
            self._runs["mlflow"] = self._trackers["mlflow"].active_run.info.run_id
        write_json(self._file, self._runs, indent=None)

    def logged(self, step: int, kind: str, numbers: Mapping[str, float], say: Say) -> None:
        values = {f"{kind}/{name}": value for name, value in numbers.items()}
        self._each("log", say, values, step=step)

    def ended(self, run: Run, say: Say) -> None:
        self._each("finish", say)
        self._trackers.clear()

    def _each(self, method: str, say: Say, *values: Any, **options: Any) -> None:
        """Call all trackers; one that fails is left out from then on: it must not end the training."""
        for name, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, method)(*values, **options)
            except Exception as error:  # whatever a tracker's package raises
                del self._trackers[name]
                say(f"{name} gets no more numbers ({error}); log.jsonl has all of them.")

    def _started(self, name: str, step: int) -> GeneralTracker:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        tracker_class = LOGGER_TYPE_TO_CLASS[name]
        options = self._options(name, step)
        folder = [str(self.config.output)] if tracker_class.requires_logging_directory else []
        tracker = tracker_class("tensorboard" if name == "tensorboard" else self.config.log_project, *folder, **options)
        if hasattr(tracker, "start"):  # older versions of accelerate start a tracker when it is made
            tracker.start()
        if name != "tensorboard" and step == 0:  # TensorBoard would show the options as a run of its own
            tracker.store_init_configuration(_flat(self.config.model_dump(mode="json", exclude_none=True)))
        return tracker

    def _options(self, name: str, step: int) -> dict[str, Any]:
        """What tells a tracker which run this is, and that it goes on."""
        title, run = self.config.output.resolve().name, self._runs["run"]
        return {
            "tensorboard": {"purge_step": step + 1},  # hides what was written after the state that we go on from
            "wandb": {"name": title, "id": run, "resume": "allow", "dir": str(self.config.output)},
            "comet_ml": {"experiment_key": run},
            "mlflow": {"run_name": title, "run_id": self._runs.get("mlflow")},
            "swanlab": {"experiment_name": title, "id": run[:21], "resume": "allow"},  # 21 letters, asked for until 0.7
            "trackio": {"name": f"{title}-{run[:8]}", "resume": "allow"},
        }.get(name, {})


def trackers(config: LoopConfig, if_installed: Sequence[str] = ()) -> list[Trackers]:
    """The callback of a run, none where nothing is asked for; see ``check_trackers``."""
    names = check_trackers(config.log_with, if_installed)
    return [Trackers(names, config)] if names else []


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options as ``section.name``; lists as text."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, (bool, int, float, str)) else json.dumps(value)
    return flat
