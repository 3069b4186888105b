"""``videoalign search``: draft many seeds of each prompt, judge them early, and finish the best."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator, model_validator

from ..errors import VideoAlignError
from ..judges import judge_or_reward
from ..reward.gates import parse_gates
from ..reward.weight_options import named_weights
from . import generate_command
from .clip_folder import ClipFolder, Wanted, wanted_clips

if TYPE_CHECKING:
    from ..reward.search.pace import Pace
    from ..reward.search.seed_search import Found, Rule
    from .prompts import PromptRow
    from .search.journal import SearchJournal
    from .search.judging import TakeJudge

SEEDS, LATENT = 8, "latent"
MOST_TOLD = 10


class Config(generate_command.Config):
    """Draft many seeds of each prompt, judge each early, and finish only the best.

    Every seed is sampled for some steps (--look), the clean clip that it foresees then is decoded and judged, and the best (--keep) are
    sampled to the end. Those are bit for bit the clips that videoalign generate makes of these seeds, one at a time. Several --look halve the field step
    by step. The output folder is one of videoalign generate, with the finished clips, and has search.jsonl (every look with its
    marks) and index.html (the previews). A run that was stopped goes on; one with more seeds or another look judges only what is new.
    Whether an early look tells anything about a model's clips is a thing to measure: --look at the last step is best of N.
    """

    clips_per_prompt: int | None = Field(
        None, ge=1, description=f"Seeds that are drafted of each prompt, --seed and following; {SEEDS} by default."
    )
    batch_size: int = Field(1, ge=1, le=1, description="Takes are sampled one after the other: 1.")
    look: list[int] = Field([], description="Judge after so many steps; repeatable. A quarter of the steps by default.")
    calibrate: bool = Field(
        False,
        description=(
            "Finish all takes of all prompts, look at them after several steps (--look, or five), and write calibration.json: how much of the gain a look "
            "after each step keeps."
        ),
    )
    calibration: Path | None = Field(
        None, description="A calibration.json of this model, sampling and judge, which chooses the step of the look."
    )
    keep: int = Field(1, ge=1, description="How many clips of each prompt are finished.")
    judge: list[str] = Field(
        ["micro"],
        description=(
            "What judges the previews, as --judge or --model of videoalign score; several make a panel. latent:FILE or latent:micro "
            "is a latent reward, which sees the noisy latent and needs no preview."
        ),
    )
    weight: list[str] = Field(
        [],
        description="NAME=WEIGHT of a mark whose z-score among a prompt's takes counts; VQ, MQ and TA alike by default.",
    )
    gate: list[str] = Field([], description='A veto, such as "measures.still<0.2"; repeatable.')
    enough: list[str] = Field(
        [], description="A take that passes all of these at the first look ends the drafting of its prompt; repeatable."
    )
    budget: int | None = Field(
        None, ge=1, description="Most steps for a prompt, all takes together; as many seeds are drafted as it allows."
    )
    budget_seconds: float | None = Field(
        None,
        gt=0,
        description=(
            "Most seconds for a prompt, by the pace of the first take (kept in pace.json); as many seeds are drafted as it allows."
        ),
    )
    preview_frames: int | None = Field(
        None, ge=1, description="Latent frames of a preview that are decoded; all by default."
    )

    @field_validator("gate", "enough")
    @classmethod
    def _are_gates(cls, gates: list[str]) -> list[str]:
        parse_gates(gates)
        return gates

    @model_validator(mode="after")
    def _fits_a_search(self) -> Config:
        if self.layout != "plain":
            raise ValueError("a search has no layout vbench: VBench wants the clips of fixed seeds")
        if self.resampling.latent_reward is not None:
            raise ValueError("a search samples each seed plainly; give resampling to videoalign generate")
        if self.keep > (self.clips_per_prompt or SEEDS):
            raise ValueError(f"keep is {self.keep}, of {self.clips_per_prompt or SEEDS} seeds (clips_per_prompt)")
        latent = [text for text in self.judge if text.partition(":")[0] == LATENT]
        if latent and len(self.judge) > 1:
            raise ValueError("a latent reward judges alone; give one --judge")
        if self.calibrate and (self.calibration or self.budget or self.budget_seconds or self.enough):
            raise ValueError("calibrate finishes every take; leave calibration, budget, budget_seconds and enough out")
        if self.calibrate and (self.clips_per_prompt or SEEDS) < 2:
            raise ValueError("calibrate compares the seeds of a prompt; give clips_per_prompt 2 or more")
        if self.calibration and self.look:
            raise ValueError("calibration chooses the look; leave look out")
        named_weights(self.weight)
        return self


def run(config: Config) -> int:
    """Search; returns 0, 1 when a prompt has no clip, or 130 when interrupted.

    Raises:
        VideoAlignError: prompts, model, judge or output cannot be used.
    """
    if config.dry_run:
        return tell(config)
    from ..files.output_folder import held
    from .images import image_settings
    from .making import unreadable_images
    from .search.journal import SearchJournal

    rows, wanted = _rows_and_clips(config)
    unreadable = unreadable_images(wanted)
    if unreadable:
        raise VideoAlignError(next(iter(unreadable.values())))
    settings = generate_command.settings_of(config) | image_settings(config.model, config.image_encoder, rows)
    with held(config.output, "search"):
        folder = ClipFolder(config.output, settings)
        journal = SearchJournal(config.output)
        try:
            return _search(config, wanted, folder, journal)
        except KeyboardInterrupt:
            print("videoalign search: interrupted. Run the same command again to go on.", file=sys.stderr)
            return 130


def tell(config: Config) -> int:
    """Print what the search will take; returns 0."""
    from ..planning.report import plan_text
    from ..reward.search.plan import checked_looks
    from .plan import count_model
    from .search.plan import plan_search

    _, wanted = _rows_and_clips(config)
    model = count_model(config, pictured=any(clip.image is not None for clip in wanted))
    prompts = len({(clip.prompt, clip.image) for clip in wanted})
    steps, seeds = model.settings.steps, len(wanted) // prompts
    looks = checked_looks(config.look, steps)
    if config.calibration:
        from ..reward.search.calibration import Calibration

        looks = [Calibration.read(config.calibration).chosen().step]
    plan = _plan(config, looks, seeds, steps)
    drafted = seeds if config.calibrate else _drafted(config, looks, seeds, steps)
    print(plan_text(plan_search(config, model, prompts, plan, drafted)))
    return 0


def _plan(config: Config, looks: Sequence[int], seeds: int, steps: int) -> list[tuple[int, int]]:
    from ..reward.search.plan import schedule
    from .search.calibrating import calibrating_plan

    if config.calibrate:
        return calibrating_plan(config.look, steps, seeds, config.keep)
    return schedule(looks, _drafted(config, looks, seeds, steps), config.keep)


def _rows_and_clips(config: Config) -> tuple[list[PromptRow], list[Wanted]]:
    rows, _, _ = generate_command.rows_and_clips(config)
    return rows, wanted_clips(rows, config.clips_per_prompt or SEEDS, config.seed)


def _drafted(config: Config, looks: Sequence[int], seeds: int, steps: int) -> int:
    """How many of a prompt's seeds the budget allows to draft."""
    from ..reward.search.plan import affordable, cost

    return affordable(
        looks,
        seeds,
        config.keep,
        config.budget,
        lambda plan, count: cost(plan, count, steps),
        f"--budget {config.budget} steps do not finish {config.keep} clips of {steps} steps each; "
        f"give {config.keep * steps} or more.",
    )


