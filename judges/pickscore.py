"""PickScore as a judge of frames: ``pickscore:FOLDER``. People's choice among pictures, by CLIP (arXiv 2305.01569).

Facts and where each was checked: ``docs/judges.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from ..backbones.devices import check_dtype, chosen_device
from ..backbones.pretrained_folder import folder_config, pretrained
from ..backbones.weight_files import open_weights
from ..clips.frames import SampledFrames, View
from ..errors import CaptionError, CheckpointError, ClipError, WeightsError
from ..reward.checkpoint_files import download
from ..reward.frame_marks import best_mean, spread_frames
from ..reward.frame_pixels import normalise, resize_frames
from ..reward.judge import DetailedMarks, Dimension, Judge
from ..reward.loading import DTYPES, locate
from ..reward.reward_tokenizer import read_tokenizer, without_control_tokens
from ..reward.settings import FrameSampling
from . import JudgeError, JudgeOptions

WANTED = "yuvalkirstain/PickScore_v1"
BASE = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
# Two frames a second are this program's choice; their size is the model's.
SAMPLING = FrameSampling(fps=2.0, min_frames=4, max_frames=32)
FRAMES_AT_ONCE = 16
START, END = "<|startoftext|>", "<|endoftext|>"
_UNIT = "cosine of frame and caption times the logit scale (about 100)"


def open_judge(source: str | None, options: JudgeOptions) -> PickScore:
    """The judge with the weights in ``source``; ``options.base`` may have CLIP's tokenizer.

    Raises:
        JudgeError: there is no source, or options that it cannot follow.
        CheckpointError: its weights cannot be used.
    """
    if not source:
        raise JudgeError(f"The judge pickscore needs its weights: pickscore:FOLDER, with the files of {WANTED}.")
    if "max_pixels" in options.sampling:
        raise JudgeError("PickScore knows frames of one size alone; leave max_pixels out.")
    if options.weights != "auto":
        raise JudgeError(f"PickScore is small: it keeps its weights in 16 bits (2 GB), not in {options.weights}.")
    folder = locate(source, options.download)
    device = chosen_device(options.device)
    try:
        kind = folder_config(folder).get("model_type") if folder.is_dir() else None
        if kind != "clip":
            raise CheckpointError(
                f"{folder} holds a model of the kind {kind!r}, not CLIP. Give the folder of {WANTED}."
            )
        dtype = DTYPES.get(options.dtype) or (torch.float32 if device.type == "cpu" else torch.float16)
        check_dtype(device, dtype, "PickScore")
        network = _network(folder, dtype).to(device).requires_grad_(False).eval()
        identity = open_weights(folder, "model").identity()
    except WeightsError as error:
        raise CheckpointError(f"{error} The judge pickscore needs {WANTED}.") from error
    tokenizer = _tokenizer(folder, options.base, options.download)
    fingerprint = {"model": identity, "dtype": str(dtype).removeprefix("torch.")}
    return PickScore(network, tokenizer, SAMPLING.overridden(**options.sampling), fingerprint)


def _network(folder: Path, dtype: torch.dtype) -> nn.Module:
    from transformers import CLIPModel

    try:
        with torch.inference_mode(False):
            return pretrained(CLIPModel, folder, dtype)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise CheckpointError(f"{folder} cannot be loaded as CLIP ({error}). Download {WANTED} again.") from error


def _tokenizer(folder: Path, base: Path | None, allow_download: bool) -> Tokenizer:
    places = [place for place in (base, folder) if place is not None]
    tokenizer = next(filter(None, map(read_tokenizer, places)), None)
    if tokenizer is None and base is None:
        fetched = download(BASE, allow_download, weights=False)
        tokenizer = None if fetched is None else read_tokenizer(fetched)
    if tokenizer is None or None in (tokenizer.token_to_id(START), tokenizer.token_to_id(END)):
        raise CheckpointError(
            f"{places[0]} has no tokenizer of CLIP. Put tokenizer.json of {BASE} beside the weights, or give its folder with --base."
        )
    return tokenizer


@dataclass(frozen=True)
class Squares:
    """Frames of a clip as CLIP sees them: uint8 RGB [n, 3, side, side], the middle of each frame."""

    pixels: torch.Tensor
    total_frames: int
    fps: float
    notes: tuple[str, ...] = ()


class PickScore(Judge):
    """exp(logit scale) * cosine of frame and caption: the mean of the frames, and of the best 30 % of them."""

    name = "pickscore"
    title = "PickScore"
    dimensions = (
        Dimension("pick", "people's choice, mean of the frames", _UNIT, needs_caption=True),
        Dimension("pick_best", "people's choice, mean of the best 30 % of the frames", _UNIT, needs_caption=True),
    )
    details = ("frames", "total_frames", "fps")
    licence = "MIT by its repository (yuvalkirstain/PickScore); no licence of the weights themselves was found"

    def __init__(self, network: nn.Module, tokenizer: Tokenizer, sampling: FrameSampling, fingerprint: dict) -> None:
        self.network, self.sampling, self.fingerprint = network, sampling, fingerprint
        # A plain module around it: memory managers set attributes (device) that transformers' classes refuse.
        self._held = nn.ModuleList([network])
        self._plain = without_control_tokens(tokenizer)
        self._ends = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
        self._side = network.config.vision_config.image_size
        self._longest = network.config.text_config.max_position_embeddings

    def identity(self) -> dict:
        """See ``Judge``."""
        return {**self.fingerprint, "sampling": asdict(self.sampling)}

    @property
    def view(self) -> View:
        """Frames evenly spread, their middle squares; see ``Judge``."""
        return View(lambda total, fps: spread_frames(total, fps, self.sampling), self._squares)

    def _squares(self, frames: torch.Tensor) -> torch.Tensor:
        """The shorter side is resized to the model's, the middle of the longer one kept."""
        height, width = frames.shape[2:]
        side, short = self._side, min(height, width)
        size = (side, side * width // short) if height == short else (side * height // short, side)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        return resize_frames(frames, size)[..., top : top + side, left : left + side]

    def prepare_frames(self, frames: SampledFrames) -> Squares:
        """See ``Judge``."""
        return Squares(frames.pixels.detach().to(torch.uint8).cpu(), frames.total_frames, frames.fps, frames.notes)

    @torch.no_grad()
    def score_prepared(
        self, clips: Sequence[Squares], captions: Sequence[Sequence[str | None]]
    ) -> list[list[DetailedMarks]]:
        """See ``Judge``. The frames of a clip are read once for all of its captions."""
        for caption in (caption for texts in captions for caption in texts):
            self.check_caption(caption)
        return [self._marks(clip, [text or "" for text in texts]) for clip, texts in zip(clips, captions, strict=True)]

    def _marks(self, clip: Squares, captions: Sequence[str]) -> list[DetailedMarks]:
        pictures = torch.cat([self._pictures(part) for part in clip.pixels.split(FRAMES_AT_ONCE)])
        marks = []
        for caption in captions:
            text, cut = self._text(caption)
            frames = (self.network.logit_scale.float().exp() * (pictures @ text)).cpu()
            if not frames.isfinite().all():
                raise ClipError("PickScore's marks are not finite in this type; open it with --dtype float32.")
            values = frames.tolist()
            left_out = (f"PickScore reads {self._longest} tokens of a caption; the rest was left out",) if cut else ()
            marks.append(
                DetailedMarks(
                    {"pick": sum(values) / len(values), "pick_best": best_mean(values)},
                    caption,
                    clip.total_frames,
                    clip.fps,
                    notes=(*clip.notes, *left_out),
                    details={"frames": len(values)},
                )
            )
        return marks

    def _pictures(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unit vectors, float32 [n, d]."""
        weight = self.network.visual_projection.weight
        shown = normalise(pixels.to(weight.device).float()).to(weight.dtype)
        return _unit(self.network.get_image_features(pixel_values=shown))

    def _text(self, caption: str) -> tuple[torch.Tensor, bool]:
        """A unit vector, float32 [d], and whether the caption was cut."""
        try:
            ids = self._plain.encode(caption, add_special_tokens=False).ids
        except (TypeError, UnicodeError):
            raise CaptionError(
                "The caption is not valid text; it holds a lone surrogate. Re-save it as UTF-8."
            ) from None
        start, end = self._ends
        whole = torch.tensor([[start, *ids[: self._longest - 2], end]], device=self.network.logit_scale.device)
        mask = torch.ones_like(whole)
        return _unit(self.network.get_text_features(input_ids=whole, attention_mask=mask))[0], len(ids) > whole.shape[
            1
        ] - 2

    def working_memory(self, clip: Squares) -> int:
        """See ``Judge``: a block's widest activations for the frames of one pass."""
        vision = self.network.config.vision_config
        tokens = min(len(clip.pixels), FRAMES_AT_ONCE) * (self._side // vision.patch_size) ** 2
        return int(4 * 4 * tokens * vision.intermediate_size)

    def described(self, clip: Squares) -> str:
        """See ``Judge``."""
        return f"{len(clip.pixels)} frames of {self._side}x{self._side} pixels"

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The network."""
        return (self._held,)


def _unit(output: object) -> torch.Tensor:
    features = getattr(output, "pooler_output", output)  # transformers 5 returns an object
    assert isinstance(features, torch.Tensor)
    return nn.functional.normalize(features.float(), dim=-1)
