"""A video model ready to sample: backbone, VAE and text encoder, with LoRAs merged and reward guidance attached."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..backbones.experts import expert_of, noise_range
from ..errors import VideoAlignError
from ..lora.merging import lora_and_strength, merge_lora
from .model_files import MICRO, image_encoder_file, model_files

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone
    from ..backbones.fewer_bits import FewerBits
    from ..backbones.image_encoder import ImageEncoder
    from ..backbones.vae import VAE
    from ..reward.latent.latent_reward import LatentReward


@dataclass(frozen=True)
class Pipeline:
    """What ``backbones.sampling.generate`` needs.

    Attributes:
        backbone, vae, text_encoder: of one model.
        image_encoder: of an image-to-video model that sees its image through CLIP, else None.
        name: for manifests.
    """

    backbone: Backbone
    vae: VAE
    text_encoder: Any
    name: str
    image_encoder: ImageEncoder | None = None


def load_pipeline(
    model: str,
    vae: str | None = None,
    text_encoder: str | None = None,
    loras: list[str] | None = None,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    image_encoder: str | None = None,
    text_bits: FewerBits | None = None,
) -> Pipeline:
    """Load a model for sampling.

    Args:
        image_encoder: file or folder; by default the one of the model's diffusers folder. Read only where the network needs it.
        text_bits: the matrices of the text encoder are kept in 8 or 4 bits.
        loras: "file.safetensors" or "file.safetensors:0.8"; merged into the network in this order.
        dtype: of the network; by default what the device is fast in (``network_dtype``).

    Raises:
        VideoAlignError: a part is missing, damaged or does not fit; the message names it.
    """
    from ..backbones.devices import check_dtype
    from ..backbones.image_encoder import load_image_encoder
    from ..backbones.loading import load_backbone
    from ..backbones.text_loading import load_text_encoder
    from ..backbones.vae_loading import load_vae

    network_file, vae_file, text_file = model_files(model, vae, text_encoder)
    place = torch.device(device)
    dtype = dtype or network_dtype(network_file, place)
    check_dtype(place, dtype, "the network")
    backbone = load_backbone(network_file, dtype=dtype, device=device)
    expert = None if backbone.expert_boundary is None else expert_of(network_file)
    for entry in loras or []:
        file, strength = lora_and_strength(entry)
        merge_lora(backbone, file, strength, expert)
    if expert is not None:
        low, high = noise_range(expert, backbone.expert_boundary)
        print(
            f"{network_file} is the {expert} expert of {backbone.family.title} 2.2 by its name, made for noise levels {low:g} to {high:g}; "
            "here it samples alone, at all levels. Look at its clips with that in mind.",
            file=sys.stderr,
        )
    name = model if model == MICRO else Path(network_file).stem
    clip = None
    if "image_embeds" in backbone.needs:
        file = image_encoder_file(model, image_encoder)
        if file is None:
            raise VideoAlignError(
                f"{model} sees its image through CLIP too; give --image-encoder clip_vision_h.safetensors (ComfyUI's file), or "
                "the folder image_encoder of its diffusers pipeline."
            )
        clip = load_image_encoder(file, device=device)
    vae, texts = load_vae(vae_file, device=device), load_text_encoder(text_file, device=device, bits=text_bits)
    return Pipeline(backbone, vae, texts, name, clip)


def network_dtype(file: str | Path, device: torch.device | str) -> torch.dtype:
    """The type that a network computes in on this device where nobody says; its weights are not read.

    Raises:
        WeightsError: it cannot be read.
    """
    from ..backbones.devices import arithmetic_of
    from ..backbones.loading import describe_backbone

    return arithmetic_of(describe_backbone(file).dtype, device)


def fitting_reward(file: str, device: str, backbone: Backbone) -> LatentReward:
    """A latent reward model for this network's latents.

    Args:
        file: or "micro", the embedded one.

    Raises:
        VideoAlignError: it cannot be read, or is for other latents.
    """
    from ..reward.latent.reward_file import load_latent_reward

    path = reward_path(file)
    latent_reward = load_latent_reward(path, device=device)
    trained_on, needed = latent_reward.trunk.latent_format, backbone.latent_format
    if trained_on != needed:
        raise VideoAlignError(
            f"latent reward {path.name} was trained on {trained_on.name} latents ({trained_on.channels} channels); this model samples "
            f"{needed.name} latents ({needed.channels} channels). Choose a latent reward of the model's family."
        )
    return latent_reward


def reward_path(file: str) -> Path:
    """The file of a latent reward model; "micro" is the embedded one."""
    from ..reward.settings import EMBEDDED_LATENT_FILE

    return EMBEDDED_LATENT_FILE if file == MICRO else Path(file)


def reward_guidance(file: str, settings: Any, device: str, backbone: Backbone) -> Callable:
    """Makes the sampler's hook of each batch from its conditioning, steered by a latent reward model.

    Raises:
        VideoAlignError: see ``fitting_reward``.
    """
    from ..backbones.devices import total_memory
    from ..guidance.flow_nrg import FlowNRG
    from ..reward.latent.gradient_memory import fit_gradient

    latent_reward = fitting_reward(file, device, backbone)

    def rewards(x_t, sigma, told, counted):
        if memory := total_memory(x_t.device):
            fit_gradient(latent_reward, x_t.shape, memory)
        return latent_reward.rewards(x_t, sigma, told, counted)

    nrg = FlowNRG(rewards, settings, latent_reward.calibration)

    return lambda conditioning: nrg.begin().hook(conditioning)