def _in_time(config: Config, pace: Pace, looks: Sequence[int], seeds: int, steps: int) -> int:
    """How many of a prompt's seeds the seconds allow to draft; says so."""
    from ..reward.search.plan import cost

    drafted = pace.affordable(
        looks,
        seeds,
        config.keep,
        config.budget_seconds,
        lambda plan, count: cost(plan, count, steps),
        lambda least: (
            f"--budget-seconds {config.budget_seconds:g} do not finish {config.keep} clips: a step took {pace.step:.3g} s and a look {pace.look:.3g} s, so "
            f"{config.keep} clips with their looks take {least:.3g} s. Give more."
        ),
    )
    print(
        f"A step takes {pace.step:.3g} s and a look {pace.look:.3g} s: {drafted} of {seeds} seeds of a prompt are drafted in "
        f"{config.budget_seconds:g} s."
    )
    return drafted


def _search(config: Config, wanted: list[Wanted], folder: ClipFolder, journal: SearchJournal) -> int:
    from tqdm import tqdm

    from ..clips.pixels import as_frames
    from ..reward.search.plan import checked_looks, cost
    from ..reward.search.seed_search import search_seeds
    from .images import images_of
    from .search import calibrating
    from .search.pacing import pace_of
    from .search.page import write_search_page
    from .search.takes import PromptTakes, check_finite

    pipeline, sampling, guidance = generate_command.prepare(config)
    folder.begin()
    looks = checked_looks(config.look, sampling.steps)
    judge = _judge(config)
    rule = _rule(config, judge)
    known_as = calibrating.about(folder.settings, sampling.steps, sampling.guidance_scale, judge, rule)
    if config.calibration:
        worth, told = calibrating.chosen_look(config.calibration, known_as)
        looks = [worth.step]
        print(told)
    journal.of(judge.identity())
    by_prompt: dict[tuple, list[Wanted]] = {}
    for clip in wanted:
        by_prompt.setdefault((clip.prompt, clip.image), []).append(clip)
    (first_prompt, _), first_clips = next(iter(by_prompt.items()))
    seeds = len(first_clips)
    if config.budget_seconds:
        image = images_of(first_clips[:1], pipeline, sampling)
        first_takes = PromptTakes(
            pipeline, sampling, first_prompt, config.negative_prompt, image(0) if image else None, guidance
        )
        seen = journal.seen(first_prompt, {clip.seed: clip for clip in first_clips}, sampling.fps)
        pace = pace_of(config.output, judge, first_takes, first_prompt, first_clips[0].seed, looks[0], seen)
        journal.of(judge.identity())
        seeds = _in_time(config, pace, looks, seeds, sampling.steps)
    plan = _plan(config, looks, seeds, sampling.steps)
    drafted = seeds if config.calibrate else _drafted(config, looks, seeds, sampling.steps)
    finished: list[Wanted] = []
    results: dict[str, Found] = {}
    evaluations, failed = 0, {}
    with tqdm(total=len(by_prompt), unit="prompt", disable=None) as bar:
        for (prompt, _), clips in by_prompt.items():
            clips = clips[:drafted]
            image = images_of(clips[:1], pipeline, sampling)
            takes = PromptTakes(
                pipeline, sampling, prompt, config.negative_prompt, image(0) if image else None, guidance
            )
            names = {clip.seed: clip for clip in clips}
            found, held = search_seeds(
                takes,
                prompt,
                list(names),
                plan,
                judge,
                rule,
                journal.known(prompt),
                journal.seen(prompt, names, sampling.fps),
            )
            results[prompt] = found
            for seed in found.best:
                clip = names[seed]
                try:
                    if folder.missing([clip]):
                        take = (held.get(seed) or takes.begin(seed)).go()
                        frames = as_frames(takes.decoded(check_finite(take.x[0].float(), seed)))
                        folder.add(clip, frames, sampling.fps, generate_command.described(config, pipeline))
                    finished.append(clip)
                except VideoAlignError as error:
                    failed[clip.id] = str(error)
            if not found.best:
                failed[prompt] = _why_none(found)
            evaluations += takes.evaluations
            bar.update()
    folder.close(finished)
    journal.write(results)
    page = write_search_page(config.output, results, finished, journal)
    steps = cost(plan, drafted, sampling.steps)
    print(
        f"{len(finished)} clips of {len(by_prompt)} prompts in {config.output}, of {drafted} seeds each: {steps} steps a prompt, "
        f"{steps / sampling.steps:.2f} of one clip's; {evaluations} evaluations of the network in this run."
    )
    print(f"Open {page} to see the previews.")
    if config.calibrate:
        print("\n".join(calibrating.lines(*calibrating.measured(config.output, results, sampling.steps, known_as))))
    for name, why in list(failed.items())[:MOST_TOLD]:
        print(f"videoalign search: {name}: {why}", file=sys.stderr)
    return 1 if failed else 0


def _judge(config: Config) -> TakeJudge:
    from ..backbones.devices import chosen_device
    from ..judges import JudgeOptions, open_panel
    from ..reward.settings import EMBEDDED_LATENT_FILE
    from .search.judging import LatentJudge, PreviewJudge

    device = str(chosen_device(config.device))
    name, _, source = config.judge[0].partition(":")
    if name == LATENT:
        return LatentJudge(EMBEDDED_LATENT_FILE if source == "micro" else Path(source), device)
    opened = open_panel([judge_or_reward(text) for text in config.judge], JudgeOptions(device=device))
    return PreviewJudge(opened, config.preview_frames)


def _rule(config: Config, judge: TakeJudge) -> Rule:
    from ..reward.search.seed_search import Rule
    from ..reward.weights import RewardWeights

    weights = named_weights(config.weight) or RewardWeights.of(1, 1, 1)
    return Rule(weights, parse_gates(config.gate), parse_gates(config.enough), judge.lower_is_better)


def _why_none(found: Found) -> str:
    reasons: Mapping[str, None] = dict.fromkeys(reason for look in found.looks for reason in look.out)
    return f"no take is left: {'; '.join(list(reasons)[:3]) or 'none was judged'}. Draft more seeds, or ease the gates."
