"""The journal of a scoring run: what is done already, safe against kill -9 and against several processes.

A run with ``--output scores.csv`` keeps the folder ``scores.csv.run``: ``run.json`` says with which model and settings,
and each process appends finished rows to its own ``part-RANK-of-WORLD.jsonl``. A later run reads all parts, whatever
their number, and goes on; the output is written from them once every row is there. Which process scores what is told by
``files/claims.py`` in the same folder.

A line of a part is ``{"row": {id, path, prompt, fps, file}, "result": {...}}`` with a checksum. ``file`` is the clip's size and
time of change: a clip that was made anew under its old name is scored anew.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...errors import FileError, VideoAlignError
from ...files.atomic_file import write_json, write_text
from ...files.claims import others_at_work
from ...files.csv_text import csv_text
from ...files.journal import append_records, read_journal
from ...files.json_text import read_json
from ...files.portable_paths import relative_text
from ...reward.dimensions import RATED, VIDEO_REWARD_DETAILS
from ...reward.judge import FIRST_JUDGE, Judge
from ...reward.panel import Panel, Seat, seats_of
from .score_rows import ScoreRow


def csv_columns(judge: Judge) -> tuple[str, ...]:
    """The columns of a judge's CSV file: the row, its marks (and why), the judge's details, error, the judge's name and notes on the clip.

    Those of a panel are its judges' one after another, with who refused the clip and which marks are the better the lower.
    """
    seats = seats_of(judge)
    marks = [name for seat in seats for name in _mark_columns(seat)]
    of_panel = ("errors", "lower_is_better") if isinstance(judge, Panel) else ()
    return ("id", "path", "prompt", *marks, *judge.details, "error", *of_panel, "judge", "notes")


def _mark_columns(seat: Seat) -> list[str]:
    names = [dimension.name for dimension in seat.dimensions]
    return names + ([f"{name}_reason" for name in names] if seat.judge.gives_reasons else [])


def is_whole(result: dict) -> bool:
    """Whether a row has the marks of every judge that was asked."""
    return _wholeness(result) == 2


def _wholeness(result: dict) -> int:
    """0: no marks at all; 1: some of several judges refused; 2: all that there is."""
    return 0 if "error" in result else 1 if result.get("errors") else 2


CSV_COLUMNS = (
    "id", "path", "prompt", *RATED, *VIDEO_REWARD_DETAILS, "error", "judge", "notes",
)  # fmt: skip
"""Those of VideoReward: 0.1.0's, the judge, and notes on the clip."""


def check_output(output: Path, world: int, overwrite: bool) -> None:
    """Refuse an output that cannot be used, before anything slow is done.

    Raises:
        VideoAlignError: another suffix, or the file exists and belongs to no unfinished run.
    """
    if output.suffix.lower() not in (".csv", ".jsonl"):
        raise VideoAlignError(f"--output {output}: the name must end in .csv or .jsonl.")
    if overwrite and (world > 1 or others_at_work(_folder(output))):
        raise VideoAlignError(
            f"--overwrite does not work with several processes; delete {output} and {_folder(output)} first."
        )
    if output.exists() and not overwrite and not _folder(output).is_dir():
        raise VideoAlignError(
            f"{output} exists and was not made by an unfinished run. Choose another --output, or --overwrite."
        )


