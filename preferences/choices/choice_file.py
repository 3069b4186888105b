"""One person's choices: a preference file in the native form that grows by a line with every choice.

What was chosen is in `labels` with A = `chosen`, as in every native file. `source` (format "choices") tells the rest:
`a` says which clip was called A on the screen, `both_bad` that both were found bad overall, and its columns are

    A_model, B_model, A_seed, B_seed, num_frames_A, num_frames_B, fps_A, fps_B   of the clips called A and B on the screen
    swapped       1 where the clip that comes second in the table was called A
    both_bad      the dimensions in which both were found bad, such as "VQ Overall"; their label is "same"
    chooser       the person's name, where it was given
    time          of the choice, UTC
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from pydantic import ValidationError

from ...errors import VideoAlignError
from ...files.file_lock import locked
from ...files.journal import append_records, read_journal, rewrite_records
from ...reward.dimensions import RATED
from ..preference_file import PreferencePair, Source, pair_of_sides
from .pairs import ChoicePair

FORMAT = "choices"
BOTH_BAD = "both_bad"
ANSWERS = ("A", "B", "same", BOTH_BAD)


class ChoiceFile:
    """A preference file that choices are added to, one line each; every line's id is its pair's.

    Args:
        path: a .jsonl file; made with the first choice.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._read: tuple[tuple, dict[str, PreferencePair]] = ((), {})

    def choices(self) -> dict[str, PreferencePair]:
        """All choices by the pair's id, oldest first.

        Raises:
            VideoAlignError: a line is no preference pair.
        """
        state = self._state()
        if state != self._read[0]:
            self._read = state, self._parse()
        return dict(self._read[1])

    def add(self, pair: PreferencePair) -> None:
        """Keep a choice: when this returns, the disk has it. A pair that was chosen before is replaced.

        Raises:
            VideoAlignError: the file belongs to another person.
            FileError: it cannot be written.
        """
        with locked(self.path):
            known = self.choices()
            others = {_chooser(choice) for choice in known.values()} - {_chooser(pair)}
            if others:
                raise VideoAlignError(
                    f"{self.path.name} holds the choices of {', '.join(sorted(others)) or 'somebody'}, not of "
                    f"{_chooser(pair)}. Give each person a file, and put them together with videoalign choose merge."
                )
            if pair.id in known:
                known[pair.id] = pair
                rewrite_records(self.path, [_record(choice) for choice in known.values()])
            else:
                append_records(self.path, [_record(pair)])

    def remove_last(self) -> PreferencePair | None:
        """Take the newest choice back; returns it, None if there is none.

        Raises:
            FileError: the file cannot be written.
        """
        with locked(self.path):
            known = self.choices()
            if not known:
                return None
            _, last = known.popitem()
            rewrite_records(self.path, [_record(choice) for choice in known.values()])
            return last

    def _state(self) -> tuple:
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return ()
        return state.st_size, state.st_mtime_ns, state.st_ino

    def _parse(self) -> dict[str, PreferencePair]:
        pairs = {}
        content = read_journal(self.path)
        remedy = "Correct or remove the line, or choose into another file."
        if content.damaged:  # never dropped in silence: it may be an hour of somebody's work
            raise VideoAlignError(f"{self.path}, line {content.damaged[0]}: this is no preference pair. {remedy}")
        for line in content.lines:
            try:
                pair = PreferencePair.model_validate(line.record)
            except ValidationError as error:
                raise VideoAlignError(
                    f"{self.path}, line {line.number}: this is no preference pair ({str(error).splitlines()[0]}). {remedy}"
                ) from None
            pairs[pair.id or f"line {line.number}"] = pair
        return pairs


def preference_of(
    pair: ChoicePair, answers: Mapping[str, str], root: Path, chooser: str = "", when: datetime | None = None
) -> PreferencePair:
    """A choice as the file keeps it.

    Args:
        pair: what was shown.
        answers: for one or more of VQ, MQ, TA and Overall: "A", "B", "same" or "both_bad", by the names on the screen.
        root: folder of the preference file, where its relative paths start.
        chooser: the person's name, or empty.
        when: time of the choice; now by default.

    Raises:
        VideoAlignError: no answer, or one that does not exist.
    """
    wrong = [f"{name}: {answer}" for name, answer in answers.items() if name not in RATED or answer not in ANSWERS]
    if wrong or not answers:
        raise VideoAlignError(
            f"The choice {', '.join(wrong) or '(nothing)'} cannot be kept; expected one of {', '.join(ANSWERS)} for one or more "
            f"of {', '.join(RATED)}."
        )
    bad = [name for name in RATED if answers.get(name) == BOTH_BAD]
    labels = {name: "same" if name in bad else answers[name] for name in RATED if name in answers}
    columns: dict = {}
    for side, clip in (("A", pair.a), ("B", pair.b)):
        about = {f"{side}_model": clip.model, f"{side}_seed": clip.seed}
        about |= {f"fps_{side}": clip.fps, f"num_frames_{side}": clip.num_frames}
        columns |= {name: value for name, value in about.items() if value is not None}
    columns["swapped"] = int(pair.swapped)
    if bad:
        columns[BOTH_BAD] = " ".join(bad)
    if chooser:
        columns["chooser"] = chooser
    columns["time"] = (when or datetime.now(timezone.utc)).isoformat(timespec="seconds")
    return pair_of_sides(
        _relative(pair.a.path, root),
        _relative(pair.b.path, root),
        labels,
        prompt=pair.prompt,
        id=pair.id,
        fps=pair.a.fps if pair.a.fps == pair.b.fps else None,
        source=Source(format=FORMAT, both_bad="Overall" in bad, columns=columns),
    )


def _chooser(pair: PreferencePair) -> str:
    return str(pair.source.columns.get("chooser", "")) if pair.source else ""


def _record(pair: PreferencePair) -> dict:
    return pair.model_dump(exclude_defaults=True)


def _relative(path: Path, root: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), Path(root).resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()
