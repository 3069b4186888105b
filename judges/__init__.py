"""Judges of clips, each in a file of this folder: the files are the list, ``micro_world.py`` is the judge ``micro-world``.

A file has one function, ``open_judge(source, options)``, which gives a ``reward.judge.Judge``. It is imported when its
judge is asked for, not before. Judges of other packages are entry points of the group ``videoalign.judges`` (name ->
such a function), or are told to ``register_judge``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VideoAlignError

if TYPE_CHECKING:
    from ..reward.judge import Judge

GROUP = "videoalign.judges"


class JudgeError(VideoAlignError):
    """There is no such judge, or it cannot be opened like this."""


@dataclass(frozen=True)
class JudgeOptions:
    """How a judge is opened. A judge takes what applies to it and refuses a ``sampling`` that it cannot follow.

    Attributes:
        device: such as cuda:1, xpu, mps or cpu; the accelerator where there is one when None.
        compute_device: where it will be moved to judge, if that is another one.
        dtype: arithmetic: auto (as the weights are; VideoReward: what that device is fast in), float32, bfloat16, float16.
        weights: how weights are kept: auto (in the type of the arithmetic), 8bit, 4bit.
        download: permit the hub.
        base, step: of an official VideoReward checkpoint.
        sampling: departures from the judge's own rule: ``fps`` (sampled frames per second of clip) or ``num_frames``, and
            ``max_pixels`` (largest height * width of a frame).
        max_pixels: a benchmark's largest frame; a judge with smaller ones stays as it is.
        compile: have torch.compile make the kernels of a VideoReward; other judges stay as they are.
    """

    device: str | None = None
    compute_device: str | None = None
    dtype: str = "auto"
    weights: str = "auto"
    download: bool = False
    base: Path | None = None
    step: int | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    max_pixels: int | None = None
    compile: bool = False


OpenJudge = Callable[[str | None, JudgeOptions], "Judge"]
_registered: dict[str, OpenJudge] = {}


def register_judge(name: str, open_judge: OpenJudge) -> None:
    """Make a judge known under ``name`` in this process, for all commands and nodes.

    Raises:
        JudgeError: the name is taken, or cannot be told from a source (it has a colon).
    """
    if not name or ":" in name or name in judge_names():
        raise JudgeError(f"A judge cannot be called {name!r}: the name is empty, has a colon, or is taken.")
    _registered[name] = open_judge


def unregister_judge(name: str) -> None:
    """Forget what ``register_judge`` was told."""
    _registered.pop(name, None)


def judge_names() -> list[str]:
    """Names of all judges, those of this folder first. Nothing is imported."""
    return list(dict.fromkeys([*_files(), *_registered, *_entry_points()]))


def parse_judge(text: str) -> tuple[str, str | None]:
    """``NAME`` or ``NAME:SOURCE`` as name and source.

    Raises:
        JudgeError: there is no judge of that name.
    """
    name, _, source = text.partition(":")
    if name not in judge_names():
        raise JudgeError(f"There is no judge {name!r}. Judges: {', '.join(judge_names())}; NAME or NAME:SOURCE.")
    return name, source or None


def judge_or_reward(text: str) -> str:
    """``text`` where it names a judge; else it is the source of a VideoReward, as options said before there were others."""
    return text if text.partition(":")[0] in judge_names() else f"videoreward:{text}"


def open_judge(text: str, options: JudgeOptions | None = None) -> Judge:
    """The judge that ``NAME`` or ``NAME:SOURCE`` names, ready to score.

    Raises:
        JudgeError: there is no such judge, or it cannot be opened like this.
        CheckpointError: its weights cannot be used.
    """
    name, source = parse_judge(text)
    if name in _files():
        opened = importlib.import_module(f".{_files()[name]}", __package__).open_judge
    else:
        opened = _registered.get(name) or _entry_points()[name].load()
    return opened(source, options or JudgeOptions())


def open_panel(texts: Sequence[str], options: JudgeOptions | None = None) -> Judge:
    """One judge as ``open_judge`` gives it; several as a ``reward.panel.Panel``, which decodes each clip once for all.

    Args:
        texts: NAME or NAME:SOURCE of each. ``options.sampling`` is the first one's; the others keep their own rule.

    Raises:
        JudgeError, CheckpointError: see ``open_judge``.
    """
    options = options or JudgeOptions()
    first, *further = texts
    judges = [open_judge(first, options), *(open_judge(text, replace(options, sampling={})) for text in further)]
    if not further:
        return judges[0]
    from ..reward.panel import Panel

    return Panel(judges)


def _files() -> dict[str, str]:
    return {module.name.replace("_", "-"): module.name for module in pkgutil.iter_modules(__path__)}


def _entry_points() -> dict:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}
