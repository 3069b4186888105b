"""Scoring both sets of clips by all judges of a comparison, in one pass of decoding."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...clips.find import CLIP_LIST
from ...judges import open_judge
from ...reward.guard import watched
from ...reward.judge import Judge, all_dimensions
from .. import score_command
from ..scoring.score_journal import ScoreJournal, csv_columns
from ..scoring.score_rows import rows_from_manifest
from ..scoring.scoring_apart import judge_slug, score_apart
from ..scoring.scoring_run import Process, ScoringOptions, judge_options, leave_to_the_last, run_settings
from .judges import Judged, read_scores
from .matching import MadeClip

SIDES = ("base", "candidate")
MEASURES = "measures"


def judge_both(
    options: ScoringOptions,
    folders: Sequence[Path],
    output: Path,
    texts: Sequence[str],
    pairs: Sequence[tuple[MadeClip, MadeClip]],
    silent: Sequence[str] = (),
) -> list[Judged] | int:
    """What each judge says of both folders, or the status of the scoring that stopped.

    Args:
        options: how the judges are opened; the sampling options are the first one's.
        folders: of the base, of the candidate.
        output: folder for the score files.
        texts: the judges as they are named.
        silent: those of ``texts`` whose marks are not printed.
    """
    opening = judge_options(options)
    further = replace(opening, sampling={})
    judges = [open_judge(text, further if number else opening) for number, text in enumerate(texts)]
    files = {
        side: [
            output / (f"scores_{side}_{judge_slug(text)}.jsonl" if number else f"scores_{side}.jsonl")
            for number, text in enumerate(texts)
        ]
        for side in SIDES
    }
    for side, folder in zip(SIDES, folders, strict=True):
        status = score_folder(folder, files[side], options, texts, judges, silent)
        if status and (status != 1 or not all(file.is_file() for file in files[side])):  # 1: some clips failed
            return status
    everybody = []
    for number, (text, judge) in enumerate(zip(texts, judges, strict=True)):
        dimensions = all_dimensions(judge)
        details = [one.name for one in watched.MEASURES] if text == MEASURES else []
        marks, unscored = [], {}
        for position, side in enumerate(SIDES):
            clips, names = [pair[position] for pair in pairs], [one.name for one in dimensions]
            scores, missing = read_scores(files[side][number], clips, names, details)
            marks.append(scores)
            unscored |= {f"{side} {name}": why for name, why in missing.items()}
        everybody.append(
            Judged(_title(text, judge), dimensions, *marks, unscored, text, judge.overall and judge.overall.name)
        )
    return everybody


def _title(text: str, judge: Judge) -> str:
    if text == "videoreward:micro":
        return "the embedded micro VideoReward, for clips of the micro world"
    name, _, source = text.partition(":")
    return f"the reward {Path(source).stem}" if name == "videoreward" and source else judge.title


def score_folder(
    folder: Path,
    outputs: Sequence[Path],
    options: ScoringOptions,
    texts: Sequence[str],
    judges: Sequence[Judge],
    silent: Sequence[str] = (),
) -> int:
    """Score a generated folder by all judges in one pass; scores that are there already are kept.

    Args:
        outputs: a score file for each judge, as ``videoalign score`` writes it.
        texts, judges: the judges as they are named, and open.
        silent: those of ``texts`` whose marks are not printed.

    Returns:
        the status of ``videoalign score``: 1 where some clips failed, 130 when interrupted.
    """
    shared = {name: getattr(options, name) for name in ScoringOptions.model_fields}
    manifest = folder / CLIP_LIST if folder.is_dir() else folder
    runs = [
        score_command.Config(manifest=manifest, judge=[text], output=output, **shared)
        for text, output in zip(texts, outputs, strict=True)
    ]
    process = Process.current()
    rows = rows_from_manifest(manifest)
    journals = [
        ScoreJournal(output, run_settings(judge), process.rank, process.world, False, csv_columns(judge))
        for judge, output in zip(judges, outputs, strict=True)
    ]
    try:
        outcomes = score_apart(judges, rows, options, process, journals)
    except KeyboardInterrupt:
        print("videoalign compare: interrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    if any(outcome.results is None for outcome in outcomes):
        return leave_to_the_last(process, max(outcome.failed for outcome in outcomes))
    return max(
        score_command.report(run, outcome, all_dimensions(judge), text not in silent)
        for run, outcome, judge, text in zip(runs, outcomes, judges, texts, strict=True)
    )
