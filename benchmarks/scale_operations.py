"""What is done with large files: each operation as a user runs it, and the files that it reads, made of any number of rows.

    work = OPERATIONS[name].begin(folder, 100_000)  # writes its files; not measured
    work()                                          # measured

Scores, labels and choices are drawn: rankings are neither all equal nor all clear.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

RATED = ("VQ", "MQ", "TA", "Overall")
LABELS = ("A", "B", "same")
Work = Callable[[], object]


@dataclass(frozen=True)
class Operation:
    """Something whose time and memory grow with its rows.

    Attributes:
        begin: takes an empty folder and a number of rows; writes the files, returns what is measured.
        sizes: numbers of rows, each ten times the one before.
    """

    begin: Callable[[Path, int], Work]
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)


def read_native(folder: Path, rows: int) -> Work:
    """A preference file of this project, checked and resolved as a trainer does, a share of its prompts held out."""
    file = folder / "pairs.jsonl"
    draw = random.Random(0)
    _write(file, (_json(_pair(row, draw)) for row in range(rows)))

    def work() -> object:
        from videoalign.preferences.reading import read_pairs
        from videoalign.preferences.splits import hold_out

        return hold_out(read_pairs([file], clips_needed=False), 0.05, seed=0)

    return work


def read_official(folder: Path, rows: int) -> Work:
    """VideoAlign's CSV of preferences, checked and resolved."""
    file = folder / "pairs.csv"
    _write(file, _csv(rows))

    def work() -> object:
        from videoalign.preferences.reading import read_pairs

        return read_pairs([file], clips_needed=False)

    return work


def make_pairs(of_a_prompt: int | None, *options: str) -> Callable[[Path, int], Work]:
    """``videoalign pairs`` of a score file with so many clips of each prompt (None: all clips are of one)."""

    def begin(folder: Path, rows: int) -> Work:
        scores, clips = folder / "scores.jsonl", of_a_prompt or rows
        for number in range(clips):
            _touch(folder / f"{number}.mp4")
        draw = random.Random(0)
        cells = ((f"{row % clips}.mp4", f"prompt {row // clips}") for row in range(rows))
        _write(scores, (_json({"path": path, "prompt": prompt, **_marks(draw)}) for path, prompt in cells))
        words = ["pairs", str(scores), "--output", str(folder / "made.jsonl"), "--overwrite", *options]
        return lambda: _command(words)

    return begin


def win_rate_intervals(_: Path, rows: int) -> Work:
    """Win rates of pairs with their intervals, in four dimensions; four seeds a prompt."""
    draw = random.Random(0)
    marks = [[_marks(draw) for _ in range(rows)] for _ in range(2)]
    prompts = [f"prompt {row // 4}" for row in range(rows)]

    def work() -> object:
        from videoalign.reward.dimensions import VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL
        from videoalign.reward.win_rates import win_rates

        return win_rates((*VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL), *marks, prompts)

    return work


