"""The sizes of a Qwen2-VL, from its ``config.json``: the flat form of the hub or the nested newer one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..errors import CheckpointError


@dataclass(frozen=True)
class VisionShape:
    """Of the vision tower; names and defaults are those of the configuration."""

    depth: int = 32
    embed_dim: int = 1280
    hidden_size: int = 3584
    mlp_ratio: float = 4
    num_heads: int = 16
    in_channels: int = 3
    patch_size: int = 14
    spatial_merge_size: int = 2
    temporal_patch_size: int = 2

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.embed_dim // self.num_heads


@dataclass(frozen=True)
class TextShape:
    """Of the language model; names and defaults are those of the configuration.

    Attributes:
        sections: frequencies that turn with time, height and width; their sum is half of ``head_dim``.
    """

    sections: tuple[int, int, int]
    hidden_size: int = 8192
    intermediate_size: int = 29568
    num_hidden_layers: int = 80
    num_attention_heads: int = 64
    num_key_value_heads: int = 8
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-5
    rope_theta: float = 1_000_000.0
    attention_dropout: float = 0.0

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return self.hidden_size // self.num_attention_heads


def vision_shape(config: dict) -> VisionShape:
    """The vision tower's.

    Raises:
        CheckpointError: it is not one of Qwen2-VL.
    """
    values = dict(config.get("vision_config") or {})
    values.setdefault("in_channels", values.get("in_chans", 3))
    _must_be(values, "hidden_act", "quick_gelu")
    shape = VisionShape(**_known(VisionShape, values))
    _must_divide(shape.embed_dim, shape.num_heads, "embed_dim", "num_heads")
    return shape


def text_shape(config: dict) -> TextShape:
    """The language model's.

    Raises:
        CheckpointError: it is not one of Qwen2-VL.
    """
    values = config.get("text_config", config)
    _must_be(values, "hidden_act", "silu")
    _must_be(values, "use_sliding_window", False)
    # transformers 5 saves it among the rope_parameters.
    rope: dict[str, Any] = {**(values.get("rope_scaling") or {}), **(values.get("rope_parameters") or {})}
    theta = {**rope, **values}.get("rope_theta", TextShape.rope_theta)
    known = {**_known(TextShape, values), "rope_theta": theta}
    heads = known.get("num_attention_heads", TextShape.num_attention_heads)
    width = known.get("hidden_size", TextShape.hidden_size)
    _must_divide(width, heads, "hidden_size", "num_attention_heads")
    if known.get("num_key_value_heads") is None:
        known["num_key_value_heads"] = heads
    half = width // heads // 2
    # Texts have equal positions on all three axes: without sections, everything may turn with the first.
    shape = TextShape(sections=tuple(rope.get("mrope_section") or (half, 0, 0)), **known)
    _must_divide(heads, shape.num_key_value_heads, "num_attention_heads", "num_key_value_heads")
    if sum(shape.sections) != half:
        raise CheckpointError(f"The configuration's mrope_section is {shape.sections}; its sum must be {half}.")
    return shape


def _known(kind: type, values: dict) -> dict:
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in values.items() if key in names and key != "sections"}


def _must_be(values: dict, key: str, wanted: object) -> None:
    if values.get(key, wanted) not in (wanted, None):
        raise CheckpointError(f"The configuration's {key} is {values[key]!r}; Qwen2-VL's is {wanted!r}.")


def _must_divide(whole: int, parts: int, name: str, of: str) -> None:
    if not parts or whole % parts:
        raise CheckpointError(f"The configuration's {name} is {whole}, which its {of} ({parts}) does not divide.")
