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

The other formats are in `importers`; `read_preferences` reads them all.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..errors import VideoAlignError
from ..reward.dimensions import RATED

DIMENSIONS = RATED
LABELS = ("A", "B", "same", "invalid")
LABEL_CODES = {"A": 1, "B": -1, "same": 0, "invalid": 22}
"""Labels as the integers that `reward.preference_losses` takes."""
OPPOSITE = {"A": "B", "B": "A", "same": "same", "invalid": "invalid"}

Dimension = Literal["VQ", "MQ", "TA", "Overall"]
Label = Literal["A", "B", "same", "invalid"]
FilledText = Annotated[str, StringConstraints(min_length=1)]


class PreferenceFileError(VideoAlignError):
    """A preference file cannot be used; the text names the file, the row, the key, what was found and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Strict):
    """Where an imported pair comes from."""

    format: FilledText = Field(description="importer that read it, such as videoalign")
    row: int | None = Field(None, ge=1, description="row in the imported file, counted from 1")
    a: Literal["chosen", "rejected"] = Field("chosen", description="which clip the imported file calls A")
    both_bad: bool = Field(False, description="a tie in which people found both clips bad")
    columns: dict[str, Any] = Field(default_factory=dict, description="columns without a place in the native form")


class PreferencePair(_Strict):
    """Two clips of one prompt and who prefers which. Raises pydantic's ValidationError for unknown keys and values."""

    prompt: str = Field(description="the text that both clips were made from")
    chosen: FilledText = Field(description="path of the preferred clip (A in labels), relative to the file")
    rejected: FilledText = Field(description="path of the other clip (B in labels), relative to the file")
    id: FilledText | None = Field(None, description="name of the pair, unique in the file")
    labels: dict[Dimension, Label] = Field(default_factory=dict, description="per dimension: A = chosen is better")
    scores_chosen: dict[Dimension, float] = Field(default_factory=dict, description="scores, in the scorer's unit")
    scores_rejected: dict[Dimension, float] = Field(default_factory=dict, description="of the other clip, likewise")
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


def pair_of_sides(path_a: str, path_b: str, labels: Mapping[str, str], **fields: Any) -> PreferencePair:
    """A pair from a source with sides A and B: `labels` per dimension, `scores_a` / `scores_b` and other fields.

    Overall decides who is chosen; without a winner there, the majority of the other dimensions' winners; else A.
    """
    scores_a, scores_b = fields.pop("scores_a", {}), fields.pop("scores_b", {})
    pair = PreferencePair(
        chosen=path_a,
        rejected=path_b,
        labels=dict(labels),
        scores_chosen=dict(scores_a),
        scores_rejected=dict(scores_b),
        **fields,
    )
    votes = [LABEL_CODES[label] for name, label in labels.items() if label in ("A", "B") and name != "Overall"]
    decision = {"A": 1, "B": -1}.get(labels.get("Overall", ""), sum(votes))
    return pair.swapped() if decision < 0 else pair


