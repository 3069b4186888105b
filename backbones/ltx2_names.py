"""LTX-2's layers: diffusers' name -> the original one, which ComfyUI's network and files have too; and what is not of the video.

A file holds two networks side by side, one for the video and one for the sound, with attentions between them, and the connectors of
its text encoder.
"""

from __future__ import annotations

from .renaming import Renames

original = Renames([
    (r"^proj_in", "patchify_proj"),
    (r"^time_embed", "adaln_single"),
    (r"^prompt_adaln", "prompt_adaln_single"),
    (r"norm_q", "q_norm"),
    (r"norm_k", "k_norm"),
])  # fmt: skip

SIGN = "audio_adaln_single.linear.weight"
"""A tensor that every LTX-2 has and LTX-Video has not."""

BESIDE_THE_VIDEO = (
    r"^(audio_|av_ca_|av_cross_attn_|video_embeddings_connector\.|text_embedding_projection\.)"
    r"|^transformer_blocks\.\d+\.(audio_|video_to_audio_|video_a2v_|scale_shift_table_a2v_)"
)
"""Tensors of the sound, of its ties to the video, and of the text's connectors, by either naming."""
