"""The trainer knows no backbone: one step of Flow-DPO on each family, with every way to save memory."""

import math

import pytest
import torch
from tiny_backbones import CONFIGS, inputs, tiny

from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.config import LoraOptions
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.frozen_weights import store_frozen
from videoalign.training.flow.method import NoisedClips
from videoalign.training.flow.methods.dpo import DpoOptions, FlowDpo


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_step_starts_at_ln_2_and_moves_the_adapter_alone(kind):
    backbone, targets = tiny(kind), "attention" if kind.startswith("wan-") else "attention+ffn"
    clean, sigma, conditioning = inputs(backbone, batch=1, size=(2, 4, 4))
    store_frozen(backbone, "float8" if targets == "attention+ffn" else "plain", offload=True)
    add_adapter(backbone, LoraOptions(rank=2, alpha=4, targets=targets), seed=0)
    backbone.module.enable_gradient_checkpointing()
    before = {name: tensor.clone() for name, tensor in backbone.module.named_parameters()}
    own = {name: value for name, value in conditioning.items() if name != "guidance"}  # told by the module
    clips = {"chosen": clean, "rejected": clean + torch.randn(clean.shape)}
    batch = NoisedClips(clips, torch.randn(clean.shape), sigma, own, torch.ones(1), torch.ones(1))
    module = FlowModule(backbone, FlowDpo(DpoOptions(beta=50.0)), bins=5, fps=24.0)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss, measures = module([batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < losses[0]
    assert measures["accuracy"] == (1.0, 1.0)
    for name, tensor in backbone.module.named_parameters():
        assert torch.equal(tensor, before[name]) or "lora_" in name, name
    moved = [name for name, tensor in backbone.module.named_parameters() if not torch.equal(tensor, before[name])]
    assert len({name.split(".lora_")[0] for name in moved}) == len(backbone.lora_targets(ffn=targets != "attention"))
