"""Options that all methods of flow training share (``videoalign train dpo``, ``rwr``, ``sft``); the defaults are the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ...cli.options import CommandConfig
from ...reward.weight_options import WeightOptions
from ..data_config import EncodedData, EncoderFiles, without_encoders
from ..loop.config import LoopConfig
from .noise import NoiseConfig
from .presets import preset_model, preset_values


class DataConfig(EncodedData):
    """Preference pairs, the form in which clips are encoded, and how it is decided which clip is chosen."""

    train: list[Path] = Field(
        [],
        description="Preference files in any format that is read, or scored clips of the same prompts; repeat for several.",
    )
    clips: list[Path] = Field(
        [],
        description="Tables of clips, with path (relative to the table) and prompt, each to be trained on: clips.jsonl of videoalign filter. Only for methods that need no other clip beside it (sft); with or without train.",
    )
    prefer: Literal["file", "weighted", "VQ", "MQ", "TA", "Overall"] = Field(
        "file",
        description="Who is chosen: as the file says (Overall, or the majority of the dimensions), by the weighted sum of dimensions, or by one of them.",
    )
    weights: WeightOptions = WeightOptions()
    margin: float = Field(0.0, ge=0, description="A lead of the scores up to this is a tie; in the scores' unit.")
    ties: Literal["drop", "use"] = Field(
        "drop", description="use: train towards no preference (Flow-DPO); other methods take the first clip."
    )
    invalid: Literal["drop", "use"] = Field(
        "drop", description="Pairs without a valid label for what is asked; use: take the file's order of the clips."
    )

    @model_validator(mode="after")
    def _something_to_train_on(self) -> DataConfig:
        if not self.train and not self.clips:
            raise ValueError("train: name at least one preference file (or, for train sft, clips with data.clips)")
        return self


class ModelConfig(EncoderFiles):
    """The video model that is aligned."""

    transformer: Path = Field(
        description="Video diffusion model: a ComfyUI .safetensors file (also fp8) or a diffusers folder."
    )
    name: str | None = Field(
        None, description="What the model is called in the LoRA's metadata, such as wan2.1-t2v-1.3b."
    )
    expert: Literal["high_noise", "low_noise"] | None = Field(
        None,
        description="Wan 2.2 A14B: which expert this is; by default as the file's name tells (high_noise or low_noise in it). Sets its range of noise levels (noise.sigma_min, sigma_max) and the LoRA's name.",
    )
    lora: list[str] = Field(
        [],
        description="LoRA that is merged into the frozen network and stays there, file.safetensors or file.safetensors:strength; repeat for several. So a LoRA that distils the model keeps doing it; the trained LoRA is then used together with it.",
    )
    other_expert: Path | None = Field(
        None,
        description="Wan 2.2 A14B: the file of the other expert, which is trained after the first one, on the same data and cache; each has a folder of its own in the output folder.",
    )


class LoraOptions(CommandConfig):
    """The adapter."""

    rank: int = Field(64, ge=1, description="Rank.")
    alpha: float = Field(128, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of the adapter's input; with it dpo.backward = joint.")
    targets: Literal["attention", "attention+ffn"] = Field(
        "attention", description="q, k, v and output of every attention; or the MLPs too."
    )
    start: Path | None = Field(
        None, description="LoRA to go on from, in any common key style; its modules keep their rank and alpha."
    )
    reference: Literal["start", "base"] = Field(
        "start",
        description="With start: what the training is held to and judged against, the network with the LoRA that it goes on from, or the base model without it. The frozen copy takes as much memory as the adapter.",
    )
    name: str = Field("lora", description="Name of the LoRA file in the output folder, without .safetensors.")
    dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="Type in which it is saved.")
    comfyui: Path | None = Field(None, description="Copy it into this ComfyUI (its folder, or its models/loras).")


class OptimizerConfig(CommandConfig):
    """Adam, as in the paper."""

    learning_rate: float = Field(5e-6, gt=0, description="Of the adapter.")
    weight_decay: float = Field(0.0, ge=0, description="Of the adapter's matrices (AdamW).")
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the gradient's mean.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the squared gradient's mean.")
    kind: Literal["adamw", "adamw8bit"] = Field(
        "adamw", description="adamw8bit keeps its state in 8 bits; needs bitsandbytes, on a GPU or a CPU."
    )


class MemoryConfig(CommandConfig):
    """What to give for less memory."""

    base_dtype: Literal["float32", "bfloat16", "float8", "nf4"] = Field(
        "bfloat16",
        description="Type of the frozen weights. float8 and nf4 store the blocks' matrices in 8 bits with a scale per row (2.6 % error) or in 4.13 bits (QLoRA's NF4 with double quantisation, 9 %; needs bitsandbytes), and compute in bfloat16. torchao's int8 is not offered: it takes as much memory as float8 and computes in bfloat16 too.",
    )
    gradient_checkpointing: bool = Field(True, description="Keep only each block's input; a third more time.")
    offload_blocks: bool = Field(
        False,
        description="Keep the blocks' frozen matrices in main memory and fetch each when it is needed; slower. With nf4 a quarter of the memory and of the traffic; while the file is read the network is there once in bfloat16.",
    )

    @property
    def quantised(self) -> bool:
        """Whether the blocks' matrices are kept in fewer bits than they are computed in."""
        return self.base_dtype in ("float8", "nf4")


