"""Facts of Wan 2.1 and 2.2, and of the micro model, which is a small Wan 2.1."""

from .family import Family
from .latent_format import LatentFormat

WAN21 = LatentFormat("wan2.1", channels=16, spatial_stride=8, temporal_stride=4)
WAN22 = LatentFormat("wan2.2", channels=48, spatial_stride=16, temporal_stride=4)

WAN = Family(
    name="wan",
    title="Wan",
    implementation="https://github.com/Wan-Video/Wan2.1",
    latent_formats={"Wan21": WAN21, "Wan22": WAN22},
    conditioning={
        "text": "c_crossattn",
        "text_mask": None,  # Wan attends to its text's padding
        "image_latents": "c_concat",
        "image_embeds": "clip_fea",
    },
    lora_layers=r"(vace_)?blocks\.\d+\.((self|cross)_attn\.(q|k|v|o|k_img|v_img|norm_q|norm_k|norm_k_img)|ffn\.[02]|norm3)"
    r"|vace_blocks\.\d+\.(before|after)_proj|vace_patch_embedding"
    r"|(time|text)_embedding\.[02]|time_projection\.1|img_emb\.proj\.[0134]|head\.head|patch_embedding",
    lora_others=r"(vace_)?blocks\.\d+\.(((self|cross)_attn\.(q|k|v|o|k_img|v_img)|ffn\.[02]|norm3)\.bias|modulation)"
    r"|((time|text)_embedding\.[02]|time_projection\.1|img_emb\.proj\.[0134]|head\.head|patch_embedding)\.bias"
    r"|(vace_blocks\.\d+\.(before|after)_proj|vace_patch_embedding)\.bias|head\.modulation|img_emb\.emb_pos",
    lora_signs=r"blocks_\d+_(self_attn|cross_attn|attn1|attn2|ffn)_",
)
