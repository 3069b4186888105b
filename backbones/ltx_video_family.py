"""Facts of LTX-Video 0.9."""

from .family import GIVEN_ENTRIES, Family
from .latent_format import LatentFormat

LTXV = LatentFormat("ltxv", channels=128, spatial_stride=32, temporal_stride=8)

LTX_VIDEO = Family(
    name="ltx-video",
    title="LTX-Video",
    implementation="https://github.com/Lightricks/LTX-Video",
    latent_formats={"LTXV": LTXV},
    conditioning={
        "text": "c_crossattn",
        "text_mask": "attention_mask",
        "image_latents": "c_concat",
        "frame_rate": "frame_rate",
        **GIVEN_ENTRIES,
    },
    lora_layers=r"transformer_blocks\.\d+\.(attn[12]\.(to_q|to_k|to_v|to_out\.0|q_norm|k_norm)|ff\.net\.(0\.proj|2))"
    r"|adaln_single\.(linear|emb\.timestep_embedder\.linear_[12])|caption_projection\.linear_[12]|patchify_proj|proj_out",
    lora_others=r"transformer_blocks\.\d+\.((attn[12]\.(to_q|to_k|to_v|to_out\.0)|ff\.net\.(0\.proj|2))\.bias|scale_shift_table)"
    r"|(adaln_single\.(linear|emb\.timestep_embedder\.linear_[12])|caption_projection\.linear_[12]|patchify_proj|proj_out)\.bias"
    r"|scale_shift_table",
    lora_bare_names=True,  # ComfyUI 0.30
    lora_signs=r"transformer_blocks_\d+_(attn[12]|ff_net)_",
)
