"""LTX-Video's layers: diffusers' name -> the original one, which ComfyUI's network and files have too."""

from __future__ import annotations

from .renaming import Renames

original = Renames([
    (r"^proj_in", "patchify_proj"),
    (r"^time_embed", "adaln_single"),
    (r"norm_q", "q_norm"),
    (r"norm_k", "k_norm"),
])  # fmt: skip

VARIANTS = {
    "audio_adaln_single.linear.weight": "LTX-2 (video with sound)",
    "prompt_adaln_single.linear.weight": "LTX-2",
}
"""A tensor that gives a variant away which diffusers' LTXVideoTransformer3DModel cannot be."""
