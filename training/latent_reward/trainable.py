"""Which weights of a latent reward are trained, at what rate, and what they are when adapters are merged."""

from __future__ import annotations

import torch
from torch import nn

from ...backbones.backbone import Backbone
from ...backbones.devices import fast_dtype
from ...backbones.loading import load_backbone
from ...reward.latent.heads import HeadConfig
from ...reward.latent.latent_reward import LatentReward, block_count
from ..loop.processes import process_state
from .config import Config, ModelConfig, OptimizerConfig
from .pairs import LatentPairBatch


def load_trunk(model: ModelConfig) -> Backbone:
    """The first blocks of the video model; in float32 where they are trained themselves, in the type that the device is fast in
    where they are not trained at all.

    Raises:
        VideoAlignError: the model cannot be read, or has fewer blocks than are asked for.
    """
    blocks = model.blocks or block_count(load_backbone(model.trunk, num_blocks=1).total_blocks, model.block_share)
    trained = None if model.lora else torch.float32
    dtype = fast_dtype(process_state().device) if model.freeze_trunk else trained
    return load_backbone(model.trunk, dtype=dtype, num_blocks=blocks)


def build_trainable(config: Config, trunk: Backbone, example: LatentPairBatch) -> LatentReward:
    """A latent reward on a trunk: heads trained, the trunk trained whole, by LoRA, or not.

    Heads (and LoRA) start from random numbers that depend on ``config.seed`` alone. Of the trunk's weights those are
    trained that a reward depends on, which a small piece of the ``example`` shows: not the output layers, nor what only
    serves the text tokens of the last block.
    """
    reward = with_trained_parts(config, trunk)
    freeze_idle(reward, example)
    if config.model.gradient_checkpointing:
        reward.network.enable_gradient_checkpointing()
    return reward


def with_trained_parts(config: Config, trunk: Backbone) -> LatentReward:
    """A trunk with heads, and what the options train; see ``build_trainable``."""
    torch.manual_seed(config.seed)
    model = config.model
    reward = LatentReward(trunk, HeadConfig(model.head, model.head_width))
    if model.lora:
        _add_lora(reward, model)
    elif not model.freeze_trunk:
        reward.network.requires_grad_(True)
    for parameter in reward.parameters():
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
    return reward


def freeze_idle(reward: LatentReward, example: LatentPairBatch) -> None:
    """Weights without a gradient would stall several processes, which wait for each other's."""
    x_t = example.latents[:1, :, :2, :4, :4]
    conditioning = {
        name: value[:1, :, :2, :4, :4] if name == "image_latents" else value[:1]
        for name, value in example.conditioning.items()
    }
    trained = [parameter for parameter in reward.parameters() if parameter.requires_grad]
    total = reward(x_t, example.sigma[:1], conditioning).sum()
    for parameter, gradient in zip(trained, torch.autograd.grad(total, trained, allow_unused=True), strict=True):
        if gradient is None:
            parameter.requires_grad_(False)


def _add_lora(reward: LatentReward, model: ModelConfig) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    settings = LoraConfig(
        r=model.lora_rank,
        lora_alpha=model.lora_alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=reward.trunk.lora_targets(),
    )
    inject_adapter_in_model(settings, reward.network)


def parameter_groups(reward: LatentReward, rates: OptimizerConfig) -> list[dict]:
    """Groups for AdamW: trunk and heads, each with weight decay for matrices and without for biases and norms."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in reward.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = (rates.head_lr or rates.learning_rate) if name.startswith("heads.") else rates.learning_rate
        decay = rates.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": parameters, "lr": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()]


def merged_state(reward: LatentReward) -> dict[str, torch.Tensor]:
    """The weights under the names of a ``LatentReward`` without adapters, adapters merged in float32; all are copies.

    peft's own merging adds in the type of the base weights, in place: in bfloat16 it would round most of a small update away.
    """
    from peft.tuners.lora import LoraLayer

    state = {}
    adapted = {name: module for name, module in reward.named_modules() if isinstance(module, LoraLayer)}
    for name, tensor in reward.state_dict().items():
        holder, _, last = name.rpartition(".base_layer.")
        if holder in adapted:
            value = tensor.detach()
            if last == "weight":
                value = value.float() + adapted[holder].get_delta_weight("default").detach().float()
            state[f"{holder}.{last}"] = value.clone()
        elif not any(part.startswith("lora_") for part in name.split(".")):
            state[name] = tensor.detach().clone()
    return state
