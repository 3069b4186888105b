"""The reward of each clip, for methods that train on single clips: of the pairs' clips, or of a score file with all clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from ...cli.options import CommandConfig
from ...errors import VideoAlignError
from ...files.portable_paths import table_path
from ...preferences.importers.scored_clips import clips_folder, read_scored_clips
from ...preferences.preference_file import ResolvedPair
from ...reward.ranking import check_names, standings
from ...reward.weight_options import named_weights
from ...reward.weights import RewardWeights
from .config import DataConfig
from .rows import FlowRow, MarkedClip, dimension_weights, marked_clips, scored_clips

REWARD = "reward"
"""What named marks come to."""


class RewardOptions(CommandConfig):
    """What the reward of a clip is."""

    mark: str | None = Field(
        None,
        description="The mark that is the reward, in the place of data.prefer: a column of the score file, such as measures.motion.",
    )
    weight: list[str] | None = Field(
        None,
        description="NAME=WEIGHT of each mark whose z-scores among a prompt's clips are added to the reward, in the place of data.prefer.",
    )

    @model_validator(mode="after")
    def _one_reward(self) -> RewardOptions:
        if self.mark is not None and self.weight:
            raise ValueError("mark and weight exclude each other; give one of them")
        named_weights(self.weight or ())
        return self


def rewards_of(
    clips: Sequence[MarkedClip], mark: str | None, weights: RewardWeights | None, section: str
) -> tuple[list[tuple[FlowRow, dict[str, float]]], int]:
    """Each clip with its reward under the name ``REWARD``, more always better; and how many lack a mark.

    Args:
        mark: the reward, in its unit.
        weights: or those of marks whose z-scores among the clips of a prompt are added.
        section: of the options, for messages: ``rwr``.

    Raises:
        VideoAlignError: no clip has a mark of that name, or none is left.
    """
    names = [mark] if mark else [name for name, weight in (weights.values if weights else {}).items() if weight]
    check_names(names, [clip.marks for clip in clips], f"{section}.{'mark' if mark else 'weight'}")
    by_prompt: dict[str, list[MarkedClip]] = {}
    for clip in clips:
        by_prompt.setdefault(clip.row.prompt, []).append(clip)
    rewarded: list[tuple[FlowRow, dict[str, float]]] = []
    for group in by_prompt.values():
        if mark:
            signs = [-1 if mark in clip.lower_is_better else 1 for clip in group]
            rewards = [
                sign * clip.marks[mark] if mark in clip.marks else None for clip, sign in zip(group, signs, strict=True)
            ]
        else:
            lower = frozenset(name for clip in group for name in clip.lower_is_better)
            rewards = [row.total for row in standings([clip.marks for clip in group], weights, lower_is_better=lower)]
        rewarded += [
            (clip.row, {REWARD: reward}) for clip, reward in zip(group, rewards, strict=True) if reward is not None
        ]
    if not rewarded:
        raise VideoAlignError(f"No clip has all of {', '.join(names)}; score the clips again, or ask for fewer marks.")
    return rewarded, len(clips) - len(rewarded)


def clip_rewards(
    sources: Sequence[ResolvedPair], data: DataConfig, options: RewardOptions, section: str
) -> tuple[list[tuple[FlowRow, float]], int]:
    """Each clip once with its reward, more always better; and how many clips lack a mark.

    The clips are those of ``data.clips`` where it is given, of the prompts of the pairs alone where there are pairs (others are held
    out), and else those of the pairs.

    Raises:
        VideoAlignError: a clip is missing, or has no such mark; the message names it.
    """
    by_file: Callable[[dict[str, float]], float] = RewardWeights(dimension_weights(data)).scalar
    named = options.mark or options.weight
    if data.clips:
        prompts = {source.prompt for source in sources}
        clips = [
            clip for path in data.clips for clip in _of_score_file(path) if not prompts or clip.row.prompt in prompts
        ]
        if not clips:
            raise VideoAlignError(
                "data.clips has no clip of a prompt of data.train. Give the score file that the pairs were made of."
            )
    else:
        clips = marked_clips(sources)
    if named:
        rewarded, without = rewards_of(clips, options.mark, named_weights(options.weight or ()), section)
        return [(row, marks[REWARD]) for row, marks in rewarded], without
    if not data.clips:
        return [(row, by_file(marks)) for row, marks in scored_clips(sources, data)], 0
    needed = dimension_weights(data)
    whole = [clip for clip in clips if all(name in clip.marks for name in needed)]
    if not whole:
        raise VideoAlignError(
            f"No clip of data.clips has all of {', '.join(needed)}; set {section}.mark or {section}.weight."
        )
    return [(clip.row, by_file({name: clip.marks[name] for name in needed})) for clip in whole], len(clips) - len(whole)


def _of_score_file(path: Path) -> list[MarkedClip]:
    """All clips of a score file, under the side ``clip``."""
    scored = read_scored_clips(path)
    folder = clips_folder(path, [clip.path for clip in scored])
    marked = []
    for clip in scored:
        file = table_path(folder, clip.path)
        if not file.is_file():
            raise VideoAlignError(f"{path}: {file} does not exist. Paths are relative to the file.")
        row = FlowRow(clip.prompt, {"clip": file}, f"{path}: {clip.id or clip.path}")
        marked.append(MarkedClip(row, clip.scores, clip.lower_is_better))
    return marked
