"""What LTX-2 makes of Gemma's states before its network sees them: all layers normalised, projected to one width, and read once more by a
small transformer (the connector) that fills the text up with learned registers. The video's half of it.

Source: https://github.com/Lightricks/LTX-2; the transformer is diffusers' ``LTX2ConnectorTransformer1d``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

LEAST_TOKENS = 1024  # a text is filled up to so many, and to a multiple of the registers
_RANGE = 8.0  # of a layer's states in 2.0, from the least to the largest
_EPSILON = 1e-6


class LTX2TextFeatures(nn.Module):
    """States of all of Gemma's layers -> the network's ``text``.

    Args:
        states: width of Gemma's states times their number: 3840 x 49.
        width: of the text.
        own: 2.3: the video has a projection of its own, of states that are normalised token by token; 2.0: one for video and sound,
            of states that are normalised over the whole text.
        heads, layers, gated, rope_type: of the connector.
    """

    def __init__(
        self, states: int, width: int, own: bool, heads: int, layers: int, gated: bool, registers: int = 128,
        rope_type: str = "split",
    ) -> None:  # fmt: skip
        super().__init__()
        from diffusers.pipelines.ltx2.connectors import LTX2ConnectorTransformer1d

        self.own = own
        self.projection = nn.Linear(states, width, bias=own)
        self.connector = LTX2ConnectorTransformer1d(
            heads, width // heads, layers, registers, rope_type=rope_type, gated_attention=gated
        )

    def forward(self, states: Tensor) -> Tensor:
        """[L, D, layers] -> [1024 or more, width]."""
        if self.own:
            scale = math.sqrt(self.projection.out_features / states.shape[1])
            states = scale * states * torch.rsqrt(states.square().mean(1, keepdim=True) + _EPSILON)
        else:
            spread = states.amax((0, 1)) - states.amin((0, 1)) + _EPSILON
            states = _RANGE * (states - states.mean((0, 1))) / spread
        text = self.projection(states.flatten(1))
        registers = self.connector.num_learnable_registers
        length = registers * math.ceil(max(LEAST_TOKENS, len(text)) / registers)
        given = torch.zeros(1, length, dtype=text.dtype, device=text.device)
        # Padded before the text, where the connector (of diffusers before 0.42 only there) puts it first and then its registers.
        given[:, : length - len(text)] = torch.finfo(text.dtype).min
        text = nn.functional.pad(text, (0, 0, length - len(text), 0))
        return self.connector(text[None], given)[0][0]


def described_in_file(
    shapes: Mapping[str, tuple[int, ...]], transformer: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """(arguments, name of each tensor in the files) of the features in ComfyUI's files; None where a part of them is missing.

    Args:
        transformer: what the checkpoint's metadata says about the network.
    """
    connector = _prefix(shapes, "video_embeddings_connector.learnable_registers")
    own = _prefix(shapes, "text_embedding_projection.video_aggregate_embed.weight")
    shared = _prefix(shapes, "text_embedding_projection.aggregate_embed.weight", "text_embedding_projection.weight")
    projection = own or shared
    if connector is None or projection is None:
        return None
    connector = connector.removesuffix("learnable_registers")
    registers, width = shapes[f"{connector}learnable_registers"]
    blocks = f"{connector}transformer_1d_blocks."
    gate = shapes.get(f"{blocks}0.attn1.to_gate_logits.weight")
    config = {
        "states": shapes[projection][1],
        "width": width,
        "own": own is not None,
        "heads": gate[0] if gate else transformer.get("connector_num_attention_heads", width // 128),
        "layers": 1 + max(int(name[len(blocks) :].split(".")[0]) for name in shapes if name.startswith(blocks)),
        "gated": gate is not None,
        "registers": registers,
        "rope_type": transformer.get("rope_type", "split"),
    }
    names = {"projection.weight": projection}
    if own:
        names["projection.bias"] = projection.removesuffix("weight") + "bias"
    for name in shapes:
        if name.startswith(connector):
            ours = name[len(connector) :].replace("transformer_1d_blocks", "transformer_blocks")
            names["connector." + ours.replace("q_norm", "norm_q").replace("k_norm", "norm_k")] = name
    return config, names


def described_in_folder(
    shapes: Mapping[str, tuple[int, ...]], told: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The same of a diffusers folder ``connectors``, whose config.json is ``told``.

    Raises:
        KeyError: a tensor is missing.
    """
    own = bool(told.get("per_modality_projections", False))
    first = "video_text_proj_in" if own else "text_proj_in"
    registers, width = shapes["video_connector.learnable_registers"]
    config = {
        "states": shapes[f"{first}.weight"][1],
        "width": width,
        "own": own,
        "heads": told.get("video_connector_num_attention_heads", 30),
        "layers": told.get("video_connector_num_layers", 2),
        "gated": bool(told.get("video_gated_attn", False)),
        "registers": registers,
        "rope_type": told.get("rope_type", "interleaved"),
    }
    names = {name.replace(first, "projection"): name for name in shapes if name.startswith(f"{first}.")}
    names |= {
        name.replace("video_connector.", "connector."): name for name in shapes if name.startswith("video_connector.")
    }
    return config, names


def _prefix(shapes: Mapping[str, tuple[int, ...]], *endings: str) -> str | None:
    """The tensor whose name, whatever stands before it, ends so."""
    return next((name for ending in endings for name in shapes if name == ending or name.endswith(f".{ending}")), None)
