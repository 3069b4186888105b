"""The native preference file: JSONL, one pair of clips a line, with one label per dimension.

    {"prompt": "a red ball rolls left", "chosen": "clips/a.mp4", "rejected": "clips/b.mp4",
     "labels": {"VQ": "A", "MQ": "same", "TA": "B"}}

- `chosen` and `rejected` are paths relative to the file. In `labels`, A is the chosen clip and B the rejected one, so a
  pair that is better in one respect and worse in another is chosen as a whole and says "B" where it is worse.
- Who is chosen when the dimensions disagree: the winner of Overall; without one, the clip that wins more of the other
  dimensions; if that is even as well, the clip that the source calls A (see `pair_of_sides`). A trainer that wants one
  dimension alone asks `PreferencePair.preferring`, which turns the pair around or drops it.
- `source` remembers which clip was A in the file it came from, and the columns that have no place here, so that
  exporting to that format gives back what was imported.

This is the model of a pair and the writer; `reading` reads this form and, by `importers`, all others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from ..errors import PreferenceFileError
from ..files.atomic_file import write_text
from ..files.json_text import finite_or_none
from ..files.portable_paths import path_text, same_path, table_path
from ..files.tables import shown

LABELS = ("A", "B", "same", "invalid")
LABEL_CODES = {"A": 1, "B": -1, "same": 0, "invalid": 22}
"""Labels as the integers that `reward.preference_losses` takes."""
OPPOSITE = {"A": "B", "B": "A", "same": "same", "invalid": "invalid"}

Dimension = Literal["VQ", "MQ", "TA", "Overall"]
Label = Literal["A", "B", "same", "invalid"]
FilledText = Annotated[str, StringConstraints(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Strict):
    """Where an imported pair comes from."""

    format: FilledText = Field(description="importer that read it, such as videoalign")
    row: int | None = Field(None, ge=1, description="row in the imported file, counted from 1")
    a: Literal["chosen", "rejected"] = Field("chosen", description="which clip the imported file calls A")
    both_bad: bool = Field(False, description="a tie in which people found both clips bad")
    columns: dict[str, Any] = Field(default_factory=dict, description="columns without a place in the native form")

    @field_validator("columns")
    @classmethod
    def _writable(cls, columns: dict[str, Any]) -> dict[str, Any]:
        """NaN and infinity, which some programs write into JSON and which no JSON may hold, as null."""
        return {name: finite_or_none(value) for name, value in columns.items()}


class PreferencePair(_Strict):
    """Two clips of one prompt and who prefers which. Raises pydantic's ValidationError for unknown keys and values."""

    prompt: str = Field(description="the text that both clips were made from")
    chosen: FilledText = Field(description="path of the preferred clip (A in labels), relative to the file")
    rejected: FilledText = Field(description="path of the other clip (B in labels), relative to the file")
    id: FilledText | None = Field(None, description="name of the pair, unique in the file")
    labels: dict[Dimension, Label] = Field(default_factory=dict, description="per dimension: A = chosen is better")
    scores_chosen: dict[FilledText, float] = Field(
        default_factory=dict, description="marks by name, each in its judge's unit; VQ, MQ, TA and Overall among them"
    )
    scores_rejected: dict[FilledText, float] = Field(default_factory=dict, description="of the other clip, likewise")
    weight: float = Field(1.0, ge=0, description="how much the pair counts in training; 1 is normal")
    fps: float | None = Field(None, gt=0, description="frames per second of both clips, if they share it")
    source: Source | None = Field(None, description="where the pair was imported from")

    def label_codes(self, dimensions: Sequence[str]) -> list[int]:
        """1 chosen better, -1 rejected better, 0 tie, 22 invalid or not labelled, in the order of `dimensions`."""
        return [LABEL_CODES[self.labels.get(dimension, "invalid")] for dimension in dimensions]

    def swapped(self) -> PreferencePair:
        """The same judgement with the two clips' roles exchanged."""
        source = self.source
        if source is not None:
            source = source.model_copy(update={"a": "rejected" if source.a == "chosen" else "chosen"})
        return self.model_copy(
            update={
                "chosen": self.rejected,
                "rejected": self.chosen,
                "labels": {dimension: OPPOSITE[label] for dimension, label in self.labels.items()},
                "scores_chosen": self.scores_rejected,
                "scores_rejected": self.scores_chosen,
                "source": source,
            }
        )

    def preferring(self, dimension: str) -> PreferencePair | None:
        """The pair turned so that `chosen` wins this dimension; None for a tie, an invalid label or none."""
        label = self.labels.get(dimension)
        if label == "A":
            return self
        return self.swapped() if label == "B" else None

    def in_source_order(self) -> PreferencePair:
        """The pair turned so that `chosen` is the clip that the imported file called A."""
        return self.swapped() if self.source is not None and self.source.a == "rejected" else self

    def as_line(self) -> str:
        """The pair as a line of the native file, without the line's end."""
        return json.dumps(self.model_dump(exclude_defaults=True), ensure_ascii=False)


