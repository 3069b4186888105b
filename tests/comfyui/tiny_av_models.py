"""Tiny audio-video networks of ComfyUI's own classes with random weights, and latent rewards for their videos.

For use inside ``ComfyProcess``. The trunk of LTX-2's reward is the project's own. It has no family for MiniMax H3: a trunk of Wan is built for
its latents, and registered as another package would do it.
"""

from __future__ import annotations

import json
import math

import comfy.ops
import comfy.sd
import torch
from comfy.ldm.lightricks.av_model import LTXAVModel
from comfy.ldm.minimax.model import MiniMaxH3Model
from comfy.supported_models_base import ClipTarget
from comfy.text_encoders.genmo import mochi_te
from comfy.text_encoders.lt import LTXVT5Tokenizer
from sampling_calls import pack
from tiny_backbones import LTX2

LTXAV = {
    "num_attention_heads": 2, "attention_head_dim": 16, "audio_num_attention_heads": 2, "audio_attention_head_dim": 8,
    "cross_attention_dim": 32, "audio_cross_attention_dim": 16, "caption_channels": 24, "num_layers": 2,
    "connector_num_attention_heads": 2, "connector_attention_head_dim": 12, "connector_num_layers": 1,
}  # fmt: skip
H3 = {
    "hidden_size": 64, "num_layers": 2, "token_refiner_num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 32,
    "ffn_hidden_size": 48, "text_dim": 40, "timestep_input_dim": 16, "time_embed_hidden_size": 32, "time_embed_dim": 24,
    "rope_inv_freq_len": 4,
}  # fmt: skip
# What reaches a hook as c_crossattn is what the network makes of a text before the first step: its width.
TEXT = {"ltxav": (24, 48), "h3": (40, 64)}
CHANNELS = {"h3": 24}
_models: dict = {}


def av_model(kind: str):
    """A ModelPatcher of a network, detected and built by ComfyUI from its weights."""
    if kind not in _models:
        network, config, metadata = {
            "ltxav": (LTXAVModel, LTXAV, {"config": json.dumps({"transformer": LTXAV})}),
            "h3": (MiniMaxH3Model, H3, None),
        }[kind]
        made = network(**config, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
        state = {name: _random(name, tensor, index) for index, (name, tensor) in enumerate(made.state_dict().items())}
        _models[kind] = comfy.sd.load_diffusion_model_state_dict(state, metadata=metadata)
    return _models[kind]


def _random(name: str, tensor: torch.Tensor, seed: int) -> torch.Tensor:
    noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed))
    if name == "rope.inv_freq":
        return 1 / 10 ** torch.arange(len(tensor)).float()
    if "scale_shift_table" in name:
        return noise * 0.3
    if tensor.ndim > 1:
        return noise / math.sqrt(tensor[0].numel())
    return noise * 0.1 + ("norm" in name and name.endswith("weight"))


def av_reward(kind: str, text_width: int | None = None):
    """A latent reward with random heads for the videos of a network; ``text_width`` of its own text encoder, if it has one."""
    width = text_width or TEXT[kind][1]
    if (kind, width) not in _models:
        with torch.inference_mode(False):  # as a file's weights are read
            _models[kind, width] = _made_reward(kind, width)
    return _models[kind, width]


def _made_reward(kind: str, width: int):
    backbone = pack("backbones.loading").build_backbone(_registered(kind), _trunk_config(kind, width))
    with torch.no_grad():
        for index, (name, parameter) in enumerate(backbone.module.named_parameters()):
            parameter.copy_(_random(name, parameter, 1000 + index))
    dimensions = pack("reward.dimensions").DIMENSIONS
    calibration = pack("reward.latent.calibration")
    measured = calibration.Calibration(
        calibration.even_edges(2),
        accuracy=dict.fromkeys(dimensions, (0.8, 0.8)),
        pairs=dict.fromkeys(dimensions, (10, 10)),
        gradient_scale=dict.fromkeys(dimensions, (0.5, 0.5)),
        mean=dict.fromkeys(dimensions, 0.0),
        std=dict.fromkeys(dimensions, 1.0),
    )
    torch.manual_seed(4)
    heads = pack("reward.latent.heads").HeadConfig()
    reward = pack("reward.latent.latent_reward").LatentReward(backbone, heads, measured)
    handle, cpu = pack("nodes.latent_reward_handle").LatentRewardHandle, torch.device("cpu")
    return handle(f"tiny {kind}", reward.requires_grad_(False).eval(), cpu, cpu)


def _trunk_config(kind: str, text_width: int) -> dict:
    if kind == "ltxav":  # ComfyUI's texts are those of both streams, one behind the other
        return LTX2 | {"caption_channels": text_width // 2 if text_width == TEXT[kind][1] else text_width}
    return {
        "num_attention_heads": 1, "attention_head_dim": 128, "in_channels": CHANNELS[kind], "out_channels": CHANNELS[kind],
        "text_dim": text_width, "freq_dim": 256, "ffn_dim": 192, "num_layers": 2,
    }  # fmt: skip


def _registered(kind: str) -> str:
    """The name of a family whose latents are those of a network's videos."""
    if kind == "ltxav":
        return "ltx-2"
    families, latents = pack("backbones.families"), pack("backbones.latent_format")
    name = f"tiny-{kind}"
    if name in families.family_names():
        return name
    space = latents.LatentFormat(name, CHANNELS[kind], 16, 4)
    facts = pack("backbones.family").Family(
        name=name,
        title=f"Tiny {kind}",
        implementation="https://example.org/tiny",
        latent_formats={"MiniMaxH3AV": space},
        conditioning={"text": "c_crossattn", "text_mask": "attention_mask"},
        lora_layers=rf"{kind}_blocks\.\d+",
        lora_signs=rf"{kind}_blocks_\d+",
    )

    class Trunk(pack("backbones.wan").Wan):
        family = facts

        @classmethod
        def recognises(cls, shapes):
            return False

        @classmethod
        def latent_format_of(cls, config):
            return space

    families.register_family(Trunk)
    return name


def tiny_clip(width: int = 64):
    """ComfyUI's T5 with its own tokenizer, random weights, and texts of ``width``."""
    if ("clip", width) not in _models:
        config = {"d_model": width, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 1}
        target = ClipTarget(LTXVT5Tokenizer, mochi_te())
        made = comfy.sd.CLIP(target, model_options={"t5xxl_model_config": config, "dtype": torch.float32})
        with torch.inference_mode(False), torch.no_grad():
            for index, (name, tensor) in enumerate(made.cond_stage_model.state_dict().items()):
                tensor.copy_(_random(name, tensor, 2000 + index))
        _models["clip", width] = made
    return _models["clip", width]