class ScoreJournal:
    """Finished rows of one scoring run.

    Args:
        output: the file that the run will write, ``.csv`` or ``.jsonl``.
        settings: what the scores depend on (judge, model fingerprint, sampling); a journal of other settings is refused.
        rank, world: this process and their number.
        overwrite: forget an earlier run.
        columns: of a CSV output; see ``csv_columns``.

    Raises:
        VideoAlignError: the output exists without a journal, the journal is of another model or other settings, or
            nothing can be written there.
    """

    def __init__(
        self,
        output: Path,
        settings: dict,
        rank: int,
        world: int,
        overwrite: bool,
        columns: tuple[str, ...] = CSV_COLUMNS,
    ) -> None:
        check_output(output, world, overwrite)
        self.output, self.columns = output, columns
        self._judge = settings.get("judge")
        self.folder = _folder(output)
        self._files: dict[Path, list[int] | None] = {}
        self._reported: set[Path] = set()
        if overwrite:
            shutil.rmtree(self.folder, ignore_errors=True)
            output.unlink(missing_ok=True)
        with self._writing():
            self._check_settings(json.loads(json.dumps(settings)))
            self._part = self.folder / f"part-{rank}-of-{world}.jsonl"

    def finished(self, rows: list[ScoreRow]) -> dict[str, dict]:
        """Results of those of ``rows`` that were scored without any error, by id. A row or clip that changed does not count."""
        return {name: result for name, result in self._settled(rows).items() if is_whole(result)}

    def add(self, row: ScoreRow, result: dict) -> None:
        """Append a finished row; it survives the death of the process.

        Raises:
            VideoAlignError: it cannot be written (full disk).
        """
        with self._writing():
            append_records(self._part, [{"row": self._identity(row), "result": result}], checksum=True)

    def write_output(self, rows: list[ScoreRow]) -> list[dict] | None:
        """Write the output in the order of ``rows`` if all of them are done (or failed); returns the results, else None.

        Relative paths of clips start at the output's folder there, so that it can be read from anywhere.

        Raises:
            VideoAlignError: it cannot be written.
        """
        settled = self._settled(rows)
        if any(row.id not in settled for row in rows):
            return None
        results = [settled[row.id] for row in rows]
        with self._writing():
            written = [{**result, "path": relative_text(result["path"], self.output.parent)} for result in results]
            if self.output.suffix.lower() == ".csv":
                write_csv(self.output, written, self.columns)
            else:
                write_jsonl(self.output, written)
        return results

    def _settled(self, rows: list[ScoreRow]) -> dict[str, dict]:
        """Results and errors of ``rows`` as they are now; a success of one process outlives a failure of another."""
        wanted = {row.id: _text(self._identity(row)) for row in rows}
        settled: dict[str, dict] = {}
        for line in self._lines():
            name, result = line["row"]["id"], line["result"]
            if self._judge and "error" not in result:
                result.setdefault("judge", self._judge)  # a row of 0.1.0 does not say
            better = name not in settled or _wholeness(result) >= _wholeness(settled[name])
            if _text(line["row"]) == wanted.get(name) and better:
                settled[name] = result
        return settled

    def _identity(self, row: ScoreRow) -> dict:
        if row.path not in self._files:  # as it was when this run began, whatever happens to it meanwhile
            self._files[row.path] = _file_state(row.path)
        return {**vars(row), "path": str(row.path), "file": self._files[row.path]}

    def _lines(self) -> Iterator[dict]:
        for part in sorted(self.folder.glob("part-*.jsonl")):
            content = read_journal(part)
            if part not in self._reported:
                content.report(part)
                self._reported.add(part)
            for line in content.records:
                row, result = line.get("row"), line.get("result")
                whole = len(line) == 2 and isinstance(row, dict) and isinstance(result, dict)
                if whole and isinstance(row.get("id"), str):
                    yield line

    def _check_settings(self, settings: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "run.json"
        if not file.exists():
            write_json(file, settings)
        stored = read_json(file)
        stored.setdefault("judge", FIRST_JUDGE)
        changed = [key for key in settings if stored.get(key) != settings[key]]
        if changed:
            raise VideoAlignError(
                f"{self.folder} belongs to a run with another {', '.join(changed)}. Use that again, choose another --output, or --overwrite."
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (FileError, OSError) as error:
            raise VideoAlignError(
                f"{self.output} or its journal {self.folder} cannot be written ({error.__cause__ or error}). Rows that are done are kept: "
                "make room or choose another place, and run the same command again."
            ) from error


def _folder(output: Path) -> Path:
    return output.with_name(output.name + ".run")


def _file_state(path: Path) -> list[int] | None:
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return [state.st_size, state.st_mtime_ns]


def write_jsonl(path: Path, results: list[dict]) -> None:
    """One JSON object a line, in UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes a JSON escape."""
    write_text(path, "".join(json.dumps(result, ensure_ascii=False) + "\n" for result in results))


def write_csv(path: Path, results: list[dict], columns: tuple[str, ...] = CSV_COLUMNS) -> None:
    """A flat table; raw scores, reasons and size in columns of their own, frame indices separated by spaces."""
    write_text(path, csv_text([_flat(result) for result in results], columns))


def _flat(result: dict) -> dict:
    """A row's lists and dictionaries as cells; a judge of a panel has its own under its name (``videoreward-2.size``)."""
    flat = dict(result)
    for key, value in result.items():
        judge, dot, name = key.rpartition(".")
        if name == "raw" and isinstance(value, dict):
            flat.update({f"{judge}{dot}{one}_raw": raw for one, raw in value.items()})
        elif name == "size" and isinstance(value, list):
            flat[f"{judge}{dot}height"], flat[f"{judge}{dot}width"] = value
        elif name == "frame_indices" and isinstance(value, list):
            flat[key] = " ".join(map(str, value))
    flat.update({f"{name}_reason": text for name, text in result.get("reasons", {}).items()})
    flat["notes"] = "; ".join(result.get("notes", ()))
    if "errors" in result:
        flat["errors"] = "; ".join(f"{name}: {text}" for name, text in result["errors"].items())
    if "lower_is_better" in result:
        flat["lower_is_better"] = " ".join(result["lower_is_better"])
    return flat


def _text(identity: dict) -> str:
    """An identity to compare by: as numbers, a rate that is not a number would never equal itself."""
    return json.dumps(identity, sort_keys=True)
