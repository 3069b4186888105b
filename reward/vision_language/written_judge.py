"""The base of what is asked about clips and answers in words: judges, and comparisons of two clips."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict

from torch import nn

from ...clips.frames import SampledFrames
from ...errors import ClipError
from ..judge import ClipMarks, Judge
from ..settings import FrameSampling
from .answers import Answer, answers
from .network import VisionLanguageModel
from .pictures import Pictures
from .questions import question

CAPTION_BATCH = 8
"""Questions that are answered at once where a call has more, as with many captions of one clip."""
_SHOWN = 200  # characters of an answer in a message


class Questioner:
    """Shows frames to a Qwen-VL network, asks, and gives back what it says.

    Attributes:
        name: as on the command line.
        prompt: the question; ``{caption}`` is where the caption goes.
        limit: tokens of an answer, at most.
        as_clip: frames are shown as a clip, not as pictures.
        watched: texts of one token each whose scores are kept at each step.
    """

    name: str
    prompt: str
    limit: int
    as_clip: bool
    watched: tuple[str, ...] = ()

    def __init__(self, model: VisionLanguageModel, sampling: FrameSampling) -> None:
        self.model = model
        self.sampling = sampling
        # A plain module around it: memory managers set attributes (device) that transformers' classes refuse.
        self._held = nn.ModuleList([model.network])

    @property
    def step(self) -> float:
        """Positions from one pair of frames to the next, where frames are a clip."""
        return 1.0

    def identity(self) -> dict:
        """See ``Judge``."""
        return {
            **self.model.fingerprint,
            "sampling": asdict(self.sampling),
            "question": hashlib.sha256(self.prompt.encode()).hexdigest()[:16],
            "limit": self.limit,
        }

    def prepare_frames(self, frames: SampledFrames) -> Pictures:
        """See ``Judge``."""
        return Pictures.of(frames)

    def ask(self, group: Sequence[tuple[Sequence[Pictures], str | None]]) -> list[Answer]:
        """Answers to the question about each (clips, caption).

        Raises:
            ClipError: clip and question are longer than what the model reads.
        """
        questions = []
        for clips, caption in group:
            words = self.prompt.replace("{caption}", caption or "", 1)
            model = self.model
            asked = question(model.family, model.text, clips, words, self.as_clip, self.step, model.device)
            longest = model.text_config.max_position_embeddings
            if len(asked.ids) + self.limit > longest:
                raise ClipError(
                    f"The clip and its question take {len(asked.ids)} tokens ({', '.join(clip.described for clip in clips)}); the "
                    f"model reads {longest}, its answer included. Sample fewer frames or smaller ones (max_pixels)."
                )
            questions.append(asked)
        watched = [self.model.text.encode([text])[0] for text in self.watched]
        return answers(self.model, questions, self.limit, watched)

    def batch_length(self, clip: Pictures) -> int:
        """Tokens of the clip; see ``Judge``."""
        grid = clip.grid(self.model.family, self.as_clip)
        return grid.tokens * (1 if self.as_clip else len(clip.pixels))

    def working_memory(self, clip: Pictures) -> int:
        """See ``Judge``: keys and values of all layers, a block's widest activations, and what the vision tower holds."""
        config, vision = self.model.text_config, self.model.vision_config
        tokens = self.batch_length(clip) + 1024 + self.limit
        width = config.hidden_size // config.num_attention_heads
        cached = 2 * config.num_hidden_layers * config.num_key_value_heads * width * tokens
        block = 4 * config.intermediate_size * tokens
        pictures = 4 * self.batch_length(clip) * 8 * vision.hidden_size
        return int(2 * self.model.dtype.itemsize * (cached + block + pictures))

    def described(self, clip: Pictures) -> str:
        """See ``Judge``."""
        return clip.described

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The network."""
        return (self._held,)

    def unreadable(self, answer: Answer, reason: str) -> ClipError:
        """The error of an answer without marks."""
        cut = "" if answer.ended else f" It was cut after {self.limit} tokens."
        text = answer.text.strip()
        shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} ... {text[-_SHOWN // 2 :]}"
        return ClipError(
            f"The answer of {self.name} holds no marks ({reason}): {shown!r}.{cut} Are these the weights of {self.name}?"
        )


class WrittenJudge(Questioner, Judge):
    """Reads the marks of a clip off the answer.

    Clips of like length that share a call are answered together. In float32 each gets the answer that it gets alone; in 16
    bits another order of sums may tip a close choice between two words.
    """

    @abstractmethod
    def marks_of(self, answer: Answer, clip: Pictures, caption: str | None) -> ClipMarks:
        """The marks that an answer gives.

        Raises:
            ClipError: the answer holds none; the message has its text.
        """

    def score_prepared(
        self, clips: Sequence[Pictures], captions: Sequence[Sequence[str | None]]
    ) -> list[list[ClipMarks]]:
        """See ``Judge``; an answer that cannot be read is a ClipError."""
        asked = [(clip, caption) for clip, texts in zip(clips, captions, strict=True) for caption in texts]
        for _, caption in asked:
            self.check_caption(caption)
        said: list[ClipMarks] = []
        for start in range(0, len(asked), CAPTION_BATCH):
            group = asked[start : start + CAPTION_BATCH]
            replies = self.ask([([clip], caption) for clip, caption in group])
            said += [self.marks_of(reply, clip, caption) for reply, (clip, caption) in zip(replies, group, strict=True)]
        rest = iter(said)
        return [[next(rest) for _ in texts] for texts in captions]
