"""``videoalign measure``: what can be measured of clips without a reward, as a table, over time, and as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ..cli.options import CommandConfig, positional

if TYPE_CHECKING:
    from .filmstrip import Film


class Config(CommandConfig):
    """Measure clips: motion, flicker, standstill, sharpness, light, colour, cuts. Needs OpenCV, and no weights.

    Printed is a number for each measurement and clip; --output takes the values over time, one row a frame, and --page shows them under
    the frames. A clip that cannot be measured is told of, the others go on, and the exit status is 1. For a table of many clips:
    videoalign score CLIPS --judge measures --output FILE.csv
    """

    clips: list[str] = positional(default=[], description="Files, folders or glob patterns.")
    output: Path | None = Field(None, description="Write the values over time to this .csv file.")
    page: Path | None = Field(None, description="Write the frames with the values over time to this .html file.")
    fps: float | None = Field(None, gt=0, description="Override the clips' own frame rate, in frames per second.")

    @model_validator(mode="after")
    def _something_to_measure(self) -> Config:
        if not self.clips:
            raise ValueError("give at least one clip")
        for name, path, suffix in (("output", self.output, ".csv"), ("page", self.page, ".html")):
            if path is not None and path.suffix.lower() != suffix:
                raise ValueError(f"--{name} {path}: the name must end in {suffix}")
        return self


def run(config: Config) -> int:
    """Measure, print, write; returns 0 when every clip was measured, 1 when some were not.

    Raises:
        VideoAlignError: there is no OpenCV, no clip, or a file cannot be written.
    """
    from ..clips.find import find_clips
    from ..errors import VideoAlignError
    from ..files.atomic_file import write_text
    from ..files.csv_text import csv_text
    from .filmstrip import read_film, write_filmstrips
    from .measure_table import measure_table
    from .opencv import opencv
    from .time_table import COLUMNS, time_rows

    opencv()
    films: list[Film] = []
    failed = 0
    for path in find_clips(config.clips):
        try:
            films.append(read_film(path, config.fps))
        except VideoAlignError as error:
            failed += 1
            print(f"videoalign measure: {path}: {error}", file=sys.stderr)
    if films:
        print(measure_table([(film.name, film.trace) for film in films]))
        if config.output is not None:
            rows = (row for film in films for row in time_rows(film.name, film.trace))
            write_text(config.output, csv_text(rows, COLUMNS))
            print(f"The values over time are in {config.output}.", file=sys.stderr)
        if config.page is not None:
            write_filmstrips(config.page, films)
            print(f"Open {config.page} to see them under the frames.", file=sys.stderr)
    return 1 if failed else 0
