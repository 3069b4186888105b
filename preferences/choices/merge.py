"""Several people's choices as one preference file, and how far the people agree.

Choices of the same two clips of the same prompt are one pair, whoever saw which clip on the left. In each dimension the
answer that most of the people who judged it gave is kept; where two answers have equally many, it is "same". "Both bad"
counts as "same", and is kept as a remark where most of them said so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from ...errors import VideoAlignError
from ...reward.dimensions import RATED
from ..preference_file import OPPOSITE, PreferencePair, Preferences, Source, pair_of_sides
from .choice_file import FORMAT
from .pairs import pair_id

_JUDGED = ("A", "B", "same")


@dataclass(frozen=True)
class Agreement:
    """How far two people agree in one dimension.

    Attributes:
        people: names of the two.
        dimension: VQ, MQ, TA or Overall.
        pairs: that both judged.
        share: of these, those with one and the same answer of A, B and same; None without pairs.
        kappa: Cohen's kappa, the share corrected for chance: 1 is perfect, 0 what chance gives; None where chance alone
            explains everything (one answer throughout) or there are no pairs.
    """

    people: tuple[str, str]
    dimension: str
    pairs: int
    share: float | None
    kappa: float | None


@dataclass
class Merged:
    """What became of several files.

    Attributes:
        pairs: one for each two clips, in the order of their first occurrence.
        agreements: for every two people and each dimension that both judged.
        conflicts: pairs and dimensions in which the answers differed.
        left: by person, the share of the choices "A" or "B" overall that went to the clip on the left, and how many.
    """

    pairs: list[PreferencePair] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    conflicts: int = 0
    left: dict[str, tuple[float, int]] = field(default_factory=dict)


def merge_choices(files: Sequence[tuple[str, Preferences]], folder: Path) -> Merged:
    """Put people's choices together.

    Args:
        files: the person and the choices, two or more.
        folder: that the merged paths are relative to.

    Raises:
        VideoAlignError: fewer than two files, or two of one name.
    """
    names = [name for name, _ in files]
    if len(set(names)) < max(len(names), 2):
        raise VideoAlignError(
            f"Merging needs two or more files of different people; found {', '.join(names) or 'none'}."
        )
    votes: dict[
        str, dict[str, PreferencePair]
    ] = {}  # pair -> person -> the choice with its clips in the order of their names
    left = {}
    for name, preferences in files:
        left[name] = left_share(preferences)
        for pair in preferences.relative_to(folder):
            turned = pair if pair.chosen <= pair.rejected else pair.swapped()
            votes.setdefault(pair_id(pair.prompt, pair.chosen, pair.rejected), {})[name] = turned
    merged = Merged(left=left)
    for name, choices in votes.items():
        merged.pairs.append(_together(name, choices))
        answers = [{choice.labels.get(dimension) for choice in choices.values()} for dimension in RATED]
        merged.conflicts += sum(len(given & set(_JUDGED)) > 1 for given in answers)
    for one, two in combinations(names, 2):
        both = [(choices[one], choices[two]) for choices in votes.values() if one in choices and two in choices]
        for dimension in RATED:
            given = [(a.labels.get(dimension), b.labels.get(dimension)) for a, b in both]
            judged = [(a, b) for a, b in given if a in _JUDGED and b in _JUDGED]
            merged.agreements.append(_agreement((one, two), dimension, judged))
    return merged


def person_of(path: Path) -> str:
    """Whose choices a file holds, by its name: "Anna" of ``choices_Anna.jsonl``; else the name without its ending."""
    return path.stem.removeprefix("choices_")


def left_share(preferences: Preferences) -> tuple[float, int]:
    """The share (0..1) of the choices "A" or "B" overall that went to the clip on the left, and how many these are."""
    overall = Counter(pair.in_source_order().labels.get("Overall") for pair in preferences)
    decided = overall["A"] + overall["B"]
    return (overall["A"] / decided if decided else 0.0), decided


def _together(name: str, choices: dict[str, PreferencePair]) -> PreferencePair:
    first = next(iter(choices.values()))
    labels, bad = {}, []
    for dimension in RATED:
        given = [choice.labels.get(dimension) for choice in choices.values()]
        given = [label for label in given if label in _JUDGED]
        if given:
            labels[dimension] = majority(given)
            said_bad = sum(dimension in str(_column(choice, "both_bad")).split() for choice in choices.values())
            if labels[dimension] == "same" and 2 * said_bad > len(given):
                bad.append(dimension)
    columns: dict = {"choosers": ", ".join(choices)}
    if bad:
        columns["both_bad"] = " ".join(bad)
    for side, of in (("A", "A"), ("B", "B")):
        # As the person's file calls them, which is the other way round where its A is not our A.
        theirs = of if _is_a(first) else OPPOSITE[of]
        for mine, their in ((f"{side}_model", f"{theirs}_model"), (f"{side}_seed", f"{theirs}_seed")):
            if _column(first, their) is not None:
                columns[mine] = _column(first, their)
        for stem in ("fps", "num_frames"):
            if _column(first, f"{stem}_{theirs}") is not None:
                columns[f"{stem}_{side}"] = _column(first, f"{stem}_{theirs}")
    return pair_of_sides(
        first.chosen,
        first.rejected,
        labels,
        prompt=first.prompt,
        id=name,
        fps=first.fps,
        source=Source(format=FORMAT, both_bad="Overall" in bad, columns=columns),
    )


def majority(answers: Sequence[str]) -> str:
    """The most frequent answer; "same" where two are equally frequent."""
    ranked = Counter(answers).most_common()
    return "same" if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def cohens_kappa(answers: Sequence[tuple[str, str]]) -> float | None:
    """(p_o - p_e) / (1 - p_e): p_o the share of equal answers, p_e what two people with these habits reach by chance.

    None where p_e is 1 or there are no answers.
    """
    if not answers:
        return None
    total = len(answers)
    ones, twos = Counter(a for a, _ in answers), Counter(b for _, b in answers)
    chance = sum(ones[label] * twos[label] for label in ones) / total**2
    if chance >= 1:
        return None
    return (sum(a == b for a, b in answers) / total - chance) / (1 - chance)


def _agreement(people: tuple[str, str], dimension: str, answers: list[tuple[str, str]]) -> Agreement:
    share = sum(a == b for a, b in answers) / len(answers) if answers else None
    return Agreement(people, dimension, len(answers), share, cohens_kappa(answers))


def _column(choice: PreferencePair, name: str) -> object:
    return choice.source.columns.get(name) if choice.source else None


def _is_a(choice: PreferencePair) -> bool:
    """Whether `chosen`, here the first clip by name, is the one that the person's file calls A."""
    return choice.source is None or choice.source.a == "chosen"
