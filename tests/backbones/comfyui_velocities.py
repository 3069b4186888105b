"""Run by a ComfyUI's own interpreter: velocities of the real networks.

usage: comfyui_velocities.py COMFYUI_TREE FOLDER

FOLDER holds checkpoints NAME.safetensors and inputs/NAME.safetensors (x_t, sigma, and the conditioning). Written are
velocities/NAME.safetensors, with what ComfyUI complained of while loading in the metadata.
"""

import logging
import sys
from pathlib import Path

tree, folder = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, tree)
sys.argv = [sys.argv[0], "--cpu", "--use-pytorch-cross-attention"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.sd  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

NAMES = {
    "text": "c_crossattn", "image_latents": "c_concat", "image_embeds": "clip_fea", "pooled": "y", "guidance": "guidance",
    "text_mask": "attention_mask",
}  # fmt: skip


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        line = record.getMessage()
        if line.startswith(("unet missing", "unet unexpected", "left over keys in diffusion model")):
            self.lines.append(line)


complaints = Complaints()
logging.getLogger().addHandler(complaints)
logging.getLogger().setLevel(logging.INFO)
(folder / "velocities").mkdir()
for path in sorted(folder.glob("*.safetensors")):
    complaints.lines.clear()
    patcher = comfy.sd.load_diffusion_model(str(path))
    given = load_file(folder / "inputs" / path.name)
    x_t, sigma = given.pop("x_t"), given.pop("sigma")
    extra = {NAMES[key]: value for key, value in given.items() if key != "frame_rate"}
    if "frame_rate" in given:
        extra["frame_rate"] = given["frame_rate"][0].item()
    if "adaln_single" in "".join(patcher.model.diffusion_model.state_dict()):
        extra.setdefault("attention_mask", None)
    with torch.inference_mode():
        denoised = patcher.model.apply_model(x_t, sigma, **extra)
    velocity = (x_t - denoised) / sigma.view(-1, 1, 1, 1, 1)
    save_file({"velocity": velocity}, folder / "velocities" / path.name, {"complaints": "\n".join(complaints.lines)})
