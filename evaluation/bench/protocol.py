"""What a benchmark compares: which of people's labels with which score, on frames of which size.

VideoGen-RewardBench (KwaiVGI) has a label per dimension. GenAI-Bench (TIGER-AI-Lab) has one vote per pair on small
clips of early models; the VideoReward paper compares it with TA alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...errors import VideoAlignError
from ...preferences.preference_file import Preferences
from ...reward.dimensions import OVERALL, RATED, VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL
from ...reward.judge import Dimension, Judge, all_dimensions


@dataclass(frozen=True)
class Protocol:
    """One benchmark's rules.

    Attributes:
        name: as written on the command line.
        title: as people write it.
        score_of: for each label that is measured, the score that has to agree with it.
        max_pixels: upper bound of height * width of a frame, or None for the judge's own.
        scores: what the judge gives marks for; VideoReward's by default.
    """

    name: str
    title: str
    score_of: Mapping[str, str]
    max_pixels: int | None = None
    scores: tuple[Dimension, ...] = (*VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL)

    def for_judge(self, judge: Judge) -> Protocol:
        """These rules for a judge.

        Labels are compared with the marks that this protocol names. A judge that has none of them is asked for the whole:
        people's Overall against its overall mark, or its only one.

        Raises:
            VideoAlignError: it has several marks and none for the whole.
        """
        scores = all_dimensions(judge)
        if {dimension.name for dimension in scores} & set(self.score_of.values()):
            return replace(self, scores=scores)
        if judge.overall is None and len(scores) > 1:
            raise VideoAlignError(
                f"The judge {judge.name} marks {', '.join(dimension.name for dimension in scores)}; {self.title} has labels "
                f"for {', '.join(self.score_of)}, and the judge has no mark for the whole to compare with Overall."
            )
        return replace(self, score_of={OVERALL: scores[-1].name}, scores=scores)


REWARD_BENCH = Protocol("videogen-rewardbench", "VideoGen-RewardBench", {name: name for name in RATED})
GENAI_BENCH = Protocol("genai-bench", "GenAI-Bench", {"Overall": "TA"}, 256 * 256)
PROTOCOLS = {protocol.name: protocol for protocol in (REWARD_BENCH, GENAI_BENCH)}


def protocol_of(preferences: Preferences) -> Protocol:
    """GenAI-Bench's for its own pairs (imported now or earlier), VideoGen-RewardBench's for all others."""
    formats = {pair.source.format if pair.source else preferences.format for pair in preferences}
    return GENAI_BENCH if formats == {"genai_bench"} else REWARD_BENCH
