"""Networks on the meta device: no content in what is stored, the true tables in what is computed, and no compiler imported."""

import subprocess
import sys

import pytest
import torch
from tiny_backbones import CONFIGS, tiny

from videoalign.backbones.families import backbone_classes
from videoalign.backbones.meta_device import on_meta


def test_what_is_stored_has_no_content_and_tables_are_those_of_the_cpu():
    with on_meta():
        layer = torch.nn.Linear(3, 4)
        random, table = torch.randn(2, 3) / 7**0.5, torch.arange(0, 6, 2) / 6
        there = torch.arange(3, device="meta")
    assert layer.weight.is_meta and random.is_meta and random.shape == (2, 3) and there.is_meta
    assert torch.equal(table, torch.arange(0, 6, 2) / 6)
    assert not torch.randn(2).is_meta and not torch.nn.Linear(1, 1).weight.is_meta


@pytest.mark.parametrize("name", CONFIGS)
def test_a_network_of_every_family_is_the_one_that_is_built_with_content(name):
    real = tiny(name)
    with on_meta():
        bare = backbone_classes()[real.name].build_module(real.config)
    assert {key: value.shape for key, value in bare.state_dict().items()} == {
        key: value.shape for key, value in real.module.state_dict().items()
    }
    assert all(weight.is_meta for weight in bare.parameters())
    for (key, table), (other, expected) in zip(bare.named_buffers(), real.module.named_buffers(), strict=True):
        assert key == other and torch.equal(table, expected), key


def test_nothing_of_the_compiler_is_imported():
    code = (
        "import sys\nfrom videoalign.backbones.diffusers_start import import_networks_alone\nimport_networks_alone()\n"
        "from videoalign.backbones.loading import describe_backbone\nfrom videoalign.backbones.vae_loading import describe_vae\n"
        "from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE\n"
        "describe_backbone(MICRO_NETWORK, whole=True), describe_vae(MICRO_VAE)\n"
        "assert not {'sympy', 'torch._dynamo', 'torch.fx.experimental.symbolic_shapes'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
