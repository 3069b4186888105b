"""The journal of a scoring run: what is done already, safe against kill -9 and against several processes.

A run with ``--output scores.csv`` keeps the folder ``scores.csv.run``: ``run.json`` says with which model and settings,
and each process appends finished rows to its own ``part-RANK-of-WORLD.jsonl``. A later run reads all parts, whatever
their number, and goes on; the output is written from them once every row is there.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

from ..reward.atomic_file import replacing
from ..reward.errors import VideoAlignError
from .score_rows import ScoreRow

CSV_COLUMNS = (
    "id", "path", "prompt", "VQ", "MQ", "TA", "Overall", "VQ_raw", "MQ_raw", "TA_raw",
    "frame_indices", "height", "width", "total_frames", "fps", "error",
)  # fmt: skip


class ScoreJournal:
    """Finished rows of one scoring run.

    Args:
        output: the file that the run will write, ``.csv`` or ``.jsonl``.
        settings: what the scores depend on (model fingerprint, sampling); a journal of other settings is refused.
        rank, world: this process and their number.
        overwrite: forget an earlier run.

    Raises:
        VideoAlignError: the output exists without a journal, or the journal is of another model or other settings.
    """

    def __init__(self, output: Path, settings: dict, rank: int, world: int, overwrite: bool) -> None:
        if output.suffix.lower() not in (".csv", ".jsonl"):
            raise VideoAlignError(f"--output {output}: the name must end in .csv or .jsonl.")
        self.output = output
        self.folder = output.with_name(output.name + ".run")
        if overwrite:
            if world > 1:
                raise VideoAlignError(
                    f"--overwrite does not work with several processes; delete {output} and {self.folder} first."
                )
            shutil.rmtree(self.folder, ignore_errors=True)
            output.unlink(missing_ok=True)
        elif output.exists() and not self.folder.is_dir():
            raise VideoAlignError(
                f"{output} exists and was not made by an unfinished run. Choose another --output, or --overwrite."
            )
        self._check_settings(settings)
        self._part = self.folder / f"part-{rank}-of-{world}.jsonl"
        _drop_torn_line(self._part)
        self._file = self._part.open("a", encoding="utf-8")

    def finished(self, rows: list[ScoreRow]) -> dict[str, dict]:
        """Results of those of ``rows`` that were scored without error, by id. A row that changed since does not count."""
        wanted = {row.id: row for row in rows}
        done = {}
        for result in self._results():
            row = wanted.get(result["id"])
            same = (
                row
                and result["path"] == str(row.path)
                and result["prompt"] == row.prompt
                and result["fps_given"] == row.fps
            )
            if same and "error" not in result:
                done[result["id"]] = result
        return done

    def add(self, row: ScoreRow, result: dict) -> None:
        """Append a finished row; it survives the death of the process."""
        self._file.write(json.dumps({**result, "fps_given": row.fps}) + "\n")
        self._file.flush()

    def write_output(self, rows: list[ScoreRow]) -> list[dict] | None:
        """Write the output in the order of ``rows`` if all of them are done (or failed); returns the results, else None."""
        latest = {result["id"]: result for result in self._results()}
        latest.update(self.finished(rows))  # a success of one process outlives a failure of another
        if any(row.id not in latest for row in rows):
            return None
        results = [{key: value for key, value in latest[row.id].items() if key != "fps_given"} for row in rows]
        with replacing(self.output) as temporary:
            (write_csv if self.output.suffix.lower() == ".csv" else write_jsonl)(temporary, results)
        return results

    def close(self) -> None:
        """Close this process's part."""
        self._file.close()

    def _check_settings(self, settings: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "run.json"
        if not file.exists():
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        found = json.loads(file.read_text(encoding="utf-8"))
        changed = [key for key in settings if found.get(key) != settings[key]]
        if changed:
            raise VideoAlignError(
                f"{self.folder} belongs to a run with another {', '.join(changed)}. Use that again, choose another --output, or --overwrite."
            )

    def _results(self):
        for part in sorted(self.folder.glob("part-*.jsonl")):
            with part.open(encoding="utf-8") as file:
                # The last line of another process may still be under way.
                yield from (json.loads(line) for line in file if line.endswith("\n"))


def write_jsonl(path: Path, results: list[dict]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(result, ensure_ascii=False) + "\n" for result in results), encoding="utf-8")


def write_csv(path: Path, results: list[dict]) -> None:
    """A flat table; raw scores and size in columns of their own, frame indices separated by spaces."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for result in results:
            flat = dict(result)
            flat.update({f"{name}_raw": value for name, value in result.get("raw", {}).items()})
            if "size" in result:
                flat["height"], flat["width"] = result["size"]
                flat["frame_indices"] = " ".join(map(str, result["frame_indices"]))
            writer.writerow({key: "" if flat.get(key) is None else flat[key] for key in CSV_COLUMNS})


def _drop_torn_line(part: Path) -> None:
    """Cut a half-written last line, left by a process that was killed while writing it."""
    if not part.exists():
        return
    content = part.read_bytes()
    keep = content.rfind(b"\n") + 1
    if keep < len(content):
        with part.open("r+b") as file:
            file.truncate(keep)
