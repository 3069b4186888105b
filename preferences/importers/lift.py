"""LiFT's ratings (CodeGoat24/LiFT): Good, Normal or Bad per question, as LiFT-HRA conversations or the critic's output.

    LiFT-HRA   [{"video": "videos/a.mp4", "conversations": [
                   {"from": "human", "value": "<video>\\n CAPTION Please identify the fidelity issues in ..."},
                   {"from": "gpt", "value": "Bad. The hand has six fingers."}]}, ...]      one question an entry
    critic     [{"video": "a.mp4", "caption": "...", "semantic consistency": "Good. ...", "fidelity issues": "...",
                   "motion issues": "..."}, ...]

The questions become dimensions: semantic consistency TA, fidelity VQ, motion MQ. The ratings are of single clips: Bad
0, Normal 1, Good 2 (several ratings of one clip are averaged); clips of the same caption make pairs. An answer that
does not begin with one of the three words is an error; LiFT's own script counts it as Good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ...errors import PreferenceFileError
from ...files.tables import Row, read_table, shown
from ..preference_file import Preferences
from .scored_clips import ScoredClip, pair_clips

QUESTIONS = {"semantic consistency": "TA", "fidelity issues": "VQ", "motion issues": "MQ"}
COLUMNS = ("video", "caption", "conversations", *QUESTIONS)
RATINGS = {"Bad": 0.0, "Normal": 1.0, "Good": 2.0}

QUESTION = re.compile(r"Please identify the (semantic consistency|fidelity|motion)(?: issues)?\b")
TOPICS = {"semantic consistency": "TA", "fidelity": "VQ", "motion": "MQ"}


def rating_of(row: Row, column: str, answer: object, ratings: Mapping[str, float] = RATINGS) -> float:
    """The number of an answer's first word.

    Raises:
        TableError: the answer begins with none of ``ratings``.
    """
    word = re.match(r"\s*(\w+)", answer) if isinstance(answer, str) else None
    if word is None or word[1] not in ratings:
        raise row.error(
            column,
            f"found {shown(answer)}; an answer must begin with one of {', '.join(ratings)}. Correct or remove it.",
        )
    return ratings[word[1]]


def answers_of(row: Row) -> tuple[str, dict[str, tuple[str, object]]]:
    """The caption of a row of either layout and, by dimension, the column and the answer to each of its questions.

    Raises:
        TableError: a column is missing, or the conversation is another one.
    """
    if "conversations" not in row.cells:
        return row.text("caption"), {dimension: (name, row.value(name)) for name, dimension in QUESTIONS.items()}
    turns = row.value("conversations")
    roles = (
        [turn.get("from") if isinstance(turn, dict) else None for turn in turns] if isinstance(turns, list) else None
    )
    if roles != ["human", "gpt"]:
        raise row.error("conversations", f"found turns by {roles}; expected one by human, then one by gpt.")
    text = turns[0].get("value")
    # The last match: a caption may say "Please identify" itself, the question always ends the text.
    questions = list(QUESTION.finditer(text)) if isinstance(text, str) else []
    if not questions:
        raise row.error(
            "conversations",
            f"no known question in {shown(text)}; expected 'Please identify the ... issues' of {', '.join(TOPICS)}.",
        )
    caption = text[: questions[-1].start()].replace("<video>", "", 1).strip()
    return caption, {TOPICS[questions[-1][1]]: ("conversations", turns[1].get("value"))}


def read_lift_ratings(path: Path, *, ratings: Mapping[str, float] = RATINGS) -> list[ScoredClip]:
    """One scored clip per video and caption, in the order in which they first occur.

    `ratings` gives the words their numbers, such as LiFT's own 0.05, 0.2 and 0.9 for reward weighting.
    """
    path = Path(path)
    given: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in read_table(path, COLUMNS):
        caption, answers = answers_of(row)
        clip = given.setdefault((row.text("video"), caption), {})
        for dimension, (column, answer) in answers.items():
            clip.setdefault(dimension, []).append(rating_of(row, column, answer, ratings))
    return [
        ScoredClip(video, caption, {name: sum(values) / len(values) for name, values in scores.items()})
        for (video, caption), scores in given.items()
    ]


def read_lift(
    path: Path, root: Path | None = None, *, ratings: Mapping[str, float] = RATINGS, pairing: str = "all", **options
) -> Preferences:
    """Pairs of clips with one caption, made of their ratings; `pairing` and `options` as in `scored_clips.pair_clips`.

    Clips rated on different questions only share no dimension: such pairs have no label and are left out.
    """
    path = Path(path)
    clips = read_lift_ratings(path, ratings=ratings)
    pairs = [pair for pair in pair_clips(clips, pairing=pairing, source_format="lift", **options) if pair.labels]
    if not pairs:
        raise PreferenceFileError(
            f"{path}: the {len(clips)} rated clips give no pair: no two of one caption were rated on one question. "
            "Use the ratings of single clips (read_lift_ratings) for reward-weighted training instead."
        )
    return Preferences(pairs, Path(root or path.parent), path, "lift")