@dataclass(frozen=True)
class Preferences(Sequence):
    """The pairs of one file, and the folder that their relative paths start from."""

    pairs: list[PreferencePair]
    root: Path
    path: Path | None = None
    format: str = "native"
    rows: list[int] = field(default_factory=list)
    """Row or line of each pair in the file, for messages; empty if there is no file."""

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]

    def __iter__(self) -> Iterator[PreferencePair]:
        return iter(self.pairs)

    def clip(self, index: int, side: Literal["chosen", "rejected"]) -> Path:
        """Path of one clip of pair `index`, ready to open."""
        return self.root / getattr(self.pairs[index], side)

    def check_clips(self) -> None:
        """Raise PreferenceFileError that names the rows and the first paths whose clip is not there."""
        missing = [
            (self.rows[index] if self.rows else index + 1, side, self.clip(index, side))
            for index in range(len(self))
            for side in ("chosen", "rejected")
            if not self.clip(index, side).is_file()
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
            return path if os.path.isabs(path) else Path(os.path.relpath(root / path, start)).as_posix()

        pairs = [p.model_copy(update={"chosen": moved(p.chosen), "rejected": moved(p.rejected)}) for p in self.pairs]
        return replace(self, pairs=pairs, root=Path(folder))


def _explain(error: ValidationError, values: Any) -> str:
    """The first problem of a validation error in one sentence: key, what was found, what is allowed."""
    problem = error.errors(include_url=False)[0]
    keys = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        known = (Source if keys[0] == "source" and len(keys) > 1 else PreferencePair).model_fields
        close = difflib.get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}."
        return f"key {key!r} is unknown; {hint} Correct or remove it."
    if problem["type"] == "missing":
        return f"key {key!r} is missing; found {', '.join(values) or 'no keys'}. Add it."
    return f"key {key!r}: found {problem['input']!r}; {problem['msg'][0].lower()}{problem['msg'][1:]}. Correct it."


def _read_native(path: Path, root: Path) -> Preferences:
    pairs, rows, first_use = [], [], {}
    with open(path, encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            where = f"{path}, line {line}"
            try:
                values = json.loads(text)
            except json.JSONDecodeError as error:
                raise PreferenceFileError(
                    f"{where}: not valid JSON ({error.msg} at column {error.colno}). Each line must be one pair; "
                    "if the file was cut off, remove the last line."
                ) from error
            if not isinstance(values, dict):
                raise PreferenceFileError(f"{where}: found {type(values).__name__}; expected one JSON object per line.")
            try:
                pair = PreferencePair.model_validate(values)
            except ValidationError as error:
                raise PreferenceFileError(f"{where}: {_explain(error, values)}") from error
            if pair.id is not None and first_use.setdefault(pair.id, line) != line:
                raise PreferenceFileError(
                    f"{where}: id {pair.id!r} is already used on line {first_use[pair.id]}. Give every pair its own id."
                )
            pairs.append(pair)
            rows.append(line)
    return Preferences(pairs, root, path, "native", rows)


def read_preferences(
    path: str | os.PathLike, format: str = "auto", root: str | os.PathLike | None = None, **options: Any
) -> Preferences:
    """Read a preference file of any known format: native, or one of `importers.detect.READERS`.

    `format` "auto" tells it by the columns or keys. `root` is the folder that relative paths start from (default: the
    file's). `options` go to the importer. Raises PreferenceFileError with file, row, column and what to do.
    """
    from .importers.detect import READERS, detect_format  # here, since the importers import this module

    path = Path(path)
    if not path.is_file():
        raise PreferenceFileError(f"{path}: there is no such file. Check the path to the preference file.")
    root = Path(root) if root is not None else path.parent
    chosen = detect_format(path) if format == "auto" else format
    if chosen == "native":
        try:
            preferences = _read_native(path, root)
        except UnicodeDecodeError as error:
            raise PreferenceFileError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error
    elif chosen in READERS:
        preferences = READERS[chosen](path, root=root, **options)
    else:
        raise PreferenceFileError(f"format {chosen!r} is unknown; choose one of auto, native, {', '.join(READERS)}.")
    if not preferences.pairs:
        raise PreferenceFileError(f"{path}: no pairs found (read as {chosen}). Check that it is the right file.")
    return preferences


def write_text_atomically(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text so that a crash leaves either the old file or the new one, never half of one."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_preferences(path: str | os.PathLike, preferences: Preferences | Iterable[PreferencePair]) -> None:
    """Write the native file atomically. Paths of `Preferences` become relative to it; bare pairs stay as they are."""
    path = Path(path)
    pairs = preferences.relative_to(path.parent).pairs if isinstance(preferences, Preferences) else list(preferences)
    lines = [json.dumps(pair.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n" for pair in pairs]
    write_text_atomically(path, "".join(lines))
