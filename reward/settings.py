"""What a VideoReward checkpoint says about itself: sampling, normalisation, head and LoRA.

The file format (``model_config.json``) is VideoAlign's. Keys that the official files do not have
(``min_frame_pixels``, ``min_frames``, ``max_frames``, ``prompt_template``) are optional extensions of this project;
without them the official values hold.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..errors import CheckpointError
from ..files.json_text import parse_json
from .dimensions import DIMENSIONS

EMBEDDED_FILE = Path(__file__).parent / "embedded" / "micro_videoreward.safetensors"
"""The small reward that comes with the package."""
EMBEDDED_LATENT_FILE = EMBEDDED_FILE.with_name("micro_latent_reward.safetensors")
"""Its latent counterpart, for the micro video model."""
REWARD_TOKENS, OUTPUT_DIMS = ("special", "last"), (1, 3)


@dataclass(frozen=True)
class FrameSampling:
    """How frames are chosen from a clip and how large they are shown to the model.

    Attributes:
        fps: sampled frames per second of clip; ignored when ``num_frames`` is set.
        num_frames: a fixed number of frames instead (rounded to even), or None.
        min_frames, max_frames: bounds of the frame count that ``fps`` may give.
        min_pixels, max_pixels: bounds of height * width of a resized frame; smaller frames are enlarged.
    """

    fps: float = 2.0
    num_frames: float | None = None
    min_frames: int = 4
    max_frames: int = 768
    min_pixels: float = 128 * 28 * 28
    max_pixels: float = 448 * 448

    def __post_init__(self) -> None:
        if self.num_frames is None and not (math.isfinite(self.fps) and self.fps > 0):
            raise CheckpointError(f"The sampling rate is {self.fps} fps; it must be a positive number.")
        if self.num_frames is not None and not 2 <= self.num_frames < math.inf:
            raise CheckpointError(f"num_frames is {self.num_frames}; at least 2 frames are needed to judge motion.")
        if not self.max_frames >= 2:
            raise CheckpointError(f"max_frames is {self.max_frames}; at least 2 frames are needed to judge motion.")
        if not 0 < self.max_pixels < math.inf:
            raise CheckpointError(f"max_pixels is {self.max_pixels}; it must be a positive number.")

    def limited(self, max_pixels: float) -> FrameSampling:
        """With frames of at most ``max_pixels``; itself where they are no larger.

        Both ends of the range are lowered in proportion. With the released lower end (100352) left as it is, a frame of
        256x256 would be enlarged to 336x336.
        """
        if self.max_pixels <= max_pixels:
            return self
        return replace(self, max_pixels=max_pixels, min_pixels=self.min_pixels * max_pixels / self.max_pixels)

    def overridden(
        self, fps: float | None = None, num_frames: float | None = None, max_pixels: float | None = None
    ) -> FrameSampling:
        """With a user's departures; None: as it is. ``fps`` wins over a ``num_frames`` of the checkpoint.

        A ``max_pixels`` below the lower bound takes that bound down to its half, which leaves room for sides that are
        multiples of 28: no frame gets larger than asked for.
        """
        sampling = self
        if fps is not None:
            sampling = replace(sampling, fps=fps, num_frames=None)
        if num_frames is not None:
            sampling = replace(sampling, num_frames=num_frames)
        if max_pixels is not None:
            lower = max_pixels / 2 if max_pixels < sampling.min_pixels else sampling.min_pixels
            sampling = replace(sampling, max_pixels=max_pixels, min_pixels=lower)
        return sampling


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the raw scores over the training set, per dimension (VQ, MQ, TA)."""

    mean: tuple[float, float, float] = (3.6757, 1.1646, 2.8105)
    std: tuple[float, float, float] = (2.2476, 1.3811, 2.5121)

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))) or not all(std > 0 for std in self.std):
            raise CheckpointError(
                f"The normalisation has means {self.mean} and deviations {self.std}; they must be finite, and the deviations positive."
            )

    def apply(self, raw: list[float]) -> list[float]:
        """Raw scores of the three dimensions -> scores in standard deviations of the training set (0 = average)."""
        return [(value - mean) / std for value, mean, std in zip(raw, self.mean, self.std, strict=True)]


@dataclass(frozen=True)
class LoraSettings:
    """LoRA rank and alpha of a checkpoint that is not merged; the update is ``alpha / rank * B @ A``."""

    rank: int = 64
    alpha: float = 128.0


