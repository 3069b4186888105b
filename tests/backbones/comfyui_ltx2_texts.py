"""Run by ComfyUI's own Python: LTX-2's texts by ComfyUI's tokenizer, Gemma, projection and connector.

usage: comfyui_ltx2_texts.py COMFYUI FOLDER.  FOLDER has gemma.safetensors, KIND.safetensors and texts.json; ids.json and
texts.comfyui.safetensors ("0", "1", ..., and "0 unpadded", ...: the same without padding before the text) are written.
"""

import json
import sys
from pathlib import Path

comfyui, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(comfyui))
sys.argv = [sys.argv[0], "--cpu", "--use-pytorch-cross-attention"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.ops  # noqa: E402
import torch  # noqa: E402
from comfy.ldm.lightricks.embeddings_connector import Embeddings1DConnector  # noqa: E402
from comfy.text_encoders import llama, lt  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

described = json.loads((folder / "texts.json").read_text())
sizes = dict(described["sizes"])
head = sizes.pop("head_dim")
sizes.pop("query_pre_attn_scalar")


class TinyGemma(llama.BaseLlama, llama.BaseGenerate, torch.nn.Module):
    """``Gemma3_12B`` without its eyes, at another size."""

    def __init__(self, config_dict, dtype, device, operations):
        super().__init__()
        config = llama.Gemma3_12B_Config(**sizes)
        config.head_dim = head
        self.num_layers = config.num_hidden_layers
        self.model = llama.Llama2_(config, device=device, dtype=dtype, ops=operations)
        self.dtype = dtype


def loaded(module, state):
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return module


llama.Gemma3_12B = TinyGemma
gemma = load_file(folder / "gemma.safetensors")
checkpoint = load_file(folder / f"{described['kind']}.safetensors")
tokenizer = lt.LTXAVGemmaTokenizer(tokenizer_data={"spiece_model": gemma.pop("spiece_model")})
del gemma["vision_model.post_layernorm.weight"]

encoder = lt.LTXAVTEModel.__new__(lt.LTXAVTEModel)  # its constructor knows no other size than 3840 times 49
torch.nn.Module.__init__(encoder)
encoder.dtypes, encoder.compat_mode = {torch.float32}, False
encoder.gemma3_12b = lt.Gemma3_12BModel(dtype=torch.float32)
loaded(encoder.gemma3_12b.transformer, gemma)
projection = {
    key.removeprefix("text_embedding_projection."): tensor
    for key, tensor in checkpoint.items()
    if key.startswith("text_embedding_projection.")
}
states = sizes["hidden_size"] * (sizes["num_hidden_layers"] + 1)
own = "video_aggregate_embed.weight" in projection
if own:
    encoder.text_projection_type = "dual_linear"
    widths = len(projection["video_aggregate_embed.weight"]), len(projection["audio_aggregate_embed.weight"])
    encoder.text_embedding_projection = lt.DualLinearProjection(
        states, *widths, operations=comfy.ops.disable_weight_init
    )
else:
    encoder.text_projection_type = "single_linear"
    projection = {"weight": projection["aggregate_embed.weight"]}
    widths = (len(projection["weight"]),) * 2
    encoder.text_embedding_projection = comfy.ops.disable_weight_init.Linear(states, widths[0], bias=False)
loaded(encoder.text_embedding_projection, projection)
encoder.execution_device = None
encoder.set_clip_options({"execution_device": torch.device("cpu")})

prefix = "model.diffusion_model.video_embeddings_connector."
connector = Embeddings1DConnector(
    attention_head_dim=widths[0] // described["heads"], num_attention_heads=described["heads"], num_layers=described["layers"],
    split_rope=True, double_precision_rope=True, apply_gated_attention=own, operations=comfy.ops.disable_weight_init,
)  # fmt: skip
loaded(connector, {key.removeprefix(prefix): tensor for key, tensor in checkpoint.items() if key.startswith(prefix)})

ids, texts = [], {}
with torch.inference_mode():
    for number, prompt in enumerate(described["prompts"]):
        tokens = tokenizer.tokenize_with_weights(prompt)
        (row,) = tokens["gemma3_12b"]
        assert len(row) == 1024
        unpadded = [entry for entry in row if entry[0] != 0]
        ids.append([entry[0] for entry in unpadded])
        for name, given in ((str(number), tokens), (f"{number} unpadded", {"gemma3_12b": [unpadded]})):
            out, _, extra = encoder.encode_token_weights(given)
            assert extra == {"unprocessed_ltxav_embeds": True}
            out = out[..., : widths[0]] if own else out
            texts[name] = connector(out)[0][0].contiguous()
(folder / "ids.json").write_text(json.dumps(ids))
save_file(texts, folder / "texts.comfyui.safetensors")
