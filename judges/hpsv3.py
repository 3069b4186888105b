"""HPSv3 as a judge of frames: ``hpsv3:FILE``. People's preference among pictures, as a mean and of the best frames.

Facts and where each was checked: ``docs/judges.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from ..clips.frames import SampledFrames, View
from ..errors import ClipError
from ..reward import hpsv3_network
from ..reward.frame_marks import best_mean, spread_frames
from ..reward.frame_pixels import resize_frames
from ..reward.frame_sampling import resized_size
from ..reward.hpsv3_network import REWARD_TOKEN, Hpsv3Network, load_hpsv3
from ..reward.judge import DetailedMarks, Dimension, Judge
from ..reward.settings import FrameSampling
from ..reward.vision_language.chat_text import IMAGE_TOKEN, ChatText, Control, chat, picture
from ..reward.vision_language.family import QWEN2_VL
from ..reward.vision_language.pictures import Pictures
from . import JudgeError, JudgeOptions

# Two frames a second are this program's choice; the size is the model's.
SAMPLING = FrameSampling(fps=2.0, min_frames=4, max_frames=32, min_pixels=256 * 28 * 28, max_pixels=256 * 28 * 28)
FRAMES_AT_ONCE = 8
PROMPT_FILE = Path(hpsv3_network.__file__).parent / "vision_language" / "hpsv3_prompt.txt"
_UNIT = "a point of preference, without bound"


def open_judge(source: str | None, options: JudgeOptions) -> Hpsv3:
    """The judge with the weights in ``source``; ``options.base`` may have its tokenizer.

    Raises:
        JudgeError: there is no source, or another size of frames was asked for.
        CheckpointError: its weights cannot be used.
    """
    if not source:
        raise JudgeError(f"The judge hpsv3 needs its weights: hpsv3:FILE, the file of {hpsv3_network.WANTED}.")
    if "max_pixels" in options.sampling:
        raise JudgeError("HPSv3 knows frames of 256 * 28 * 28 pixels alone; leave max_pixels out.")
    network, text, fingerprint = load_hpsv3(
        source,
        base=options.base,
        dtype=options.dtype,
        bits=options.weights,
        device=options.device,
        allow_download=options.download,
    )
    return Hpsv3(network, text, SAMPLING.overridden(**options.sampling), fingerprint)


class Hpsv3(Judge):
    """Each frame's mu for the caption; of the clip: their mean, and the mean of the best 30 % of them."""

    name = "hpsv3"
    title = "HPSv3"
    dimensions = (
        Dimension("hps", "people's preference, mean of the frames", _UNIT, needs_caption=True),
        Dimension("hps_best", "people's preference, mean of the best 30 % of the frames", _UNIT, needs_caption=True),
    )
    details = ("sigma", "frames", "total_frames", "fps")
    licence = "Apache-2.0 by the model card of MizzenAI/HPSv3; its code is MIT"

    def __init__(self, network: Hpsv3Network, text: ChatText, sampling: FrameSampling, fingerprint: dict) -> None:
        self.network, self.text, self.sampling, self.fingerprint = network, text, sampling, fingerprint
        # Bytes, not text mode: newline translation would change the prompt.
        self.prompt = PROMPT_FILE.read_bytes().decode("utf-8")

    def identity(self) -> dict:
        """See ``Judge``."""
        return {**self.fingerprint, "sampling": asdict(self.sampling), "prompt": 1}

    @property
    def view(self) -> View:
        """Frames evenly spread, each scaled to about 256 * 28 * 28 pixels; see ``Judge``."""
        return View(
            lambda total, fps: spread_frames(total, fps, self.sampling),
            lambda frames: resize_frames(frames, resized_size(frames.shape[2], frames.shape[3], self.sampling)),
        )

    def prepare_frames(self, frames: SampledFrames) -> Pictures:
        """See ``Judge``."""
        return Pictures.of(frames)

    @torch.no_grad()
    def score_prepared(
        self, clips: Sequence[Pictures], captions: Sequence[Sequence[str | None]]
    ) -> list[list[DetailedMarks]]:
        """See ``Judge``. Each clip is read by itself; its frames share passes of at most eight."""
        for caption in (caption for texts in captions for caption in texts):
            self.check_caption(caption)
        return [[self._marks(clip, text or "") for text in texts] for clip, texts in zip(clips, captions, strict=True)]

    def _marks(self, clip: Pictures, caption: str) -> DetailedMarks:
        rewards = torch.cat([self._rewards(part, caption) for part in clip.pixels.split(FRAMES_AT_ONCE)])
        if not rewards.isfinite().all():
            raise ClipError("HPSv3's marks are not finite in this type; open it with --dtype bfloat16 or float32.")
        frames = rewards[:, 0].tolist()
        marks = {"hps": sum(frames) / len(frames), "hps_best": best_mean(frames)}
        details = {"sigma": float(rewards[:, 1].mean()), "frames": len(frames)}
        return DetailedMarks(marks, caption, clip.total_frames, clip.fps, notes=clip.notes, details=details)

    def _rewards(self, pixels: torch.Tensor, caption: str) -> torch.Tensor:
        """mu and sigma, float32 [n, 2], of frames uint8 [n, 3, H, W]."""
        device = self.network.language_model.embed_tokens.weight.device
        shown = Pictures(pixels, len(pixels), 1.0)
        patches, grids = shown.patches(QWEN2_VL, False, device)
        count, (_, h, w) = len(grids), grids[0]
        [features] = self.network.embed_clips([patches], [(count, h, w)])
        ids = self._ids(caption, h * w // 4)
        tokens = self.network.embed_tokens(torch.tensor(ids, device=device)).expand(count, -1, -1)
        start = ids.index(self.text.id_of(IMAGE_TOKEN))
        pictures = features.to(tokens.dtype).unflatten(0, (count, -1))
        whole = torch.cat([tokens[:, :start], pictures, tokens[:, start + h * w // 4 :]], 1)
        return self.network.rewards(self.network.read(whole)[:, -1]).cpu()

    def _ids(self, caption: str, picture_tokens: int) -> list[int]:
        """The chat up to the reward token, which cannot see what comes after it."""
        before, _, after = self.prompt.replace("{caption}", caption, 1).rpartition(REWARD_TOKEN)
        content = [*picture(IMAGE_TOKEN, picture_tokens), before, Control(REWARD_TOKEN), after]
        ids = self.text.encode(chat(QWEN2_VL.system, content))
        return ids[: ids.index(self.text.id_of(REWARD_TOKEN)) + 1]

    def working_memory(self, clip: Pictures) -> int:
        """See ``Judge``: a block's widest activations for the frames of one pass."""
        shape = self.network.language_model.shape
        tokens = min(len(clip.pixels), FRAMES_AT_ONCE) * (256 + 1024)
        return int(2 * 4 * tokens * (shape.intermediate_size + 4 * shape.hidden_size))

    def described(self, clip: Pictures) -> str:
        """See ``Judge``."""
        return clip.described

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The network."""
        return (self.network,)
