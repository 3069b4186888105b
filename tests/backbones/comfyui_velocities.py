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
    "text_mask": "attention_mask", "glyphs": "txt_byt5", "noise_mask": "denoise_mask",
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
    if (image := given.pop("first_frame", None)) is not None:  # as LTXVImgToVideo gives it
        x_t[:, :, :1] = image
        given["noise_mask"] = torch.ones_like(x_t)
        given["noise_mask"][:, :, 0] = 0
    extra = {NAMES[key]: value for key, value in given.items() if key != "frame_rate"}
    if "frame_rate" in given:
        extra["frame_rate"] = given["frame_rate"][0].item()
    network = patcher.model.diffusion_model
    if getattr(network, "vision_in", None) is not None and "c_concat" not in extra:
        # HunyuanVideo 1.5: what text to video gets beside x_t
        extra["c_concat"] = patcher.model.concat_cond(noise=x_t, device=x_t.device)
    if "adaln_single" in "".join(network.state_dict()):
        extra.setdefault("attention_mask", None)
    if hasattr(
        network, "audio_patchify_proj"
    ):  # the video alone; what the sound is told of the text lies behind the video's
        extra["latent_shapes"] = [x_t.shape]
        text = extra["c_crossattn"]
        width = (
            2 * text.shape[2]
            if not network.caption_proj_before_connector
            else network.inner_dim + network.audio_inner_dim
        )
        extra["c_crossattn"] = torch.nn.functional.pad(text, (0, width - text.shape[2]), value=0.5)
    with torch.inference_mode():
        denoised = patcher.model.apply_model(x_t, sigma, **extra)
    velocity = (x_t - denoised) / sigma.view(-1, 1, 1, 1, 1)
    save_file({"velocity": velocity}, folder / "velocities" / path.name, {"complaints": "\n".join(complaints.lines)})
