"""Which pairs are trained on and which are held out: whole prompts, so that none is in both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from ..cli.options import CommandConfig
from ..errors import PreferenceFileError
from .preference_file import ResolvedPair
from .reading import read_pairs


class PairFiles(CommandConfig):
    """The preference files of a training; every trainer's section ``data`` begins with these."""

    train: list[Path] = Field(
        min_length=1,
        description="Preference files in any format that is read, or scored clips of the same prompts; repeat for several.",
    )
    eval: list[Path] = Field(
        [], description="Held-out preference files; without any, eval_share of the prompts is held out."
    )
    eval_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of the prompts that is held out when eval is empty, one prompt at least; 0: none is.",
    )
    root: Path | None = Field(
        None, description="Folder that the clips' paths start at; the preference file's own by default."
    )

    @property
    def clips_needed(self) -> bool:
        """Whether the clips have to be there."""
        return True


def split_pairs(files: PairFiles, seed: int) -> tuple[list[ResolvedPair], list[ResolvedPair]]:
    """Training and held-out pairs of some files; see `hold_out` for what is done where no held-out files are given.

    Raises PreferenceFileError: a file cannot be read, a clip is missing, or there is one prompt only and one should be
    held out.
    """
    train = read_pairs(files.train, files.root, files.clips_needed)
    if files.eval:
        return train, read_pairs(files.eval, files.root, files.clips_needed)
    return hold_out(train, files.eval_share, seed)


def held_out_count(prompts: int, share: float) -> int:
    """How many of so many prompts are held out: the share, one at least, and one at least is left; none for a share of 0."""
    return min(max(round(share * prompts), 1), prompts - 1) if share else 0


def hold_out(pairs: Sequence[ResolvedPair], share: float, seed: int) -> tuple[list[ResolvedPair], list[ResolvedPair]]:
    """Training and held-out pairs: `share` (0..1) of the prompts, drawn by `seed`, is set aside with all of their pairs.

    At least one prompt is held out and at least one is left to train on, however small or large the share; a share of 0
    holds nothing out. Raises PreferenceFileError where that cannot be, since there is one prompt only.
    """
    prompts = sorted({pair.prompt for pair in pairs})
    if share == 0:
        return list(pairs), []
    if len(prompts) < 2:
        raise PreferenceFileError(
            f"The {len(pairs)} training pairs have one prompt, so that none can be held out to measure on. Give pairs of "
            "more prompts, pairs of other prompts as data.eval, or data.eval_share = 0 to train without measuring."
        )
    count = held_out_count(len(prompts), share)
    import numpy as np

    chosen = set(np.random.default_rng(seed).permutation(prompts)[:count].tolist())
    return [pair for pair in pairs if pair.prompt not in chosen], [pair for pair in pairs if pair.prompt in chosen]
