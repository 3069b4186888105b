"""Whether a checkpoint belongs to this run: what it depends on, by content where that can be had and not by path.

A folder that was moved, or a file that is named by another path, is the same data; other clips under the same names are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import TrainingStopped
from ...files.digests import sampled_digest
from ...files.joined_paths import paths_of

MICRO = "micro"
"""The embedded text encoder, whatever lies in the current folder under that name."""


def check_same_run(
    fingerprint: Mapping[str, Any], contents: Mapping[str, Any], state: Mapping[str, Any], folder: Path
) -> None:
    """Refuse a checkpoint of another run.

    Args:
        fingerprint: of this run: name -> what has to be the same.
        contents: those of its entries that are known by content; where the checkpoint has them (version 0.1.0 wrote none) they
            decide in the place of the fingerprint's.
        state: the checkpoint.
        folder: of the checkpoints, for the message.

    Raises:
        TrainingStopped: it belongs to another run, or to a longer one.
    """
    began, stored = state["fingerprint"], state.get("contents", {})
    changed = []
    for key in dict.fromkeys([*fingerprint, *began]):
        if key in contents and key in stored:
            same = stored[key] == contents[key]
        else:
            same = key == "steps" or began.get(key) == fingerprint.get(key)
        if not same:
            changed.append(key)
    if changed:
        replaced = "data" in changed and "data" in stored and began.get("data") == fingerprint["data"]
        under = " (there are other clips under the same names)" if replaced else ""
        raise TrainingStopped(
            f"{folder} belongs to a run with another {', '.join(changed)}{under}. Use that again, --overwrite it, or choose another "
            "--output."
        )
    if began["steps"] > fingerprint["steps"]:
        raise TrainingStopped(
            f"{folder} belongs to a run of {began['steps']} steps, and {fingerprint['steps']} are asked for. A run can be made longer, "
            f"not shorter: give max_steps {began['steps']} or more, --overwrite it, or choose another --output."
        )


def by_content(section: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A section of options in which files and folders of weights stand by a digest of their content.

    Args:
        names: of the options that may be paths; what is no file or folder stays as it is, and so does ``micro``.
    """
    values = dict(section)
    for name in names:
        value = values.get(name)
        if value and value != MICRO and (files := [file for path in paths_of(value) for file in _files(path)]):
            values[name] = sampled_digest(files)
    return values


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    return [path] if path.is_file() else []
