"""Runs inside ComfyUI's Python: load models, apply LoRAs with the stock node, evaluate; see ``test_loras_in_comfyui.py``.

    python lora_jobs.py COMFYUI_TREE JOBS.json

A job: {"model": file, "lora": file, "inputs": safetensors file, "output": safetensors file, "strength": X}. Inputs: ``x``, ``sigma``
and the keyword arguments of ``BaseModel.apply_model``. Outputs: the velocities without and with the LoRA. Without inputs the
weights are patched, and nothing is evaluated. Prints one JSON line: ComfyUI's version, and for each job the keys of the weights
that were patched, of those that changed, and every warning, or the error.
"""

import json
import logging
import os
import sys
import traceback

tree, jobs_file = sys.argv[1:]
sys.argv = [sys.argv[0], "--cpu", "--use-pytorch-cross-attention"]  # ComfyUI reads them when it is imported
sys.path.insert(0, tree)
os.environ["HF_HUB_OFFLINE"] = "1"

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.model_management  # noqa: E402
import comfy.sd  # noqa: E402
import comfyui_version  # noqa: E402
import folder_paths  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import nodes  # noqa: E402


class Warnings(logging.Handler):
    """Keeps what ComfyUI complains about."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def velocity(patcher, inputs):
    """The network's velocity at x, sigma: ComfyUI's models return the clean latent, x - sigma v."""
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    named = dict(inputs)
    x, sigma = named.pop("x"), named.pop("sigma")
    network = patcher.model.diffusion_model
    if hasattr(
        network, "audio_patchify_proj"
    ):  # LTX-2: the video alone, and what the sound is told of the text behind it
        named["latent_shapes"] = [x.shape]
        width = (
            network.inner_dim + network.audio_inner_dim
            if network.caption_proj_before_connector
            else 2 * network.caption_channels
        )
        text = named["c_crossattn"]
        named["c_crossattn"] = torch.nn.functional.pad(text, (0, width - text.shape[2]), value=0.5)
    if getattr(network, "vision_in", None) is not None:  # HunyuanVideo 1.5: what text to video gets beside x
        named["c_concat"] = patcher.model.concat_cond(noise=x, device=x.device)
    with torch.inference_mode():
        denoised = patcher.model.apply_model(x, sigma, **named)
    return ((x - denoised) / sigma.view(-1, *[1] * (x.ndim - 1))).clone()


def patched_with(model, job):
    """The model with a LoRA, by the stock node."""
    folder_paths.add_model_folder_path("loras", os.path.dirname(job["lora"]))
    return nodes.LoraLoaderModelOnly().load_lora_model_only(model, os.path.basename(job["lora"]), job["strength"])[0]


def evaluate(job, model):
    """Write the velocities; returns the keys of the patched weights."""
    inputs = load_file(job["inputs"])
    plain = velocity(model, inputs)
    patched = patched_with(model, job)
    save_file({"plain": plain, "patched": velocity(patched, inputs)}, job["output"])
    return {"patches": sorted(patched.patches)}


def apply(job, model):
    """The keys of the weights that are patched, and of those that then differ."""
    patched = patched_with(model, job)
    comfy.model_management.load_models_gpu([model], force_full_load=True)
    before = {key: tensor.clone() for key, tensor in model.model.state_dict().items()}
    comfy.model_management.load_models_gpu([patched], force_full_load=True)
    after = patched.model.state_dict()
    changed = sorted(key for key, tensor in before.items() if not torch.equal(tensor, after[key]))
    comfy.model_management.unload_all_models()
    return {"patches": sorted(patched.patches), "changed": changed}


def run(job):
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    try:
        model = comfy.sd.load_diffusion_model(job["model"], model_options={"dtype": torch.float32})
        result = evaluate(job, model) if "inputs" in job else apply(job, model)
        return {**result, "warnings": warnings.texts, "class": type(model.model).__name__}
    except Exception:
        return {"error": traceback.format_exc(), "warnings": warnings.texts}
    finally:
        logging.getLogger().removeHandler(warnings)


with open(jobs_file) as file:
    jobs = json.load(file)
results = [run(job) for job in jobs]
print(json.dumps({"version": comfyui_version.__version__, "results": results}))
