"""Run by ComfyUI's own Python: HunyuanVideo 1.5's texts by ComfyUI's tokenizers, Qwen2.5-VL and ByT5.

usage: comfyui_hunyuan15_texts.py COMFYUI FOLDER.  FOLDER has qwen.safetensors, byt5.safetensors and texts.json;
texts.comfyui.safetensors ("0", "0 glyphs", ...) is written.
"""

import json
import sys
from pathlib import Path

comfyui, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(comfyui))
sys.argv = [sys.argv[0], "--cpu", "--use-pytorch-cross-attention"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import torch  # noqa: E402
from comfy import sd1_clip  # noqa: E402
from comfy.text_encoders import hunyuan_image, hunyuan_video, llama, t5  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

described = json.loads((folder / "texts.json").read_text())


class TinyQwen(llama.BaseLlama, llama.BaseGenerate, torch.nn.Module):
    """``Qwen25_7BVLI`` without its eyes, at another size."""

    def __init__(self, config_dict, dtype, device, operations):
        super().__init__()
        config = llama.Qwen25_7BVLI_Config(**described["sizes"])
        self.num_layers = config.num_hidden_layers
        self.model = llama.Llama2_(config, device=device, dtype=dtype, ops=operations)
        self.dtype = dtype


class TinyQwenModel(sd1_clip.SDClipModel):
    """``Qwen25_7BVLIModel``, whose third layer from the end is the second of these."""

    def __init__(self, device="cpu", layer="hidden", layer_idx=-3, dtype=None, attention_mask=True, model_options=None):
        super().__init__(
            device=device, layer=layer, layer_idx=layer_idx, textmodel_json_config={}, dtype=dtype, special_tokens={"pad": 151643},
            layer_norm_hidden_state=False, model_class=TinyQwen, enable_attention_masks=attention_mask,
            return_attention_masks=attention_mask, model_options=model_options or {},
        )  # fmt: skip


class TinyByT5(sd1_clip.SDClipModel):
    """``ByT5SmallModel`` at another size."""

    def __init__(self, device="cpu", layer="last", layer_idx=None, dtype=None, model_options=None):
        sizes = json.loads((Path(hunyuan_image.__file__).parent / "byt5_config_small_glyph.json").read_text())
        sizes |= {key: value for key, value in described["byt5"].items() if key in sizes}
        super().__init__(
            device=device, layer=layer, layer_idx=layer_idx, textmodel_json_config=sizes, dtype=dtype,
            model_options=model_options or {}, special_tokens={"end": 1, "pad": 0}, model_class=t5.T5, enable_attention_masks=True,
            zero_out_masked=True,
        )  # fmt: skip


hunyuan_image.Qwen25_7BVLIModel, hunyuan_image.ByT5SmallModel = TinyQwenModel, TinyByT5
encoder = hunyuan_image.te()(dtype=torch.float32)
for name in ("qwen", "byt5"):
    state = load_file(folder / f"{name}.safetensors")
    missing, _ = encoder.load_sd(state)
    assert not [key for key in missing if "lm_head" not in key and "logit_scale" not in key], missing
tokenizer = hunyuan_video.HunyuanVideo15Tokenizer()
encoder.set_clip_options({"execution_device": torch.device("cpu")})
texts = {}
with torch.inference_mode():
    for number, prompt in enumerate(described["prompts"]):
        text, _, extra = encoder.encode_token_weights(tokenizer.tokenize_with_weights(prompt))
        texts[str(number)] = text[0].float().contiguous()
        if "conditioning_byt5small" in extra:
            texts[f"{number} glyphs"] = extra["conditioning_byt5small"][0].float().contiguous()
save_file(texts, folder / "texts.comfyui.safetensors")
