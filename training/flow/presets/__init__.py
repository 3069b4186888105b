"""Settings for a model and a size of GPU; a TOML file each, named ``<model>-<gigabytes>gb``, or ``micro``."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def preset_names() -> list[str]:
    """The names that ``--preset`` takes."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def preset_values(name: str) -> dict:
    """The options that a preset sets.

    Raises:
        ValueError: there is no such preset; the message lists what there is.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    names = preset_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise ValueError(f"there is no preset '{name}'{hint}; known are {', '.join(names)}")
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
