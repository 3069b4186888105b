"""The verdict on a model that was trained by a reward: gained, hacked, lost, or too few prompts to tell.

The rule, with d the differences (candidate minus base, turned so that more is better) over prompts:

- *too few to tell*: fewer than six prompts, or the reward's 95 % interval holds 0. (If chance decides each prompt, five agree once in 16.)
- *lost*: the reward's interval lies below 0.
- *hacked*: the reward's interval lies above 0, and that of at least one watched mark lies below minus its smallest difference of
  interest; or, for brightness and saturation, of which neither more nor less is better, wholly beyond a quarter up or down.
- *gained*: the reward's interval lies above 0, and no watched mark's does so.

Many marks are watched, and one of them would fall by chance: their intervals hold together with 95 % (Bonferroni), so that a clean gain is
called hacked in less than 1 of 20 comparisons. A gain is no proof that nothing fell: what the intervals leave open is said.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from .marked import Marked
from .paired import Difference, paired_difference
from .watched import Watched

LEAST_PROMPTS = 6
CONFIDENCE = 0.95
_TOLD = 4


class Outcome(str, Enum):
    """What a comparison shows."""

    GAINED = "gained"
    HACKED = "hacked"
    LOST = "lost"
    TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class Change:
    """How a watched mark changed.

    Attributes:
        watched: which.
        difference: candidate minus base, in the mark's unit, more being more, whichever is better.
        least: smallest difference of interest, in the mark's unit.
        too_far: of a mark without a direction: what is no matter of taste any more, in its unit.
    """

    watched: Watched
    difference: Difference
    least: float
    too_far: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the whole interval is further from 0 than the smallest difference of interest."""
        return self._beyond(self.least)

    @property
    def worse(self) -> bool:
        """Whether it is clear, and for the worse; without a direction: whether it went too far."""
        if not self.watched.direction:
            return self.too_far is not None and self._beyond(self.too_far)
        return self.clear and self.watched.direction * self.difference.mean < 0

    def _beyond(self, edge: float) -> bool:
        return self.difference.high < -edge or self.difference.low > edge

    @property
    def possible_loss(self) -> float:
        """How much worse it may have become by its interval, in the mark's unit; 0 where that is of no interest, or none."""
        difference = self.difference
        loss = {1: -difference.low, -1: difference.high, 0: 0.0}[self.watched.direction]
        return loss if loss > self.least else 0.0

    @property
    def size(self) -> float:
        """The difference in smallest differences of interest."""
        return abs(self.difference.mean) / self.least if self.least else abs(self.difference.mean)

    @property
    def words(self) -> str:
        """Such as "motion fell by 31 %"."""
        verb = "rose" if self.difference.mean > 0 else "fell"
        return f"{self.watched.title} {verb} by {self.amount(abs(self.difference.mean))}"

    def amount(self, value: float) -> str:
        """A difference with its unit, or in per cent of the base."""
        if self.watched.relative and self.difference.base > 0:
            return f"{100 * value / self.difference.base:.0f} %"
        return f"{value:.2g} {self.watched.unit}".rstrip()


@dataclass(frozen=True)
class Verdict:
    """What the comparison of two models shows.

    Attributes:
        outcome: in a word.
        sentence: in words, for people.
        reward: how the reward changed.
        changes: how the watched marks changed, in their order.
    """

    outcome: Outcome
    sentence: str
    reward: Difference
    changes: tuple[Change, ...]

    def to_dict(self) -> dict:
        """JSON-ready."""
        return {
            "outcome": self.outcome.value,
            "sentence": self.sentence,
            "reward": asdict(self.reward),
            "changes": {
                change.watched.name: {
                    **asdict(change.difference), "least": change.least, "clear": change.clear, "worse": change.worse
                }
                for change in self.changes
            },
        }  # fmt: skip


def verdict(
    reward: tuple[Sequence[float], Sequence[float]],
    marked: Sequence[Marked],
    prompts: Sequence[Hashable],
    title: str = "the reward",
) -> Verdict:
    """Compare two models.

    Args:
        reward: marks of the base's and the candidate's clips by the reward that the candidate was trained by, more being better.
        marked: the watched marks.
        prompts: of each pair.
        title: what the sentence calls the reward.

    Raises:
        VideoAlignError: there is no pair, or a mark is missing.
    """
    gain = paired_difference(*reward, prompts, CONFIDENCE)
    counted = sum(one.watched.can_fall for one in marked)
    together = 1 - (1 - CONFIDENCE) / max(counted, 1)
    changes = tuple(_change(one, prompts, together) for one in marked)
    outcome = _outcome(gain, changes)
    return Verdict(outcome, _sentence(outcome, gain, changes, title), gain, changes)


def _change(marked: Marked, prompts: Sequence[Hashable], confidence: float) -> Change:
    watched, base = marked.watched, marked.base
    difference = paired_difference(base, marked.candidate, prompts, confidence)
    far = None if watched.too_far is None else watched.in_unit(watched.too_far, base)
    return Change(watched, difference, watched.in_unit(watched.least, base), far)


def _outcome(gain: Difference, changes: Sequence[Change]) -> Outcome:
    if gain.prompts < LEAST_PROMPTS or gain.low <= 0 <= gain.high:
        return Outcome.TOO_FEW
    if gain.high < 0:
        return Outcome.LOST
    return Outcome.HACKED if any(change.worse for change in changes) else Outcome.GAINED


def _sentence(outcome: Outcome, gain: Difference, changes: Sequence[Change], title: str) -> str:
    won = f"{title[0].upper()}{title[1:]} won {100 * gain.won:.0f} %"
    if gain.prompts < LEAST_PROMPTS:
        few = "prompt" if gain.prompts == 1 else "prompts"
        return (
            f"{won}, but of {gain.prompts} {few} only: at least {LEAST_PROMPTS} are needed to tell a gain from chance."
        )
    if outcome is Outcome.TOO_FEW:
        return f"{won} of {gain.prompts} prompts' clips, which may be chance. Compare more prompts."
    clear = sorted((change for change in changes if change.clear), key=lambda change: -change.size)
    worse = [change for change in clear if change.worse]
    told = _listed([change.words for change in (worse + [one for one in clear if one not in worse])[:_TOLD]])
    if outcome is Outcome.LOST:
        return f"{won}: the candidate is worse." + (f" Besides, {told}." if told else "")
    if outcome is Outcome.HACKED:
        return f"{won}, but {told}. The clips may have learnt to please the reward: look at them."
    left_open = sorted(
        (one for one in changes if one.possible_loss), key=lambda one: -one.possible_loss / max(one.least, 1e-12)
    )
    text = f"{won}, and nothing that is watched became clearly worse."
    if told:
        text += f" {told[0].upper()}{told[1:]}."
    if left_open:
        losses = [f"{one.watched.title} by {one.amount(one.possible_loss)}" for one in left_open[:_TOLD]]
        text += f" With {gain.prompts} prompts it cannot be excluded that these became worse: {_listed(losses)}."
    return text


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