class EvaluationConfig(CommandConfig):
    """How learning is watched on held-out pairs."""

    levels: int = Field(
        4,
        ge=1,
        le=100,
        description="Noise levels at which each held-out pair is judged, always the same; by default fewer in short runs.",
    )
    pairs: int | None = Field(
        64, ge=1, description="Held-out pairs that are used; all of them if empty. By default fewer in short runs."
    )
    bins: int = Field(5, ge=1, le=100, description="Bins of noise level in which everything is reported.")


class PreviewConfig(CommandConfig):
    """Clips from fixed prompts and seeds, to look at while training."""

    prompts: list[str] = Field([], description="Prompts; repeat for several. None: no previews.")
    images: list[Path] = Field(
        [],
        description="Image-to-video models: the picture (or the clip, for its first frame) that each prompt's preview begins with, in the order of the prompts.",
    )
    every: int = Field(
        100, ge=1, description="Steps between previews; there is one at the start and one at the end too."
    )
    distilled: str | None = Field(
        None, description="Sample as a distilled model of this name, as --distilled of videoalign generate does."
    )
    steps: int | None = Field(None, ge=1, description="Sampler steps; the model's default if empty.")
    guidance: float | None = Field(None, ge=1, description="Classifier-free guidance; the model's default if empty.")
    reward: str | None = Field(
        None,
        description="What scores the previews: a VideoReward as --model of videoalign score, or another judge as its --judge.",
    )

    @model_validator(mode="after")
    def _an_image_a_prompt(self) -> PreviewConfig:
        if self.images and len(self.images) != len(self.prompts):
            raise ValueError(
                f"preview.images must be one a prompt: there are {len(self.images)} images and {len(self.prompts)} prompts"
            )
        return self


class FlowConfig(LoopConfig):
    """What all methods share."""

    preset: str | None = Field(
        None,
        description="Settings for a model and a size of GPU, such as wan2.1-1.3b-24gb, or micro, the embedded model itself too; options that are given win over them.",
    )
    batch_size: int = Field(64, ge=1, description="Pairs (or clips) in an optimizer step, over all processes.")
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Arithmetic; the adapter and every loss are float32."
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the steps in which the learning rate rises from 0.")
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Keep a moving average of the adapter with this decay, such as 0.99 (about 100 steps): it is what is judged, previewed and written, as NAME_ema; the last step's weights are written as NAME_raw. None by default.",
    )
    tensorboard: bool = Field(
        True, description="Write curves for TensorBoard, where it is installed; log_with = tensorboard insists on it."
    )
    data: DataConfig
    model: ModelConfig
    lora: LoraOptions = LoraOptions()
    noise: NoiseConfig = NoiseConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    memory: MemoryConfig = MemoryConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    preview: PreviewConfig = PreviewConfig()

    @model_validator(mode="before")
    @classmethod
    def _over_preset(cls, values: Any) -> Any:
        return cls.in_effect(values) if isinstance(values, dict) else values

    @classmethod
    def in_effect(cls, values: dict) -> dict:
        """With the preset's settings under those that are given, and without encoders where the cache is enough."""
        name = values.get("preset")
        if name:
            preset = preset_values(name)  # it may hold sections of several methods
            values = _merged({key: preset[key] for key in preset if key in cls.model_fields}, values)
            if not (values.get("model") or {}).get("transformer"):
                values = _merged({"model": preset_model(name)}, values)
        return without_encoders(values)

    @model_validator(mode="after")
    def _preset_batch_is_a_default(self) -> FlowConfig:
        """A preset does not know how many rows there are: its batch, as the default's, is cut to them (``run_length``)."""
        if self.preset and preset_values(self.preset).get("batch_size") == self.batch_size:
            self.model_fields_set.discard("batch_size")
        return self

    @model_validator(mode="after")
    def _previews_have_a_vae(self) -> FlowConfig:
        if self.preview.prompts and self.data.cache_only:
            raise ValueError("preview.prompts need the VAE, which data.cache_only does without; give one of them")
        return self


def _merged(below: dict, above: dict) -> dict:
    """``above`` over ``below``, section by section."""
    merged = dict(below)
    for key, value in above.items():
        merged[key] = (
            _merged(merged[key], value) if isinstance(value, dict) and isinstance(merged.get(key), dict) else value
        )
    return merged
