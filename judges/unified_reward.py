"""UnifiedReward-2.0 as a judge: ``unified-reward:FOLDER``. Three marks from 1 to 5 (arXiv 2503.05236), without reasons.

The same weights compare two clips: ``open_comparison``. Facts and where each was checked: ``docs/judges.md``.
"""

from __future__ import annotations

import re

import torch

from ..clips.frames import View, read_frames
from ..errors import CaptionError
from ..reward.comparison import BothOrders, Preference, compared_both_ways
from ..reward.frame_pixels import resize_frames
from ..reward.frame_sampling import resized_size
from ..reward.judge import ClipMarks, Dimension
from ..reward.settings import FrameSampling
from ..reward.vision_language.answers import Answer
from ..reward.vision_language.family import QWEN2_5_VL, QWEN3_VL
from ..reward.vision_language.network import VisionLanguageModel, load_vision_language
from ..reward.vision_language.pictures import Pictures
from ..reward.vision_language.written_judge import Questioner, WrittenJudge
from . import JudgeError, JudgeOptions

WANTED = "CodeGoat24/UnifiedReward-2.0-qwen3vl-8b (or 4b, 2b, or -2.0-qwen-7b, 3b)"
LICENCE = "MIT (model cards of CodeGoat24/UnifiedReward-2.0)"
FRAMES, FRAMES_OF_A_PAIR = 16, 8
MARKS_PROMPT = (
    "You are presented with a generated video and its associated text caption. "
    "Your task is to analyze the video across multiple dimensions in relation to the caption. Specifically:\n"
    "Provide overall assessments for the video along the following axes (each rated from 1 to 5):\n"
    "- Alignment Score: How well the video matches the caption in terms of content.\n"
    "- Physics Score: How well the gravity, movements, collisions, and interactions make physical sense.\n"
    "- Style Score: How visually appealing the video looks, regardless of caption accuracy.\n\n"
    "Output your evaluation using the format below:\n\n"
    "Alignment Score (1-5): X\n"
    "Physics Score (1-5): Y\n"
    "Style Score (1-5): Z\n\n"
    "Your task is provided as follows:\n"
    "Text Caption: [{caption}]"
)
PAIR_PROMPT = (
    "Imagine you are an expert tasked with evaluating AI-generated videos. You are provided with a text caption and two "
    "videos generated based on that caption. Your job is to assess and compare these videos based on the following two "
    "main factors:\n\n"
    "1. Caption Alignment: Evaluate how closely each video matches the description provided in the caption. Pay attention "
    "to the accuracy of objects depicted, their relationships, and any attributes described in the caption.\n\n"
    "2. Overall Video Quality: Look at the overall visual appeal of each video, considering clarity, the level of detail, "
    "color accuracy, and how aesthetically pleasing the video is.\n\n"
    "Using these factors, compare the two videos and determine which one better reflects the caption and exhibits better "
    "visual quality.\n\n"
    "Give your final judgment, such as 'Video 1 is better,' 'Video 2 is better,' or 'Both videos are equally good.'\n\n"
    "Your task is as follows:\n"
    "Text Caption: [{caption}]\n"
)
AXES = {"alignment": "Alignment", "physics": "Physics", "style": "Style"}
_UNIT = "a mark of five"
_VERDICT = re.compile(r"\bvideo ([12]) is better\b|\bboth videos are equally good\b", re.IGNORECASE)


def open_judge(source: str | None, options: JudgeOptions) -> UnifiedReward:
    """The judge with the weights in ``source``.

    Raises:
        JudgeError: there is no source, or a ``sampling`` that it cannot follow.
        CheckpointError: its weights cannot be used.
    """
    return UnifiedReward(_model(source, options), _sampling(options, FRAMES))


def open_comparison(source: str | None, options: JudgeOptions | None = None) -> UnifiedRewardPairs:
    """The same weights, for comparing two clips; see ``reward.comparison``. Arguments and errors as of ``open_judge``."""
    options = options or JudgeOptions()
    return UnifiedRewardPairs(_model(source, options), _sampling(options, FRAMES_OF_A_PAIR))


