"""Tiny networks, and adapters for them."""

import pytest
import torch
from tiny_backbones import tiny

from videoalign.lora.adapters import LoraWeights
from videoalign.lora.module_names import ModuleNames


@pytest.fixture
def wan():
    return tiny("wan-t2v")


@pytest.fixture
def random_lora():
    """Random A and B for the layers ``names`` of a backbone (its LoRA targets by default)."""

    def make(backbone, names=None, rank=3, alpha=7.5) -> dict[str, LoraWeights]:
        features = ModuleNames(backbone).features
        generator = torch.Generator().manual_seed(5)
        made = {}
        for name in names or backbone.lora_targets():
            width, height = features[name]
            down, up = torch.randn(rank, width, generator=generator), torch.randn(height, rank, generator=generator)
            made[name] = LoraWeights(down, up, alpha)
        return made

    return make


@pytest.fixture
def same():
    """Assert that two LoRAs are equal bit for bit."""

    def check(found, expected):
        assert set(found) == set(expected)
        for name, own in expected.items():
            assert torch.equal(found[name].A, own.A), name
            assert torch.equal(found[name].B, own.B), name
            assert found[name].alpha == own.alpha, name

    return check
