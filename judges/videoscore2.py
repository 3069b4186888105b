"""VideoScore2 as a judge: ``videoscore2:FOLDER``. Three marks from 1 to 5, and why (arXiv 2509.22799).

Facts and where each was checked: ``docs/judges.md``.
"""

from __future__ import annotations

import re

import torch

from ..clips.frames import View
from ..errors import ClipError
from ..reward.frame_pixels import resize_frames
from ..reward.frame_sampling import frame_count, frame_indices, resized_size
from ..reward.judge import ClipMarks, DetailedMarks, Dimension
from ..reward.settings import FrameSampling
from ..reward.vision_language.answers import Answer
from ..reward.vision_language.family import QWEN2_5_VL
from ..reward.vision_language.network import load_vision_language
from ..reward.vision_language.pictures import Pictures
from ..reward.vision_language.written_judge import WrittenJudge
from . import JudgeError, JudgeOptions

WANTED = "TIGER-Lab/VideoScore2"
LONGEST_SIDE = 960
SAMPLING = FrameSampling(fps=2.0, min_frames=4, max_frames=64, min_pixels=128 * 28 * 28, max_pixels=768 * 28 * 28)
# Byte for byte, with its indentation and the blanks that two of its lines end with.
PROMPT = (
    "\n"
    "    You are an expert for evaluating AI-generated videos from three dimensions:\n"
    "    (1) visual quality – clarity, smoothness, artifacts;\n"  # noqa: RUF001
    "    (2) text-to-video alignment – fidelity to the prompt;\n"  # noqa: RUF001
    "    (3) physical/common-sense consistency – naturalness and physics plausibility.\n"  # noqa: RUF001
    "\n"
    "    Video prompt: {caption}\n"
    "\n"
    "    Please output in this format:\n"
    "    visual quality: <v_score>; \n"
    "    text-to-video alignment: <t_score>, \n"
    "    physical/common-sense consistency: <p_score>\n"
    "    "
)
LABELS = {
    "visual_quality": "visual quality",
    "text_alignment": "text-to-video alignment",
    "physics": "physical/common-sense consistency",
}
_HEADINGS = {
    "visual_quality": r"visual quality",
    "text_alignment": r"text-to-video alignment",
    "physics": r"physical(?:/common-sense)? consistency",
}
_UNIT = "a mark of five"


def open_judge(source: str | None, options: JudgeOptions) -> VideoScore2:
    """The judge with the weights in ``source``.

    Raises:
        JudgeError: there is no source.
        CheckpointError: its weights cannot be used.
    """
    if not source:
        raise JudgeError(f"The judge videoscore2 needs its weights: videoscore2:FOLDER, with the files of {WANTED}.")
    model = load_vision_language(
        source,
        (QWEN2_5_VL,),
        WANTED,
        dtype=options.dtype,
        bits=options.weights,
        device=options.device,
        allow_download=options.download,
    )
    sampling = SAMPLING if options.max_pixels is None else SAMPLING.limited(options.max_pixels)
    return VideoScore2(model, sampling.overridden(**options.sampling))


