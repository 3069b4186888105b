"""Facts of HunyuanVideo 1.5."""

from .family import Family
from .hunyuan_video_names import FILE_NAMES
from .latent_format import LatentFormat

LATENTS = LatentFormat("hunyuan-video-1.5", channels=32, spatial_stride=16, temporal_stride=4)

_BLOCKS = r"double_blocks\.\d+\.(img|txt)_(attn\.(qkv|proj)|mod\.lin|mlp\.[02])"
_REFINER = (
    r"txt_in\.individual_token_refiner\.blocks\.\d+\.(self_attn\.(qkv|proj)|mlp\.[02]|adaLN_modulation\.1|norm[12])"
)
_REST = (
    r"time_in\.(in|out)_layer|txt_in\.(input_embedder|[tc]_embedder\.(in|out)_layer)|img_in\.proj"
    r"|final_layer\.(linear|adaLN_modulation\.1)|byt5_in\.(fc[123]|layernorm)|vision_in\.proj\.[0134]"
)

HUNYUAN_VIDEO15 = Family(
    name="hunyuan-video-1.5",
    title="HunyuanVideo 1.5",
    implementation="https://github.com/Tencent-Hunyuan/HunyuanVideo-1.5",
    latent_formats={"HunyuanVideo15": LATENTS},
    conditioning={
        "text": "c_crossattn",
        "text_mask": "attention_mask",
        "glyphs": "txt_byt5",
        "glyphs_mask": None,
        "image_latents": "c_concat",
        "image_embeds": "clip_fea",
    },
    lora_layers=rf"{_BLOCKS}|{_REFINER}|{_REST}|double_blocks\.\d+\.(img|txt)_attn\.norm\.(query|key)_norm|cond_type_embedding",
    lora_others=rf"({_BLOCKS}|{_REFINER}|{_REST})\.bias",
    # HunyuanVideo has 20 of the blocks that this one has 54 of, under the same names: a LoRA of the first 20 alone is taken for one of its.
    lora_signs=r"byt5_in_|vision_in_|cond_type_embedding|(double|transformer)_blocks_([2-5]\d)_(img|txt|ff_context|attn_(to|add)_)",
    text_tokens=1000,
    file_names=FILE_NAMES,
)