@dataclass(frozen=True)
class RewardSettings:
    """Everything but the weights that decides what a VideoReward checkpoint answers."""

    base_model: str = "Qwen/Qwen2-VL-2B-Instruct"
    template: str = "detailed_special"
    reward_token: str = "special"
    output_dim: int = 1
    torch_dtype: str = "bfloat16"
    sampling: FrameSampling = field(default_factory=FrameSampling)
    normalisation: Normalisation = field(default_factory=Normalisation)
    lora: LoraSettings | None = field(default_factory=LoraSettings)

    def __post_init__(self) -> None:
        if self.reward_token not in REWARD_TOKENS or self.output_dim not in OUTPUT_DIMS:
            raise CheckpointError(
                f"The checkpoint has reward_token = {self.reward_token!r} and output_dim = {self.output_dim}; this program reads "
                f"reward_token {' or '.join(map(repr, REWARD_TOKENS))}, and output_dim 1 or 3."
            )
        if self.reward_token == "last" and self.output_dim != 3:
            raise CheckpointError(
                "reward_token = 'last' reads all three scores from one token; it needs output_dim = 3."
            )

    def to_dict(self) -> dict:
        """A JSON-ready dictionary that ``from_dict`` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> RewardSettings:
        """Inverse of ``to_dict``."""
        values = dict(values)
        values["sampling"] = FrameSampling(**values["sampling"])
        normalisation = values["normalisation"]
        values["normalisation"] = Normalisation(tuple(normalisation["mean"]), tuple(normalisation["std"]))
        values["lora"] = None if values["lora"] is None else LoraSettings(**values["lora"])
        return cls(**values)

    @classmethod
    def from_model_config(cls, path: Path) -> RewardSettings:
        """Read VideoAlign's ``model_config.json``.

        Raises:
            CheckpointError: the file is missing, not JSON, or lacks a section that decides the scores.
        """
        try:
            config = parse_json(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path} is missing. A VideoReward folder holds model_config.json and checkpoint-N/."
            ) from None
        except ValueError as error:
            raise CheckpointError(f"{path} is not valid JSON ({error}). Download the file again.") from None
        for section in ("data_config", "model_config"):
            if not isinstance(config, dict) or not isinstance(config.get(section), dict):
                raise CheckpointError(f"{path} has no section '{section}'; it is not a VideoReward model_config.json.")
        try:
            return cls._from_sections(config, path)
        except KeyError as error:
            raise CheckpointError(
                f"{path} lacks {error}; it is not a whole model_config.json. Download it again."
            ) from None
        except CheckpointError:
            raise
        except (TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{path} has a value of the wrong kind ({error}). Download it again.") from None

    @classmethod
    def _from_sections(cls, config: dict, path: Path) -> RewardSettings:
        data, model = config["data_config"], config["model_config"]
        dimensions = data.get("eval_dim", list(DIMENSIONS))
        dimensions = [dimensions] if isinstance(dimensions, str) else list(dimensions)
        if dimensions != list(DIMENSIONS):
            raise CheckpointError(f"{path}: eval_dim is {dimensions}; only {list(DIMENSIONS)} is supported.")
        return cls(
            base_model=str(model["model_name_or_path"]),
            template=data.get("prompt_template", data.get("prompt_template_type", "detailed_special")),
            reward_token=model.get("reward_token", "special"),
            output_dim=int(model.get("output_dim", 1)),
            torch_dtype=model.get("torch_dtype") or "float32",
            sampling=_sampling(data),
            normalisation=_normalisation(config.get("inference_config")),
            lora=_lora(config.get("peft_lora_config") or {}),
        )


def _lora(peft: dict) -> LoraSettings | None:
    if not peft.get("lora_enable"):
        return None
    rank, alpha = int(peft["lora_r"]), float(peft["lora_alpha"])
    # Rank-stabilised LoRA scales by alpha / sqrt(rank).
    return LoraSettings(rank, alpha * math.sqrt(rank) if peft.get("use_rslora") else alpha)


def _sampling(data: dict) -> FrameSampling:
    official = FrameSampling()
    return FrameSampling(
        fps=float(data["fps"]) if data.get("fps") else official.fps,
        num_frames=data.get("num_frames"),
        min_frames=int(data.get("min_frames", official.min_frames)),
        max_frames=int(data.get("max_frames", official.max_frames)),
        min_pixels=data.get("min_frame_pixels", official.min_pixels),
        max_pixels=data.get("max_frame_pixels", official.max_pixels),
    )


def _normalisation(section: dict | None) -> Normalisation:
    if not section:
        return Normalisation()
    try:
        mean_vq, mean_mq, mean_ta = (float(section[f"{name}_mean"]) for name in DIMENSIONS)
        std_vq, std_mq, std_ta = (float(section[f"{name}_std"]) for name in DIMENSIONS)
    except KeyError as error:
        raise CheckpointError(
            f"model_config.json: inference_config lacks {error}; it needs a mean and a std each for VQ, MQ, TA."
        ) from None
    return Normalisation((mean_vq, mean_mq, mean_ta), (std_vq, std_mq, std_ta))
