"""HunyuanVideo 1.5's layers: diffusers' name -> rows of a layer of ComfyUI's network.

Its blocks, its text's refiner and its head are HunyuanVideo's.
"""

from __future__ import annotations

from . import hunyuan_video_names
from .renaming import Renames

_own = Renames([
    (r"^context_embedder_2\.norm", "byt5_in.layernorm"),
    (r"^context_embedder_2\.linear_(\d)", r"byt5_in.fc\1"),
    (r"^image_embedder\.norm_in", "vision_in.proj.0"),
    (r"^image_embedder\.linear_1", "vision_in.proj.1"),
    (r"^image_embedder\.linear_2", "vision_in.proj.3"),
    (r"^image_embedder\.norm_out", "vision_in.proj.4"),
    (r"^cond_type_embed", "cond_type_embedding"),
    (r"^time_embed\.timestep_embedder", "time_text_embed.timestep_embedder"),
])  # fmt: skip

SIGN = "cond_type_embedding.weight"
"""A tensor that every HunyuanVideo 1.5 has and HunyuanVideo has not: which of three encoders a token is of."""


def original_rows(name: str, hidden: int, mlp: int) -> list[tuple[str, tuple[int, int] | None]]:
    """Where a diffusers module lies; ``hidden`` and ``mlp`` are the widths of the tokens and of the MLPs."""
    return hunyuan_video_names.original_rows(_own(name), hidden, mlp)
