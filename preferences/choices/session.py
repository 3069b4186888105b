"""One person choosing among the clips of one folder: what to show next, keeping a choice, taking it back."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from ...clips.find import CLIP_LIST
from ...clips.preview import playable
from ...errors import VideoAlignError
from .candidates import Candidate, read_candidates
from .choice_file import BOTH_BAD, ChoiceFile, preference_of
from .ending import ending
from .judged import JudgedClips
from .pairs import ChoicePair, choice_pairs

ACTIONS = ("state", "choose", "back")  # that a page may ask for
AHEAD = 8  # pairs that a page is told of; it fetches the clips of the first few before they are shown
_NAME = re.compile(r"[\w][\w .-]{0,60}")


def choice_path(folder: Path, chooser: str = "") -> Path:
    """The preference file of a person: ``choices.jsonl``, or ``choices_NAME.jsonl``.

    Raises:
        VideoAlignError: the name has characters that a file name should not have.
    """
    if not chooser:
        return Path(folder) / "choices.jsonl"
    if not _NAME.fullmatch(chooser) or chooser.endswith((" ", ".")):
        raise VideoAlignError(
            f"The name {chooser!r} cannot be part of a file's name. Use letters, digits, spaces, '-', '_' and '.', at most 60."
        )
    return Path(folder) / f"choices_{chooser.replace(' ', '_')}.jsonl"


class ChoiceSession:
    """What a server needs to let one person choose.

    Args:
        folder: with the clips; see `candidates`.
        chooser: the person's name, or empty.
        file: the preference file; by default `choice_path`.
        previews: folder for copies of those clips that browsers do not play.
        within: clips elsewhere are refused; None permits all.
        to_come: a folder that is not there yet has no pairs yet; without it, that is an error.
        manifest, prompt: see `read_candidates`.
        pairs_per_prompt: see `choice_pairs`.

    Raises:
        VideoAlignError: the name cannot be part of a file's name.
    """

    def __init__(
        self,
        folder: Path,
        chooser: str = "",
        *,
        previews: Path,
        file: Path | None = None,
        within: Path | None = None,
        to_come: bool = False,
        manifest: Path | None = None,
        prompt: str | None = None,
        pairs_per_prompt: int = 0,
    ) -> None:
        self.folder, self.chooser, self.previews, self.within = Path(folder), chooser, Path(previews), within
        self.file = ChoiceFile(file or choice_path(folder, chooser))
        self._judged = JudgedClips(self.folder)
        self._to_come = to_come
        self._source = (manifest, prompt)
        self._pairs_per_prompt = pairs_per_prompt
        self._known: tuple[object, dict[str, ChoicePair]] = (None, {})

    def pairs(self) -> dict[str, ChoicePair]:
        """All pairs by id, in the order in which this person sees them; clips that came meanwhile are there.

        Raises:
            VideoAlignError: the clips are not known; see `read_candidates`.
        """
        if self._to_come and not self.folder.exists():
            return {}
        state = self._state()
        if state is None or state != self._known[0]:
            candidates = [self._permitted(one) for one in read_candidates(self.folder, *self._source)]
            pairs = choice_pairs(candidates, self.folder, self.chooser, self._pairs_per_prompt)
            self._known = state, {pair.id: pair for pair in pairs}
        return self._known[1]

    def state(self, skipped: Collection[str] = ()) -> dict:
        """What a page shows, JSON-ready: how far the person is, and the next pairs; skipped ones come last.

        When all pairs are chosen, ``end`` is what `ending` tells.

        Raises:
            VideoAlignError: the clips or the file cannot be used.
        """
        pairs, chosen = self.pairs(), self.file.choices()
        waiting = [pair for pair in pairs.values() if pair.id not in chosen]
        waiting.sort(key=lambda pair: pair.id in skipped)
        state = {
            "total": len(pairs),
            "done": sum(name in chosen for name in pairs),
            "file": self.file.path.name,
            "waiting": [{"pair": pair.id, "prompt": pair.prompt} for pair in waiting[:AHEAD]],
        }
        return state if waiting or not pairs else {**state, "end": ending(self.file)}

    def choose(self, pair: str, answers: dict[str, str]) -> None:
        """Keep a choice; when this returns, the disk has it.

        Raises:
            VideoAlignError: there is no such pair or answer, or the file is another person's.
            OSError: the file cannot be written.
        """
        self.file.add(preference_of(self._pair(pair), answers, self.file.path.parent, self.chooser))

    def judged(self, pair: str) -> dict:
        """What the judges in the folder's score files said of a pair's clips, by "A" and "B"; see `JudgedClips.of`.

        Of a clip that comes again in a pair which this person has not chosen yet, nothing is told: ``later`` has its letter. Empty
        where judges said nothing. A file that cannot be read gives ``fault``, the reason: the choice itself is kept.

        Raises:
            VideoAlignError: there is no such pair.
        """
        shown = self._pair(pair)
        try:
            said = {side: self._judged.of(clip) for side, clip in (("A", shown.a), ("B", shown.b))}
        except (VideoAlignError, OSError) as error:
            return {"fault": str(error)}
        if not any(said.values()):
            return {}
        chosen = self.file.choices()
        open_clips = {clip.path for one in self.pairs().values() if one.id not in chosen for clip in (one.a, one.b)}
        later = [side for side, clip in (("A", shown.a), ("B", shown.b)) if said[side] and clip.path in open_clips]
        return {**said, **{side: [] for side in later}, "later": later}

    def take_back(self) -> dict | None:
        """Remove the newest choice; returns the pair and its answers, to be shown again, or None.

        Raises:
            VideoAlignError, OSError: the file cannot be used.
        """
        last = self.file.remove_last()
        if last is None:
            return None
        seen = last.in_source_order()
        bad = str(seen.source.columns.get(BOTH_BAD, "")).split() if seen.source else []
        answers = {name: BOTH_BAD if name in bad else label for name, label in seen.labels.items()}
        return {"pair": last.id, "prompt": last.prompt, "answers": answers}

    def clip(self, pair: str, side: str) -> Path:
        """A file of clip A or B of a pair that browsers play.

        Raises:
            VideoAlignError: there is no such pair or side, or the clip cannot be decoded.
        """
        if side not in ("A", "B"):
            raise VideoAlignError(f"There is no clip {side!r} in a pair; expected A or B.")
        shown = self._pair(pair)
        path = self._permitted(shown.a if side == "A" else shown.b).path  # a link may have been changed
        if not path.is_file():
            raise VideoAlignError(f"The clip {path.name} is not there any more.")
        return playable(path, self.previews)

    def answer(self, action: str, values: dict) -> dict:
        """One request of a page, and the state after it.

        Args:
            action: "state", "choose" (values: pair, answers; see `judged` for the answer's ``judged``) or "back" (the
                answer's ``again`` is the pair to show).
            values: also ``skipped``, ids of pairs to come last.

        Raises:
            VideoAlignError: the request cannot be met.
        """
        skipped = values.get("skipped") or []
        extra: dict[str, object] = {}
        if action == "choose":
            pair, answers = values.get("pair"), values.get("answers")
            if not isinstance(pair, str) or not isinstance(answers, dict):
                raise VideoAlignError("A choice needs 'pair' and 'answers'.")
            self.choose(pair, answers)
            extra["judged"] = self.judged(pair)
        elif action == "back":
            extra["again"] = self.take_back()
        elif action != "state":
            raise VideoAlignError(f"There is no request {action!r}; expected {', '.join(ACTIONS)}.")
        return {**self.state(skipped if isinstance(skipped, list) else []), **extra}

    def _pair(self, name: str) -> ChoicePair:
        try:
            return self.pairs()[name]
        except KeyError:
            raise VideoAlignError(f"There is no pair {name!r} among the clips of {self.folder.name}.") from None

    def _permitted(self, candidate: Candidate) -> Candidate:
        if self.within is not None and not candidate.path.resolve().is_relative_to(Path(self.within).resolve()):
            raise VideoAlignError(
                f"The clip {candidate.path.name} lies outside of {Path(self.within).name}/. Move it there, or use "
                "videoalign choose on the command line."
            )
        return candidate

    def _state(self) -> tuple | None:
        """Changes whenever the table does; None where there is no table, so that the folder is looked into anew."""
        table = self._source[0] or self.folder / CLIP_LIST
        try:
            state = table.stat()
        except OSError:
            return None
        return state.st_size, state.st_mtime_ns, state.st_ino
