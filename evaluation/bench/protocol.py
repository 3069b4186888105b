"""What a benchmark compares: which of people's labels with which score, on frames of which size.

VideoGen-RewardBench (KwaiVGI) has a label per dimension. GenAI-Bench (TIGER-AI-Lab) has one vote per pair on small
clips of early models; the VideoReward paper compares it with TA alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...preferences.preference_file import DIMENSIONS, Preferences
from ...reward.settings import FrameSampling


@dataclass(frozen=True)
class Protocol:
    """One benchmark's rules.

    Attributes:
        name: as written on the command line.
        title: as people write it.
        score_of: for each label that is measured, the score that has to agree with it.
        max_pixels: upper bound of height * width of a frame, or None for the checkpoint's own.
    """

    name: str
    title: str
    score_of: Mapping[str, str]
    max_pixels: int | None = None

    def sampling(self, own: FrameSampling) -> FrameSampling:
        """How frames are sampled for a checkpoint that samples as ``own`` (2 fps at 448 * 448 for the released one).

        Both ends of the checkpoint's range are lowered in proportion. With the released lower end (100352) left as it
        is, a frame of 256x256 would be enlarged to 336x336.
        """
        if self.max_pixels is None or own.max_pixels <= self.max_pixels:
            return own
        return replace(own, max_pixels=self.max_pixels, min_pixels=own.min_pixels * self.max_pixels / own.max_pixels)


REWARD_BENCH = Protocol("videogen-rewardbench", "VideoGen-RewardBench", {name: name for name in DIMENSIONS})
GENAI_BENCH = Protocol("genai-bench", "GenAI-Bench", {"Overall": "TA"}, 256 * 256)
PROTOCOLS = {protocol.name: protocol for protocol in (REWARD_BENCH, GENAI_BENCH)}


def protocol_of(preferences: Preferences) -> Protocol:
    """GenAI-Bench's for its own pairs (imported now or earlier), VideoGen-RewardBench's for all others."""
    formats = {pair.source.format if pair.source else preferences.format for pair in preferences}
    return GENAI_BENCH if formats == {"genai_bench"} else REWARD_BENCH
