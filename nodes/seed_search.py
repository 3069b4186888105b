"""The search of *Search Seeds*: which seeds, what is known of them, how they rank, and which are finished."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import VideoAlignError
from ..reward.gates import Gate
from ..reward.search.pace import Pace
from ..reward.search.plan import affordable, checked_looks, replayed_cost, schedule
from ..reward.search.seed_search import Found, Look, Marks, passes, search_seeds
from ..reward.weights import RewardWeights
from .known_takes import KNOWN, KnownTakes, look_key
from .ranking import Ranking, picked_of, rank
from .ranking_rules import RankingRules
from .scored_clip import ScoredClip
from .seed_numbers import SEEDS
from .seed_takes import REPLAY, SeedSampling

if TYPE_CHECKING:
    from .take_judging import LatentMarks, PreviewMarks


@dataclass(frozen=True)
class SearchSettings:
    """What a user asks for.

    Attributes:
        first_seed, seeds: the drafted ones: ``keep_seeds``, and from the first on as many as are missing to ``seeds``.
        looks: steps after which takes are judged; 0 for a quarter of all.
        keep: how many are finished.
        weights, rules: how takes are ranked.
        enough: gates that end the drafting.
        budget: most model evaluations; None for no limit.
        budget_seconds: most seconds, by the pace of the first take; None for no limit.
        keep_seeds: in the running, too.
        exclude_seeds: never drafted.
        use_this: a person's choice, as ``ranking.choice_of`` writes it.
        calibrate: all takes are looked at at all looks, at half of the steps and at the end.
    """

    first_seed: int
    seeds: int
    looks: tuple[int, ...] = (0,)
    keep: int = 1
    weights: RewardWeights = field(default_factory=RewardWeights)
    rules: RankingRules | None = None
    enough: tuple[Gate, ...] = ()
    budget: int | None = None
    budget_seconds: float | None = None
    keep_seeds: tuple[int, ...] = ()
    exclude_seeds: frozenset[int] = frozenset()
    use_this: str = ""
    calibrate: bool = False

    def steps_of_looks(self, steps: int) -> list[int]:
        """The steps after which takes are looked at, ascending.

        Raises:
            VideoAlignError: a look behind the last step.
        """
        (quarter,) = checked_looks((), steps)
        return checked_looks([look or quarter for look in self.looks], steps, "look_after")

    def candidates(self, count: int) -> list[int]:
        """``count`` seeds: those that are kept, then from the first on."""
        chosen = list(dict.fromkeys(seed for seed in self.keep_seeds if seed not in self.exclude_seeds))[:count]
        seed = self.first_seed % SEEDS
        while len(chosen) < count:
            if seed not in chosen and seed not in self.exclude_seeds:
                chosen.append(seed)
            seed = (seed + 1) % SEEDS
        return chosen


@dataclass(frozen=True)
class SearchPlan:
    """What will be done, known before anything is sampled.

    Attributes:
        seeds: that are drafted, in their order.
        looks: (step, how many are kept after it).
        work: model evaluations in all, by what is known of the samplers.
        one: of one clip.
    """

    seeds: tuple[int, ...]
    looks: tuple[tuple[int, int], ...]
    work: int
    one: int

    @classmethod
    def of(cls, settings: SearchSettings, sampling: SeedSampling, pace: Pace | None = None) -> SearchPlan:
        """The plan for these settings.

        Args:
            pace: seconds of a model evaluation and of a look, for settings with ``budget_seconds``; without it seconds do not limit.

        Raises:
            VideoAlignError: looks behind the last step, fewer seeds than are kept, or a budget that finishes nothing.
        """
        if not 1 <= settings.keep <= settings.seeds:
            raise VideoAlignError(
                f"keep is {settings.keep}, of {settings.seeds} seeds. Keep 1 or more, and no more than there are."
            )
        looks = settings.steps_of_looks(sampling.steps)
        one = sampling.work(sampling.steps)
        if settings.calibrate:
            return cls._calibrating(settings, sampling, looks, one)

        def work(plan, seeds):
            if sampling.mode == REPLAY:
                return replayed_cost(plan, seeds, sampling.steps, sampling.work)
            total, alive, before = 0, seeds, 0
            for step, kept in [*plan, (sampling.steps, 0)]:
                total, alive, before = total + alive * sampling.work(step, before), kept, step
            return total

        refusal = (
            f"budget is {settings.budget} model evaluations, but finishing {settings.keep} of this model's clips takes {settings.keep * one}, and "
            f"drafting as many seeds more. Raise it, or set it to 0 for no limit."
        )
        count = affordable(looks, settings.seeds, settings.keep, settings.budget, work, refusal)
        if settings.budget_seconds and pace:
            count = pace.affordable(
                looks,
                count,
                settings.keep,
                settings.budget_seconds,
                work,
                lambda least: (
                    f"budget_seconds is {settings.budget_seconds:g}, but here a model evaluation takes {pace.step:.3g} s and a look {pace.look:.3g} s, so that "
                    f"finishing {settings.keep} of {settings.keep} takes {least:.3g} s. Raise it, or set it to 0 for no limit."
                ),
            )
        plan = schedule(looks, count, settings.keep)
        return cls(tuple(settings.candidates(count)), tuple(plan), work(plan, count), one)

    @classmethod
    def _calibrating(
        cls, settings: SearchSettings, sampling: SeedSampling, looks: Sequence[int], one: int
    ) -> SearchPlan:
        if settings.budget or settings.budget_seconds or settings.enough or settings.seeds < 2:
            raise VideoAlignError(
                "mode 'calibrate' finishes all takes and compares them: set budget and budget_seconds to 0, leave stop_when empty, and give 2 seeds or more."
            )
        early = sorted({*looks, max(1, sampling.steps // 2)} - {sampling.steps})
        plan = [*((step, settings.seeds) for step in early), (sampling.steps, settings.keep)]
        work = replayed_cost(plan, settings.seeds, sampling.steps, sampling.work)
        return cls(tuple(settings.candidates(settings.seeds)), tuple(plan), work, one)


@dataclass(frozen=True)
class SearchResult:
    """What came of it.

    Attributes:
        ranking: of all takes that could be judged, those that went furthest first; its ``top_k`` are finished.
        finished: samples by seed, the best first.
        found: every look.
        known: looks that an earlier run had taken.
    """

    ranking: Ranking
    finished: Mapping[int, Any]
    found: Found
    known: int


class SeedSearch:
    """One run of the node; see ``reward.search.seed_search``. It is the order by which takes are ranked.

    Args:
        sampling, judge: that sample and judge.
        prompt: the caption.
        paced: (seed, step) of looks that were taken for this run before it, to find its pace.
    """

    def __init__(
        self, settings: SearchSettings, plan: SearchPlan, sampling: SeedSampling, judge: PreviewMarks | LatentMarks,
        prompt: str, memory: KnownTakes = KNOWN, paced: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:  # fmt: skip
        self.settings, self.plan, self.sampling, self.judge, self.prompt = settings, plan, sampling, judge, prompt
        self.memory, self._sampled_by = memory, sampling.key()
        self._judged_by = judge.key()
        self._clips: dict[tuple[int, int], ScoredClip] = {}
        self._known = 0
        self._paced = paced

    def run(self) -> SearchResult:
        """Draft, judge and finish. What was done before an interrupt is known to the next run."""

        def known(seed: int, step: int) -> Marks | None:
            clip = self.memory.look(self._look_key(seed, step))
            if clip is None:
                return None
            self._known += (seed, step) not in self._paced
            return self._named(seed, step, clip).scores

        def seen(look: Look, clip: ScoredClip) -> None:
            self.memory.keep_look(self._look_key(look.seed, look.step), clip)
            self._named(look.seed, look.step, clip)

        found, held = search_seeds(
            self.sampling, self.prompt, self.plan.seeds, self.plan.looks, self.judge, self, known, seen
        )
        if not self._clips:
            reasons = dict.fromkeys(reason for look in found.looks for reason in look.out)
            raise VideoAlignError(f"No take could be judged: {'; '.join(list(reasons)[:3])}")
        ranking = self._ranking(found)
        finished: dict[int, Any] = {}
        for seed in dict.fromkeys([*([ranking.picked.clip.seed] if ranking.picked else []), *found.best]):
            if len(finished) == self.settings.keep:
                break
            key = (self._sampled_by, seed)
            samples = self.memory.finished(key)
            if samples is None:
                take = held.get(seed) or self.sampling.begin(seed)
                samples = take.go(self.sampling.steps).samples
                self.memory.keep_finished(key, samples)
            finished[seed] = samples
        return SearchResult(replace(ranking, top_k=len(finished)), finished, found, self._known)

    def is_enough(self, marks: Marks) -> bool:
        """See ``reward.search.seed_search.Order``."""
        return passes(marks, self.settings.enough, self.settings.rules.gates if self.settings.rules else ())

    def ranked(self, row: Sequence[Look]) -> list[Look]:
        """See ``reward.search.seed_search.Order``."""
        judged = [look for look in row if not look.out]
        if not judged:
            return []
        order = self._rank(judged).order
        for one in order:
            judged[one.index].total, judged[one.index].out = one.total, one.gate_failures
        return [judged[one.index] for one in order if one.rank is not None]

    def _rank(self, looks: Sequence[Look]) -> Ranking:
        clips = [self._clips[look.seed, look.step] for look in looks]
        return rank(clips, self.settings.weights, rules=self.settings.rules)

    def _ranking(self, found: Found) -> Ranking:
        """Each take where its last look put it: what went further stands before what was dropped."""
        place = {seed: index for index, seed in enumerate(self.plan.seeds)}
        order, notes, last = [], [], None
        for step in sorted({look.step for look in found.looks}, reverse=True):
            looks = [look for look in found.looks if look.step == step and (look.seed, step) in self._clips]
            if not looks:
                continue
            ranking = self._rank(looks)
            last = last or ranking
            there = {row.clip.seed for row in order}
            order += [replace(row, index=place[row.clip.seed]) for row in ranking.order if row.clip.seed not in there]
        if found.ended_early:
            order.sort(key=lambda row: row.clip.seed != found.best[0])
            notes.append(
                f"Seed {found.best[0]} was good enough: drafting ended after {len(order)} of {len(self.plan.seeds)} seeds."
            )
        failed = {look.seed: look.out[0] for look in found.looks if (look.seed, look.step) not in self._clips}
        notes += [f"Seed {seed} could not be judged: {why}" for seed, why in failed.items()]
        order = [replace(row, rank=None if row.gate_failures else number) for number, row in enumerate(order, start=1)]
        picked, complaint = picked_of(order, self.settings.use_this)
        notes = [*complaint, *notes, *last.notes]
        return replace(last, order=tuple(order), notes=tuple(notes), picked=picked, top_k=self.settings.keep)

    def _look_key(self, seed: int, step: int) -> Hashable:
        return look_key(self._sampled_by, self._judged_by, self.prompt, seed, step)

    def _named(self, seed: int, step: int, clip: ScoredClip) -> ScoredClip:
        number = self.plan.seeds.index(seed) + 1
        self._clips[seed, step] = replace(clip, name=f"clip {number} of {len(self.plan.seeds)}")
        return self._clips[seed, step]
