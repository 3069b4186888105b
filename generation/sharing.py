"""Several processes that fill one folder of clips, on one computer or many."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from ..errors import VideoAlignError
from ..files.claims import Claims, in_turn, others_at_work
from ..files.file_lock import InUseError
from ..files.output_folder import held, holding_command
from .clip_folder import Wanted

FOLDER = ".videoalign.run"
"""In the output folder: who makes which clips."""
_TRIES, _SECONDS = 20, 0.1
Made = TypeVar("Made")


def launched_together() -> bool:
    """Whether torchrun or accelerate launch started this process with others."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


@contextmanager
def holding(folder: Path, command: str, shared: bool) -> Iterator[Claims | None]:
    """Hold an output folder, alone or with processes of the same command; None where it is held alone.

    Raises:
        InUseError: another run has the folder, or processes that share it while this one is to have it alone.
    """
    claimed = folder / FOLDER
    with ExitStack() as stack:
        if not shared:
            if others_at_work(claimed):
                raise InUseError(
                    f"{folder} is filled by processes that share it. Give --share to help them, wait until they are done, or choose "
                    "another --output."
                )
            stack.enter_context(held(folder, command))
            yield None
            return
        _hold_or_join(stack, folder, f"{command} --share")
        yield stack.enter_context(Claims(claimed))


def _hold_or_join(stack: ExitStack, folder: Path, together: str) -> None:
    """One of those that share a folder holds it for all; the others find its name there, if need be a moment later."""
    for left in reversed(range(_TRIES)):
        try:
            stack.enter_context(held(folder, together))
        except InUseError:
            if holding_command(folder) == together:
                return
            if not left:
                raise
            time.sleep(_SECONDS)
        else:
            return


def made_in_turn(
    make: Callable[[list[Wanted]], Iterator[tuple[Wanted, Made | VideoAlignError]]],
    wanted: Sequence[Wanted],
    missing: Sequence[Wanted],
    batch_size: int,
    claims: Claims | None,
) -> Iterator[tuple[Wanted, Made | VideoAlignError]]:
    """What ``make`` gives of the missing clips; where processes share them, of the batches that this one takes.

    Batches are cut from all wanted clips, so that a clip has the same company whoever makes it. One is finished for the others when what
    follows its last clip is asked for.
    """
    if claims is None:
        yield from make(list(missing))
        return
    left = {clip.id for clip in missing}
    pieces = {}
    for start in range(0, len(wanted), batch_size):
        batch = [clip for clip in wanted[start : start + batch_size] if clip.id in left]
        if batch:
            pieces[batch[0].id] = batch
    for stream in in_turn(claims, list(pieces)):
        for name in stream:
            yield from make(pieces[name])
            claims.finish(name)