def held_out_ties(_: Path, rows: int) -> Work:
    """Accuracy with ties, the threshold fitted on the other half of the prompts; its interval of 100 resamples."""
    draw = random.Random(0)
    labels = [draw.choice((1, -1, 0)) for _ in range(rows)]
    differences = [label + draw.gauss(0, 1) for label in labels]
    prompts = [row // 10 for row in range(rows)]

    def work() -> object:
        from videoalign.reward.tie_calibration import held_out_ties

        return held_out_ties(labels, differences, prompts, resamples=100)

    return work


def bench(folder: Path, rows: int) -> Work:
    """``videoalign bench --scores``: every pair is of the same two clips, under a prompt of its own; 100 resamples."""
    return _bench(
        folder,
        _csv(rows, ("a.mp4", "b.mp4")),
        [(f"{side}.mp4", f"prompt {row}") for row in range(rows) for side in "ab"],
        100,
    )


def published_bench(folder: Path, rows: int) -> Work:
    """The same with the resamples that it has by itself; 60 pairs a prompt and twelve models, as VideoGen-RewardBench has."""
    clips = [(f"{side}/{row}.mp4", f"prompt {row // 60}") for row in range(rows) for side in "ab"]
    return _bench(folder, _csv(rows, of_a_prompt=60, models=12), clips, 1_000)


def _bench(folder: Path, pairs: Iterable[str], clips: Iterable[tuple[str, str]], resamples: int) -> Work:
    file, scores, output = folder / "bench.csv", folder / "scores.jsonl", folder / "bench"
    draw = random.Random(0)
    _write(file, pairs)
    _write(scores, (_json({"path": path, "prompt": prompt, **_marks(draw)}) for path, prompt in clips))
    words = ["bench", str(file), "--scores", str(scores), "--output", str(output), "--overwrite"]
    return lambda: _command([*words, "--resamples", str(resamples)])


def score_again(folder: Path, rows: int) -> Work:
    """``videoalign score --manifest`` of which every row is in the journal already; four captions a clip, CSV out."""
    from videoalign.files.journal import append_records

    manifest, output = folder / "manifest.csv", folder / "scores.csv"
    _write(manifest, ["id,path,prompt", *(f"row {row},{row // 4}.mp4,prompt {row}" for row in range(rows))])
    files = [_touch(folder / f"{number}.mp4").stat() for number in range(-(-rows // 4))]
    words = ["score", "--manifest", str(manifest), "--judge", "micro-world", "--output", str(output)]
    journal = output.with_name("scores.csv.run")
    journal.mkdir()
    _write(journal / "run.json", [_json({"judge": "micro-world", "measurement": 1})])
    draw = random.Random(0)
    records = []
    for row in range(rows):
        about = {"id": f"row {row}", "path": str(folder / f"{row // 4}.mp4"), "prompt": f"prompt {row}"}
        state = files[row // 4]
        given = {**about, "fps": None, "file": [state.st_size, state.st_mtime_ns]}
        records.append({"row": given, "result": {**about, **_marks(draw), "judge": "micro-world"}})
    append_records(journal / "part-0-of-1.jsonl", records, checksum=True)
    return lambda: _command(words)


def new_rows(folder: Path, rows: int) -> Work:
    """Rows that a journal takes one by one, each on the disk before the next."""
    from videoalign.evaluation.scoring.score_journal import ScoreJournal
    from videoalign.evaluation.scoring.score_rows import ScoreRow

    draw = random.Random(0)
    clip = _touch(folder / "clip.mp4")
    given = [ScoreRow(f"row {row}", clip, f"prompt {row}") for row in range(rows)]
    results = [{"id": row.id, "path": str(clip), "prompt": row.prompt, **_marks(draw)} for row in given]

    def work() -> None:
        journal = ScoreJournal(folder / "new.jsonl", {"judge": "micro-world"}, 0, 1, True)
        for row, result in zip(given, results, strict=True):
            journal.add(row, result)

    return work


def merge(folder: Path, rows: int) -> Work:
    """``videoalign choose merge`` of three people, who judged the same pairs."""
    files = [folder / f"choices_{name}.jsonl" for name in ("Anna", "Ben", "Cleo")]
    for seed, file in enumerate(files):
        draw = random.Random(seed)
        _write(file, (_json(_pair(row, draw)) for row in range(rows)))
    words = ["choose", "merge", *map(str, files), "--output", str(folder / "merged.jsonl"), "--overwrite"]
    return lambda: _command(words)


MOST = ("--pairing", "margin", "--pairs-per-prompt", "10")
SMALL, SQUARE = (1_000, 10_000), (100, 1_000, 10_000)
OPERATIONS = {
    "preferences, JSONL: read, check, hold out": Operation(read_native),
    "preferences, VideoAlign's CSV: read, check": Operation(read_official),
    "pairs: best and worst of 4 clips a prompt": Operation(make_pairs(4)),
    "pairs: 10 of the 50 clips of a prompt": Operation(make_pairs(50, *MOST)),
    "pairs: 10 of all clips of one prompt": Operation(make_pairs(None, *MOST), SQUARE),
    "win rates with intervals": Operation(win_rate_intervals),
    "ties, held out, 100 resamples": Operation(held_out_ties),
    "bench, a prompt for each pair, 100 resamples": Operation(bench),
    "bench of VideoGen-RewardBench's size, 1,000 resamples": Operation(published_bench, (2_646, 26_457)),
    "score, new rows into the journal": Operation(new_rows, SMALL),
    "score, every row in the journal": Operation(score_again),
    "choose merge, three people": Operation(merge),
}


def _command(words: list[str]) -> None:
    """A command as the terminal runs it; what it prints is not shown."""
    from videoalign.cli.main import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(words)
    if status:
        raise RuntimeError(f"videoalign {' '.join(words)} ended with {status}: {said.getvalue()[-500:]}")


def _marks(draw: random.Random) -> dict[str, float]:
    marks = {name: draw.gauss(0, 1) for name in ("VQ", "MQ", "TA")}
    return {**marks, "Overall": sum(marks.values())}


def _pair(row: int, draw: random.Random) -> dict:
    labels = {name: draw.choice(LABELS) for name in RATED}
    return {"prompt": f"prompt {row // 10}", "chosen": f"a/{row}.mp4", "rejected": f"b/{row}.mp4", "labels": labels}


def _csv(rows: int, clips: tuple[str, str] | None = None, of_a_prompt: int = 10, models: int = 2) -> Iterable[str]:
    """Rows of VideoAlign's CSV; where ``clips`` are given every pair is of these two, under a prompt of its own."""
    draw = random.Random(0)
    yield "path_A,path_B,A_model,B_model,prompt,VQ,MQ,TA,Overall"
    for row in range(rows):
        paths = ",".join(clips or (f"a/{row}.mp4", f"b/{row}.mp4"))
        made_by = ",".join(f"model {number}" for number in draw.sample(range(models), 2))
        prompt = row if clips else row // of_a_prompt
        yield f"{paths},{made_by},prompt {prompt},{','.join(draw.choice(LABELS) for _ in RATED)}"


def _json(value: object) -> str:
    return json.dumps(value)


def _touch(file: Path) -> Path:
    file.touch()
    return file


def _write(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
