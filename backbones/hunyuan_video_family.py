"""Facts of HunyuanVideo."""

from .family import Family
from .hunyuan_video_names import FILE_NAMES
from .latent_format import LatentFormat

LATENTS = LatentFormat("hunyuan-video", channels=16, spatial_stride=8, temporal_stride=4)

HUNYUAN_VIDEO = Family(
    name="hunyuan-video",
    title="HunyuanVideo",
    implementation="https://github.com/Tencent/HunyuanVideo",
    latent_formats={"HunyuanVideo": LATENTS},
    conditioning={
        "text": "c_crossattn",
        "text_mask": "attention_mask",
        "image_latents": "c_concat",
        "pooled": "y",
        "guidance": "guidance",
    },
    lora_layers=r"double_blocks\.\d+\.(img|txt)_(attn\.(qkv|proj|norm\.(query|key)_norm)|mod\.lin|mlp\.[02])"
    r"|single_blocks\.\d+\.(linear[12]|modulation\.lin|norm\.(query|key)_norm)|(time|vector|guidance)_in\.(in|out)_layer"
    r"|txt_in\.(input_embedder|[tc]_embedder\.(in|out)_layer)|img_in\.proj|final_layer\.(linear|adaLN_modulation\.1)"
    r"|txt_in\.individual_token_refiner\.blocks\.\d+\.(self_attn\.(qkv|proj)|mlp\.[02]|adaLN_modulation\.1|norm[12])",
    lora_others=r"(double_blocks\.\d+\.(img|txt)_(attn\.(qkv|proj)|mod\.lin|mlp\.[02])"
    r"|single_blocks\.\d+\.(linear[12]|modulation\.lin)|(time|vector|guidance)_in\.(in|out)_layer"
    r"|txt_in\.(input_embedder|[tc]_embedder\.(in|out)_layer)|img_in\.proj|final_layer\.(linear|adaLN_modulation\.1)"
    r"|txt_in\.individual_token_refiner\.blocks\.\d+\.(self_attn\.(qkv|proj)|mlp\.[02]|adaLN_modulation\.1|norm[12]))\.bias",
    lora_signs=r"double_blocks_\d+_(img|txt)_(attn|mlp|mod)|single_transformer_blocks_\d+_(attn|proj_mlp)",
    text_tokens=256,
    file_names=FILE_NAMES,
)
