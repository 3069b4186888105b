"""Which rows share a forward pass.

The last digits of a score may depend on what shares its pass: the captions of its clip, with some judges other clips. So
batches are cut from the whole list of rows, never from what is left of it: however often a run is stopped, and whatever the
number of processes, each row is scored in the same company, and the output is the same to the last digit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .score_rows import ScoreRow

# Captions that are scored on one reading of a clip; more would only make the steps of a resumed run coarser.
MAX_CAPTIONS = 64

ClipRows = list[ScoreRow]
"""Rows that share one reading of their clip."""


def left_batches(rows: list[ScoreRow], batch_size: int, done: Collection[str] = ()) -> list[list[ClipRows]]:
    """The batches of all rows but those whose rows are all ``done``.

    Returns:
        batches of ``batch_size`` clips (the very last batch of all may be shorter), each clip with its rows.
    """
    whole = batches(rows, batch_size)
    return [batch for batch in whole if any(row.id not in done for clip in batch for row in clip)]


def batches(rows: list[ScoreRow], batch_size: int) -> Iterator[list[ClipRows]]:
    """All rows in their order, neighbours with the same clip together, ``batch_size`` clips at a time."""
    batch: list[ClipRows] = []
    for clip in _clips(rows):
        batch.append(clip)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _clips(rows: list[ScoreRow]) -> Iterator[ClipRows]:
    clip: ClipRows = []
    for row in rows:
        if clip and not (_share_clip(clip[0], row) and len(clip) < MAX_CAPTIONS):
            yield clip
            clip = []
        clip.append(row)
    if clip:
        yield clip


def _share_clip(first: ScoreRow, row: ScoreRow) -> bool:
    """Rows without a caption stop reading earlier, so they do not share."""
    return (first.path, first.fps) == (row.path, row.fps) and None not in (first.prompt, row.prompt)