def pair_of_sides(path_a: str, path_b: str, labels: Mapping[str, str], **fields: Any) -> PreferencePair:
    """A pair from a source with sides A and B: `labels` per dimension, `scores_a` / `scores_b` and other fields.

    Overall decides who is chosen; without a winner there, the majority of the other dimensions' winners; else A.

    Raises:
        PreferenceFileError: a value that no preference file can hold.
    """
    scores_a, scores_b = fields.pop("scores_a", {}), fields.pop("scores_b", {})
    try:
        pair = PreferencePair(
            chosen=path_a,
            rejected=path_b,
            labels=dict(labels),
            scores_chosen=dict(scores_a),
            scores_rejected=dict(scores_b),
            **fields,
        )
    except ValidationError as error:  # a path with half a character (a lone surrogate), or a number that is none
        problem, source = error.errors(include_url=False)[0], fields.get("source")
        row = f"row {source.row}, " if source is not None and source.row is not None else ""
        key = ".".join(map(str, problem["loc"]))
        raise PreferenceFileError(
            f"{row}key {key!r}: found {shown(problem['input'])}; {problem['msg']}. Correct it."
        ) from None
    votes = [LABEL_CODES[label] for name, label in labels.items() if label in ("A", "B") and name != "Overall"]
    decision = {"A": 1, "B": -1}.get(labels.get("Overall", ""), sum(votes))
    return pair.swapped() if decision < 0 else pair


@dataclass(frozen=True)
class ResolvedPair:
    """A pair whose clips are ready to open: what every trainer takes.

    Attributes:
        pair: who prefers which; A is the chosen clip, B the rejected one.
        chosen, rejected: the clips' files.
        name: file, row and id, for error messages.
        format: of the file that the pair was read from.
    """

    pair: PreferencePair
    chosen: Path
    rejected: Path
    name: str
    format: str = "native"

    @property
    def prompt(self) -> str:
        """The text that both clips were made from."""
        return self.pair.prompt

    @property
    def fps(self) -> float | None:
        """Frames per second of both clips, where their containers are wrong."""
        return self.pair.fps

    @property
    def clips(self) -> dict[str, Path]:
        """The two files by side."""
        return {"chosen": self.chosen, "rejected": self.rejected}


@dataclass(frozen=True)
class Preferences(Sequence):
    """The pairs of one file, and the folder that their relative paths start from."""

    pairs: list[PreferencePair]
    root: Path
    path: Path | None = None
    format: str = "native"
    rows: list[int] = field(default_factory=list)
    """Row or line of each pair in the file, for messages; empty if there is no file."""

    def __post_init__(self) -> None:
        """Every reader's result comes by here: a pair of a clip with itself is nobody's preference."""
        for index, pair in enumerate(self.pairs):
            if same_path(pair.chosen, pair.rejected):
                raise PreferenceFileError(
                    f"{self.path or 'preferences'}, row {self.row(index)}: both clips are {pair.chosen}. Correct the paths or "
                    "remove the row."
                )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]

    def __iter__(self) -> Iterator[PreferencePair]:
        return iter(self.pairs)

    def clip(self, index: int, side: Literal["chosen", "rejected"]) -> Path:
        """Path of one clip of pair `index`, ready to open."""
        return table_path(self.root, getattr(self.pairs[index], side))

    def row(self, index: int) -> int:
        """Row or line of pair `index` in the file, counted from 1."""
        return self.rows[index] if self.rows else index + 1

    def resolved(self) -> list[ResolvedPair]:
        """The pairs with their clips' files; whether these are there is for `check_clips`."""
        return [
            ResolvedPair(
                pair,
                self.clip(index, "chosen"),
                self.clip(index, "rejected"),
                f"{self.path or 'preferences'}, row {self.row(index)}" + (f" ({pair.id})" if pair.id else ""),
                self.format,
            )
            for index, pair in enumerate(self.pairs)
        ]

    def check_clips(self) -> None:
        """Raise PreferenceFileError that names the rows and the first paths whose clip is not there."""
        missing = [
            (self.row(index), side, self.clip(index, side))
            for index in range(len(self))
            for side in ("chosen", "rejected")
            if not os.path.isfile(self.clip(index, side))
        ]
        if missing:
            shown = "; ".join(f"row {row}: {side} {path}" for row, side, path in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise PreferenceFileError(
                f"{self.path or 'preferences'}: {len(missing)} clips are missing: {shown}{more}. Paths start from "
                f"{self.root}; pass the folder of the clips as root if they lie elsewhere."
            )

    def relative_to(self, folder: Path) -> Preferences:
        """The same pairs with their relative paths rewritten to start from `folder`; absolute ones stay."""
        start, root = Path(folder).resolve(), self.root.resolve()
        if start == root:
            return replace(self, root=Path(folder))

        def moved(path: str) -> str:
            if os.path.isabs(path) or PureWindowsPath(path).is_absolute() or path.startswith("~"):
                return path
            file = table_path(root, path)
            try:
                return path_text(os.path.relpath(file, start))
            except ValueError:  # another drive
                return path_text(file)

        pairs = [p.model_copy(update={"chosen": moved(p.chosen), "rejected": moved(p.rejected)}) for p in self.pairs]
        return replace(self, pairs=pairs, root=Path(folder))


def write_preferences(path: str | os.PathLike, preferences: Preferences | Iterable[PreferencePair]) -> None:
    """Write the native file atomically. Paths of `Preferences` become relative to it; bare pairs stay as they are."""
    path = Path(path)
    pairs = preferences.relative_to(path.parent).pairs if isinstance(preferences, Preferences) else list(preferences)
    write_text(path, "".join(pair.as_line() + "\n" for pair in pairs))