class VideoScore2(WrittenJudge):
    """Marks for visual quality, alignment and physics. Each is soft, as the authors' script has it: the likeliest of the
    marks 1 to 5 times its share of their probability; the mark that was written stands among the details."""

    name = "videoscore2"
    title = "VideoScore2"
    dimensions = (
        Dimension("visual_quality", "clarity, smoothness, artefacts", _UNIT, 0.2, 5.0, needs_caption=True),
        Dimension("text_alignment", "fidelity to the prompt", _UNIT, 0.2, 5.0, needs_caption=True),
        Dimension("physics", "naturalness and plausible physics", _UNIT, 0.2, 5.0, needs_caption=True),
    )
    overall = Dimension("mean", "mean of the three marks", _UNIT, 0.2, 5.0, needs_caption=True)
    details = (*(f"{name}_written" for name in LABELS), "total_frames", "fps")
    gives_reasons = True
    licence = "Apache-2.0 (model card of TIGER-Lab/VideoScore2)"
    prompt, limit, as_clip = PROMPT, 1024, True
    watched = ("1", "2", "3", "4", "5")

    @property
    def step(self) -> float:
        """See ``WrittenJudge``: seconds between pairs of frames, as the model is told, times its positions a second."""
        vision = self.model.vision_config
        fps = SAMPLING.fps if self.sampling.num_frames is not None else self.sampling.fps
        return 2.0 / fps * getattr(vision, "tokens_per_second", 2)

    @property
    def view(self) -> View:
        """Two frames a second, at least 4 and at most 64, evenly spread; see ``Judge``."""
        return View(self._choose, self._resized)

    def _choose(self, total: int, fps: float) -> list[int]:
        if total < 2:
            raise ClipError(f"The clip has {total} frame; VideoScore2 needs at least 2.")
        return frame_indices(total, frame_count(total, fps, self.sampling))

    def _resized(self, frames: torch.Tensor) -> torch.Tensor:
        height, width = frames.shape[2:]
        scale = min(1.0, LONGEST_SIDE / max(height, width))
        return resize_frames(frames, resized_size(int(height * scale), int(width * scale), self.sampling))

    def marks_of(self, answer: Answer, clip: Pictures, caption: str | None) -> ClipMarks:
        """See ``WrittenJudge``."""
        try:
            written = written_marks(self.model.text.decode(answer.ids, control=True))
        except ValueError as error:
            raise self.unreadable(answer, str(error)) from None
        soft = {
            name: soft_mark(answer.watched[self._token_at(answer.ids, place)]) for name, (_, place) in written.items()
        }
        marks = {**soft, "mean": sum(soft.values()) / len(soft)}
        details = {f"{name}_written": mark for name, (mark, _) in written.items()}
        return DetailedMarks(marks, caption, clip.total_frames, clip.fps, reasons_of(answer.text), clip.notes, details)

    def _token_at(self, ids: list[int], place: int) -> int:
        """The index of the token that writes the character at ``place`` of the answer with its control tokens."""
        low, high = 0, len(ids) - 1
        while low < high:
            middle = (low + high) // 2
            if len(self.model.text.decode(ids[: middle + 1], control=True)) > place:
                high = middle
            else:
                low = middle + 1
        return low


def written_marks(text: str) -> dict[str, tuple[int, int]]:
    """The mark that stands behind each label after the model's thoughts, and its place in the text.

    Both forms are read: ``visual quality: 4; ...``, which the model is asked for, and the numbered list that the released one
    writes, with what each label means before the colon.

    Raises:
        ValueError: a label has no mark from 1 to 5.
    """
    start = text.rfind("</think>") + 1
    found = {}
    for name, label in LABELS.items():
        match = re.compile(re.escape(label) + r"[^\d\n]*?(\d+(?:[.,]\d+)?)", re.IGNORECASE).search(text, start)
        if match is None:
            raise ValueError(f"there is no mark behind {label!r}")
        if match[1] not in ("1", "2", "3", "4", "5"):
            raise ValueError(f"{match[1]} behind {label!r} is no mark from 1 to 5")
        found[name] = (int(match[1]), match.start(1))
    return found


def soft_mark(scores: torch.Tensor) -> float:
    """The likeliest mark times its share of the probability of all five, from the scores of the tokens 1 to 5."""
    shares = scores.double().softmax(0)
    best = int(shares.argmax())
    return float((best + 1) * shares[best])


def reasons_of(text: str) -> dict[str, str]:
    """Why, by dimension, from the paragraphs of the model's thoughts; all of them under ``mean`` where they have no headings."""
    thoughts, ended, _ = text.partition("</think>")
    if not ended:
        return {}
    thoughts = thoughts.replace("<think>", "").strip()
    places = {}
    for name, heading in _HEADINGS.items():
        match = re.search(rf"^\W*{heading}(?: analysis)?\s*:?\W*\n(.+?)(?=\n\s*\n|\Z)", thoughts, re.I | re.M | re.S)
        if match is None:
            return {"mean": thoughts} if thoughts else {}
        places[name] = match[1].strip()
    return places
