"""``videoalign choose export``: choices as VideoAlign's CSV."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ..cli.options import CommandConfig, positional
from ..errors import VideoAlignError


class Config(CommandConfig):
    """Write choices, or any preference file, as the CSV of VideoAlign and VideoGen-RewardBench.

    A and B are the clips as the person saw them. What the form has no column for follows in columns of its own.
    """

    file: Path | None = positional(default=None, description="Preference file (.jsonl).")
    output: Path | None = Field(None, description="CSV to write; the file's name with .csv by default.")
    overwrite: bool = Field(False, description="Replace an existing output.")


def run(config: Config) -> int:
    """Export; returns the exit status."""
    from .importers.videoalign import write_videoalign_csv
    from .reading import read_preferences

    if config.file is None:
        raise VideoAlignError("Give the preference file to export.")
    output = config.output or config.file.with_suffix(".csv")
    if output.exists() and not config.overwrite:
        raise VideoAlignError(f"{output} exists. Choose another --output, or allow --overwrite.")
    preferences = read_preferences(config.file)
    write_videoalign_csv(output, preferences)
    print(f"{len(preferences)} pairs in {output}.")
    return 0
