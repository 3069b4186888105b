"""Run by ComfyUI's own Python: encode ids with ComfyUI's T5 class, and prompts with the sentencepiece library.

usage: comfyui_texts.py COMFYUI FOLDER.  FOLDER has umt5.safetensors and t5.safetensors (ComfyUI files), texts.json
{"prompts": [...], "configs": {...}}; comfyui_ids.json and <kind>.states.safetensors ("0", "1", ...) are written.
"""

import json
import sys
from pathlib import Path

comfyui, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(comfyui))
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.ops  # noqa: E402
import torch  # noqa: E402
from comfy.text_encoders.spiece_tokenizer import SPieceTokenizer  # noqa: E402
from comfy.text_encoders.t5 import T5  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

described = json.loads((folder / "texts.json").read_text())
ids = {}
for kind, config in described["configs"].items():
    state = load_file(folder / f"{kind}.safetensors")
    tokenizer = SPieceTokenizer(state.pop("spiece_model"))
    ids[kind] = [tokenizer(prompt)["input_ids"] for prompt in described["prompts"]]
    module = T5(config, torch.float32, "cpu", comfy.ops.disable_weight_init)
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not missing and not unexpected, (kind, missing, unexpected)
    with torch.inference_mode():
        states = {
            str(number): module(torch.tensor([own]), None)[0][0].contiguous() for number, own in enumerate(ids[kind])
        }
    save_file(states, folder / f"{kind}.states.safetensors")
(folder / "comfyui_ids.json").write_text(json.dumps(ids))
