"""Several judges in one pass of decoding, each with a score file of its own: as if each had scored alone.

So a judge can be added to files that are there, and a file does not depend on who else was asked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from ...errors import VideoAlignError
from ...files.claims import Claims
from ...files.portable_paths import file_name
from ...reward.judge import Judge, Marks
from ...reward.panel import Panel, PanelError, PanelMarks
from .score_batches import left_batches
from .score_journal import ScoreJournal
from .score_rows import ScoreRow
from .scoring_run import Outcome, Process, ScoringOptions, outcome_of, progress, row_result, shared_answers


def score_apart(
    judges: Sequence[Judge],
    rows: list[ScoreRow],
    options: ScoringOptions,
    process: Process,
    journals: Sequence[ScoreJournal],
) -> list[Outcome]:
    """Score what is left of ``rows`` by every judge that has any left, together with other processes, and write the outputs.

    Args:
        journals: one for each judge.

    Returns:
        what ``score_rows`` would give for each judge.
    """
    with Claims(journals[0].folder) as claims:
        done = [journal.finished(rows) for journal in journals]
        for journal, settled in zip(journals, done, strict=True):
            if settled:
                print(f"{len(settled)} of {len(rows)} rows of {journal.output.name} are done already.", file=sys.stderr)
        busy = [index for index, settled in enumerate(done) if left_batches(rows, options.batch_size, settled)]
        failed = [0] * len(judges)
        if busy:
            seats = Panel([judges[index] for index in busy])
            asked = seats if len(busy) > 1 else judges[busy[0]]
            # A batch that one of them has left is judged by all of them again: whoever has it already keeps its rows.
            by_all = set.intersection(*(set(done[index]) for index in busy))
            left = left_batches(rows, options.batch_size, by_all)
            with progress(len(rows), len(by_all), process) as bar:
                for row, answer in shared_answers(asked, left, options, claims):
                    for seat, index in zip(seats.seats, busy, strict=True):
                        if row.id not in done[index]:
                            result = row_result(row, _own(answer, seat.name), judges[index].name)
                            failed[index] += "error" in result
                            journals[index].add(row, result)
                    if row.id not in by_all:
                        bar.update()
        last = claims.leave()
        return [
            outcome_of(journal.write_output(rows) if last else None, count)
            for journal, count in zip(journals, failed, strict=True)
        ]


def judge_slug(text: str) -> str:
    """A judge's name and source as part of a file's name."""
    return file_name(re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-"))


def _own(answer: Marks | VideoAlignError, name: str) -> Marks | VideoAlignError:
    """What the judge in the seat ``name`` says."""
    said: Mapping[str, Marks | VideoAlignError] = {}
    if isinstance(answer, PanelMarks):
        said = answer.said
    elif isinstance(answer, PanelError):
        said = answer.causes
    return said.get(name, answer)
