"""``videoalign bench vbench-total``: VBench's own results in, its leaderboard's scores out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pydantic import Field, model_validator

from ..cli.options import CommandConfig, positional


class Config(CommandConfig):
    """VBench's quality, semantic and total score from the results that VBench wrote.

    Several files, such as one a dimension, are put together. A score to which a dimension is missing does not exist here, while
    VBench's own script counts the dimension as 0; the exit status is then 1.
    """

    results: list[Path] = positional(default=[], description="NAME_eval_results.json of VBench; one or several.")
    output: Path | None = Field(None, description="Write the scores to this .json file.")

    @model_validator(mode="after")
    def _has_results(self) -> Config:
        if not self.results:
            raise ValueError("name at least one file of VBench's results")
        return self


def run(config: Config) -> int:
    """Print (and write) the scores; returns 0, or 1 where there is no total.

    Raises:
        VideoAlignError: a file is none of VBench's, or cannot be written.
    """
    from ..files.atomic_file import write_json
    from .bench.vbench_total import read_vbench_results, vbench_scores, vbench_table

    scores = vbench_scores(read_vbench_results(config.results))
    if config.output is not None:
        write_json(config.output, asdict(scores))
    print(vbench_table(scores))
    return 0 if scores.total is not None else 1
