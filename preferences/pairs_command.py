"""``videoalign pairs``: scored clips in, preference pairs out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ..cli.options import CommandConfig, positional
from ..errors import PreferenceFileError
from ..reward.dimensions import DIMENSIONS
from ..reward.weight_options import WeightOptions
from .importers.scored_clips import clips_folder, pair_clips, read_scored_clips
from .preference_file import PreferencePair, Preferences, write_preferences


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
    root: Path | None = Field(None, description="Folder that relative clip paths start from; found by itself.")
    overwrite: bool = Field(False, description="Replace an existing output.")
    weights: WeightOptions = WeightOptions()
    gaps: Gaps = Gaps()

    @model_validator(mode="after")
    def _has_scores(self) -> Config:
        if self.scores is None:
            raise ValueError("name the score file")
        return self


def run(config: Config) -> int:
    """Write the pairs and print how many and how clear they are; returns 0.

    Raises:
        PreferenceFileError: the scores cannot be used, give no pair, or the output exists.
    """
    if config.output.exists() and not config.overwrite:
        raise PreferenceFileError(f"{config.output} already exists. Choose another name, or give --overwrite.")
    clips = read_scored_clips(config.scores)
    weights = config.weights.weights().as_given()
    gaps = config.gaps.model_dump(exclude_none=True)
    pairs = pair_clips(clips, pairing=config.pairing, weights=weights, margin=config.margin, gaps=gaps)
    pairs = clearest(pairs, weights, config.pairs_per_prompt)
    prompts = len({clip.prompt for clip in clips})
    if not pairs:
        raise PreferenceFileError(
            f"{config.scores}: {len(clips)} clips of {prompts} prompts give no pair ({config.pairing}, margin "
            f"{config.margin:g}). Generate more clips of each prompt, lower --margin, or ease --gaps."
        )
    root = config.root or clips_folder(config.scores, [clip.path for clip in clips])
    preferences = Preferences(pairs, root, config.scores)
    preferences.check_clips()
    config.output.parent.mkdir(parents=True, exist_ok=True)
    write_preferences(config.output, preferences)
    used = len({pair.prompt for pair in pairs})
    print(f"{len(pairs)} pairs of {used} of {prompts} prompts in {config.output}.")
    print("mean lead of the chosen clip: " + ", ".join(f"{n} {v:+.2f}" for n, v in mean_leads(pairs).items()))
    return 0


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


def mean_leads(pairs: list[PreferencePair]) -> dict[str, float]:
    """Mean of chosen minus rejected score in each dimension that all pairs have, in the scores' unit."""
    leads = {}
    for name in DIMENSIONS:
        if all(name in pair.scores_chosen and name in pair.scores_rejected for pair in pairs):
            leads[name] = sum(pair.scores_chosen[name] - pair.scores_rejected[name] for pair in pairs) / len(pairs)
    return leads
