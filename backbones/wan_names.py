"""Wan's layers: diffusers' name -> the original one, which ComfyUI's network and files have too."""

from __future__ import annotations

from .renaming import Renames

original = Renames([
    (r"condition_embedder\.time_embedder\.linear_1", "time_embedding.0"),
    (r"condition_embedder\.time_embedder\.linear_2", "time_embedding.2"),
    (r"condition_embedder\.time_proj", "time_projection.1"),
    (r"condition_embedder\.text_embedder\.linear_1", "text_embedding.0"),
    (r"condition_embedder\.text_embedder\.linear_2", "text_embedding.2"),
    (r"condition_embedder\.image_embedder\.norm1", "img_emb.proj.0"),
    (r"condition_embedder\.image_embedder\.ff\.net\.0\.proj", "img_emb.proj.1"),
    (r"condition_embedder\.image_embedder\.ff\.net\.2", "img_emb.proj.3"),
    (r"condition_embedder\.image_embedder\.norm2", "img_emb.proj.4"),
    (r"condition_embedder\.image_embedder\.pos_embed", "img_emb.emb_pos"),
    (r"attn1", "self_attn"),
    (r"attn2", "cross_attn"),
    (r"to_q", "q"), (r"to_k", "k"), (r"to_v", "v"), (r"to_out\.0", "o"),
    (r"add_k_proj", "k_img"), (r"add_v_proj", "v_img"), (r"norm_added_k", "norm_k_img"),
    (r"ffn\.net\.0\.proj", "ffn.0"),
    (r"ffn\.net\.2", "ffn.2"),
    (r"(blocks\.\d+)\.norm2", r"\1.norm of cross-attention"),  # 2 and 3 change places
    (r"(blocks\.\d+)\.norm3", r"\1.norm2"),
    (r"(blocks\.\d+)\.norm of cross-attention", r"\1.norm3"),
    (r"(blocks\.\d+)\.scale_shift_table", r"\1.modulation"),
    (r"^scale_shift_table", "head.modulation"),
    (r"^proj_out", "head.head"),
])  # fmt: skip

VARIANTS = {
    "vace_patch_embedding.weight": "VACE",
    "control_adapter.conv.weight": "camera control",
    "ref_conv.weight": "Fun control (reference image)",
    "casual_audio_encoder.encoder.final_linear.weight": "S2V",
    "audio_proj.audio_proj_glob_1.layer.bias": "HuMo",
    "face_adapter.fuser_blocks.0.k_norm.weight": "Animate",
    "patch_embedding_mask.weight": "SCAIL",
    "patch_embedding_pose.weight": "SCAIL",
    "patch_embedding_global.weight": "WanDancer",
}
"""A tensor that gives a variant away which diffusers' WanTransformer3DModel cannot be."""