class _Shown(Questioner):
    """What marks and comparisons have in common: frames at int(i T / n), each a picture of its own."""

    as_clip = False

    @property
    def view(self) -> View:
        """See ``Judge``."""
        return View(self._choose, self._resized)

    def _choose(self, total: int, fps: float) -> list[int]:
        count = int(self.sampling.num_frames or FRAMES)
        return sorted({index * total // count for index in range(count)})

    def _resized(self, frames: torch.Tensor) -> torch.Tensor:
        side = self.model.family.token_side
        return resize_frames(frames, resized_size(frames.shape[2], frames.shape[3], self.sampling, side))


class UnifiedReward(_Shown, WrittenJudge):
    """Marks for alignment, physics and style, as the model writes them: numbers such as 3.0987."""

    name = "unified-reward"
    title = "UnifiedReward-2.0"
    licence = LICENCE
    dimensions = (
        Dimension("alignment", "how well it matches the caption", _UNIT, 1.0, 5.0, needs_caption=True),
        Dimension("physics", "gravity, movements, collisions", _UNIT, 1.0, 5.0, needs_caption=True),
        Dimension("style", "how appealing it looks", _UNIT, 1.0, 5.0, needs_caption=True),
    )
    overall = Dimension("mean", "mean of the three marks", _UNIT, 1.0, 5.0, needs_caption=True)
    prompt, limit = MARKS_PROMPT, 128

    def marks_of(self, answer: Answer, clip: Pictures, caption: str | None) -> ClipMarks:
        """See ``WrittenJudge``."""
        try:
            marks = axis_marks(answer.text)
        except ValueError as error:
            raise self.unreadable(answer, str(error)) from None
        marks["mean"] = sum(marks.values()) / len(marks)
        return ClipMarks(marks, caption, clip.total_frames, clip.fps, notes=clip.notes)


class UnifiedRewardPairs(_Shown):
    """Which of two clips of one caption is better; see ``reward.comparison.ClipComparison``."""

    name = "unified-reward-pairs"
    title = "UnifiedReward-2.0, two clips"
    licence = LICENCE
    prompt, limit = PAIR_PROMPT, 512

    def prepare(self, source: object, fps: float | None = None) -> Pictures:
        """See ``ClipComparison``."""
        return self.prepare_frames(read_frames(source, self.view, fps))

    def compare(self, first: Pictures, second: Pictures, caption: str) -> BothOrders:
        """Both orders are asked in one batch; see ``ClipComparison``.

        Raises:
            CaptionError: there is no caption.
            ClipError: an answer names no winner.
        """
        if not caption.strip():
            raise CaptionError("Two clips are compared for a caption; it is empty.")
        replies = self.ask([([first, second], caption), ([second, first], caption)])
        return compared_both_ways(*(self._verdict(reply) for reply in replies))

    def _verdict(self, answer: Answer) -> tuple[Preference, str]:
        try:
            return verdict(answer.text), answer.text.strip()
        except ValueError as error:
            raise self.unreadable(answer, str(error)) from None


def axis_marks(text: str) -> dict[str, float]:
    """The three marks of an answer such as ``Alignment Score (1-5): 2.4036``, one a line.

    Raises:
        ValueError: a mark is missing, no number, or not from 1 to 5.
    """
    marks = {}
    for name, axis in AXES.items():
        match = re.search(rf"\b{axis} Score \(1-5\):\s*(\S+)", text, re.IGNORECASE)
        if match is None:
            raise ValueError(f"there is no '{axis} Score (1-5):'")
        number = match[1].rstrip(".,;")
        if not re.fullmatch(r"\d+(\.\d+)?", number) or not 1 <= float(number) <= 5:
            raise ValueError(f"{match[1]!r} behind '{axis} Score (1-5):' is no mark from 1 to 5")
        marks[name] = float(number)
    return marks


def verdict(text: str) -> Preference:
    """Which video an answer prefers: 1, 2, or 0 for neither.

    Raises:
        ValueError: it names none, or several that differ.
    """
    found = {int(match[1] or 0) for match in _VERDICT.finditer(text)}
    if len(found) != 1:
        raise ValueError("it names no winner" if not found else "it names several winners")
    return Preference(found.pop())


def _model(source: str | None, options: JudgeOptions) -> VisionLanguageModel:
    if not source:
        raise JudgeError(
            f"The judge unified-reward needs its weights: unified-reward:FOLDER, with the files of {WANTED}."
        )
    return load_vision_language(
        source,
        (QWEN3_VL, QWEN2_5_VL),
        WANTED,
        dtype=options.dtype,
        bits=options.weights,
        device=options.device,
        allow_download=options.download,
    )


def _sampling(options: JudgeOptions, frames: int) -> FrameSampling:
    """A fixed number of frames, each as large as it is within the bounds of the image processor of Qwen3-VL."""
    if "fps" in options.sampling:
        raise JudgeError("UnifiedReward looks at a fixed number of frames; give num_frames in the place of fps.")
    whole = FrameSampling(num_frames=frames, min_pixels=QWEN3_VL.min_pixels, max_pixels=QWEN3_VL.max_pixels)
    if options.max_pixels is not None and options.max_pixels < whole.min_pixels:
        whole = whole.overridden(max_pixels=options.max_pixels)
    elif options.max_pixels is not None:
        whole = whole.overridden(max_pixels=min(options.max_pixels, whole.max_pixels))
    return whole.overridden(**options.sampling)
