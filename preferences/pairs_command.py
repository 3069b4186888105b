"""``videoalign pairs``: scored clips in, preference pairs out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ..cli.options import CommandConfig, positional
from ..errors import PreferenceFileError
from ..reward.dimensions import DIMENSIONS, RATED
from ..reward.gates import parse_gates
from ..reward.weight_options import WeightOptions, named_weights
from .importers.scored_clips import ScoredClip, clips_folder, pair_clips, read_scored_clips
from .preference_file import PreferencePair, Preferences, write_preferences
from .ranked_pairs import Rule, pairs_by_rule, passing


class Gaps(CommandConfig):
    """The least lead that the chosen clip must have over the rejected one; negative: a loss that is put up with."""

    VQ: float | None = Field(None, description="Least lead in visual quality, in the scores' unit; unset: any.")
    MQ: float | None = Field(None, description="Least lead in motion quality; unset: any.")
    TA: float | None = Field(None, description="Least lead in text alignment; unset: any.")


class Config(CommandConfig):
    """Make preference pairs of scored clips.

    The score file (from videoalign score) has several clips of each prompt. best_worst: the best against the worst clip
    of a prompt; margin: every two clips that differ enough; dominance: every two of which one is better in each of VQ,
    MQ and TA; all: every two, ties included. The pairs go to videoalign train.

    Marks of any judges (videoalign score --judge, several of them too) are ranked by --weight: the weighted sum of their z-scores among
    the clips of a prompt, in the place of [weights]; or by --pairing dominance with --dominate and --least. A --gate is a veto.
    Which marks are the better the lower is known from the file.
    """

    scores: Path | None = positional(
        default=None, description="CSV or JSONL file with path, prompt and scores, from videoalign score."
    )
    output: Path = Field(description="The preference file to write (.jsonl).")
    pairing: Literal["best_worst", "margin", "dominance", "all"] = Field(
        "best_worst", description="Which clips of a prompt make a pair."
    )
    margin: float = Field(
        0.0,
        ge=0,
        description="Least difference of the ranking scores, in standard deviations; below it a label is same.",
    )
    pairs_per_prompt: int | None = Field(None, ge=1, description="At most so many pairs a prompt, the clearest first.")
    weight: list[str] = Field(
        [], description="NAME=WEIGHT of a mark, such as measures.motion=0.5; repeat the option for each. Of z-scores."
    )
    gate: list[str] = Field(
        [],
        description="NAME<BOUND or NAME>BOUND that a clip must keep to, such as measures.still<0.2; a clip without that mark does not. Repeatable.",
    )
    dominate: list[str] = Field([], description="A mark that counts for dominance, in z-scores; repeatable.")
    least: int | None = Field(
        None, ge=1, description="Of the --dominate marks, in how many the chosen clip must be better; all by default."
    )
    root: Path | None = Field(None, description="Folder that relative clip paths start from; found by itself.")
    overwrite: bool = Field(False, description="Replace an existing output.")
    weights: WeightOptions = WeightOptions()
    gaps: Gaps = Gaps()

    @model_validator(mode="after")
    def _has_scores(self) -> Config:
        if self.scores is None:
            raise ValueError("name the score file")
        check_rule(self)
        return self


def run(config: Config) -> int:
    """Write the pairs and print how many and how clear they are; returns 0.

    Raises:
        PreferenceFileError: the scores cannot be used, give no pair, or the output exists.
    """
    if config.output.exists() and not config.overwrite:
        raise PreferenceFileError(f"{config.output} already exists. Choose another name, or give --overwrite.")
    clips = read_scored_clips(config.scores)
    pairs = _paired(config, clips)
    prompts = len({clip.prompt for clip in clips})
    if not pairs:
        others = sorted({name for clip in clips for name in clip.scores} - set(RATED))
        hint = (
            ""
            if config.weight or not others
            else f" Marks of other judges are ranked by --weight: {', '.join(others)}."
        )
        raise PreferenceFileError(
            f"{config.scores}: {len(clips)} clips of {prompts} prompts give no pair ({config.pairing}, margin "
            f"{config.margin:g}). Generate more clips of each prompt, lower --margin, or ease --gaps.{hint}"
        )
    root = config.root or clips_folder(config.scores, [clip.path for clip in clips])
    preferences = Preferences(pairs, root, config.scores)
    preferences.check_clips()
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_preferences(config.output, preferences)
    used = len({pair.prompt for pair in pairs})
    print(f"{len(pairs)} pairs of {used} of {prompts} prompts in {config.output}.")
    names = dict.fromkeys([*DIMENSIONS, *(sorted(rule.names) if (rule := rule_of(config)) else ())])
    leads = mean_leads(pairs, names)
    print("mean lead of the chosen clip: " + ", ".join(f"{name} {lead:+.2f}" for name, lead in leads.items()))
    return 0


def check_rule(config: Any) -> None:
    """Refuse options that make no rule.

    Raises:
        ValueError: weights, gates or dominance cannot be what they are given as.
    """
    if config.pairing != "dominance" and (config.dominate or config.least):
        raise ValueError("--dominate and --least belong to --pairing dominance")
    rule_of(config)
    parse_gates(config.gate)


def rule_of(config: Any) -> Rule | None:
    """The rule of ``weight``, ``dominate`` and ``least``; None where marks are ranked as VideoReward's, in their own unit.

    Args:
        config: this command's options, or others with these names.
    """
    weights = named_weights(config.weight)
    if weights is None and not (config.dominate or config.least):
        return None
    return Rule(
        config.pairing,
        weights,
        parse_gates(config.gate),
        tuple(config.dominate),
        config.least,
        config.margin,
        config.gaps.model_dump(exclude_none=True),
        config.pairs_per_prompt,
    )


def _paired(config: Config, clips: list[ScoredClip]) -> list[PreferencePair]:
    if rule := rule_of(config):
        return pairs_by_rule(clips, rule)
    if config.gate:
        clips = passing(clips, parse_gates(config.gate))
    weights = config.weights.weights().as_given()
    gaps = config.gaps.model_dump(exclude_none=True)
    most = config.pairs_per_prompt
    pairs = pair_clips(clips, pairing=config.pairing, weights=weights, margin=config.margin, gaps=gaps, most=most)
    return clearest(pairs, weights, config.pairs_per_prompt)


def clearest(pairs: list[PreferencePair], weights: dict[str, float], most: int | None) -> list[PreferencePair]:
    """At most ``most`` pairs of each prompt, those whose weighted scores differ most, in the order given."""
    if most is None:
        return pairs

    def lead(index: int) -> float:
        pair = pairs[index]
        return sum(
            weight * (pair.scores_chosen[name] - pair.scores_rejected[name])
            for name, weight in weights.items()
            if weight
        )

    by_prompt: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        by_prompt.setdefault(pair.prompt, []).append(index)
    kept = {index for group in by_prompt.values() for index in sorted(group, key=lead, reverse=True)[:most]}
    return [pair for index, pair in enumerate(pairs) if index in kept]


def mean_leads(pairs: list[PreferencePair], names: Iterable[str] = DIMENSIONS) -> dict[str, float]:
    """Mean of chosen minus rejected score in each of these marks that all pairs have, in the marks' units."""
    leads = {}
    for name in names:
        if all(name in pair.scores_chosen and name in pair.scores_rejected for pair in pairs):
            leads[name] = sum(pair.scores_chosen[name] - pair.scores_rejected[name] for pair in pairs) / len(pairs)
    return leads
