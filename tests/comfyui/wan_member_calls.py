"""Calls of ``ComfyProcess`` about Wan's members that share its network: tiny ones of ComfyUI's own classes, guided by a reward for text to video."""

from __future__ import annotations

import math

import comfy.ldm.wan.model as wan
import comfy.ldm.wan.model_animate as animate
import comfy.ops
import comfy.sd
import torch
from safetensors.torch import save_file
from sampling_calls import conditioning, guided

import nodes

SMALL = {"dim": 128, "ffn_dim": 192, "num_heads": 1, "num_layers": 2, "text_dim": 4096}
MEMBERS = {
    "vace": (wan.VaceWanModel, {"vace_layers": 1, "vace_in_dim": 96}),
    "camera": (wan.CameraWanModel, {"model_type": "camera_2.2", "in_dim": 36}),
    "s2v": (wan.WanModel_S2V, {}),
    "animate": (animate.AnimateWanModel, {"in_dim": 36, "num_layers": 5}),
    "fun-control": (wan.WanModel, {"model_type": "t2v", "in_dim": 52, "in_dim_ref_conv": 16}),
    "fun-control-plain": (wan.WanModel, {"model_type": "t2v", "in_dim": 52}),
    "fun-inp": (wan.WanModel, {"model_type": "t2v", "in_dim": 36}),
}


def _random(name: str, tensor: torch.Tensor, seed: int) -> torch.Tensor:
    noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed))
    if "modulation" in name:
        return noise * 0.3
    if tensor.ndim > 1:
        return noise / math.sqrt(tensor[0].numel())
    return noise * 0.1 + ("norm" in name and name.endswith("weight"))


def member(member_name: str, reward: str, path: str):
    """ComfyUI's class of the member, its samples without and with guidance, and the steps that were traced; its file is written."""
    kind, about = MEMBERS[member_name]
    with torch.inference_mode(False):
        made = kind(**{**SMALL, **about}, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
        state = {key: _random(key, own, index) for index, (key, own) in enumerate(made.state_dict().items())}
    save_file({key: own.contiguous() for key, own in state.items()}, path)
    model = comfy.sd.load_diffusion_model_state_dict(state)
    results = []
    with torch.inference_mode():
        used, _, trace = guided(model, reward, strength=3.0, cap=1.0)
        for own in (model, used):
            latent = {"samples": torch.zeros(1, 16, 3, 8, 8)}
            out = nodes.common_ksampler(
                own, 5, 4, 3.0, "euler", "simple", conditioning(1), conditioning(2), latent, 1.0
            )[0]
            results.append(out["samples"].clone())
        points = len(trace.of(out["samples"])["points"])
    return type(model.model).__name__, *results, points
