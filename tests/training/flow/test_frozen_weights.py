"""Frozen weights in 8 or 4 bits or in main memory: the same network and the same gradients."""

import sys

import pytest
import torch
from tiny_wan import noised, tiny_wan
from torch import nn

from videoalign.backbones.frozen_linear import FrozenLinear
from videoalign.backbones.stored_weights import bitsandbytes_for, quantised
from videoalign.errors import VideoAlignError
from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.config import LoraOptions
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.frozen_weights import store_frozen
from videoalign.training.flow.methods.sft import FlowSft, SftOptions

TABLE = torch.tensor(
    [
        -1.0,
        -0.6961928,
        -0.52507305,
        -0.39491749,
        -0.28444138,
        -0.18477343,
        -0.09105004,
        0.0,
        0.07958030,
        0.16093020,
        0.24611230,
        0.33791524,
        0.44070983,
        0.56261700,
        0.72295684,
        1.0,
    ]
)  # fmt: skip  (QLoRA, arXiv 2305.14314, appendix E)
WITHOUT_BITSANDBYTES = "4-bit weights need bitsandbytes, which is not installed"


@pytest.fixture
def functional():
    return pytest.importorskip("bitsandbytes.functional", reason=WITHOUT_BITSANDBYTES)


@pytest.fixture(params=["plain", "float8", "nf4"])
def form(request):
    if request.param == "nf4":
        request.getfixturevalue("functional")
    return request.param


def weights_of(module):
    """Every number that the frozen matrices are kept in, by name."""
    found = {}
    for name, layer in module.named_modules():
        if isinstance(layer, FrozenLinear):
            own = {**vars(layer.stored), **dict(layer.stored.named_buffers())}
            found |= {f"{name}.{key}": value.clone() for key, value in own.items() if isinstance(value, torch.Tensor)}
    return found


def test_a_quantised_matrix_is_itself_to_within_the_step_of_eight_bits():
    weight = torch.randn(32, 48, generator=torch.Generator().manual_seed(0)) * torch.logspace(-4, 1, 32)[:, None]
    stored, scale = quantised(weight)
    assert stored.dtype == torch.float8_e4m3fn
    error = (stored.float() * scale - weight).abs().amax(1) / weight.abs().amax(1)
    assert error.max() < 1 / 16  # half a step of 3 mantissa bits


@pytest.mark.parametrize("offload", [False, True])
def test_output_and_gradient_are_those_of_a_linear_layer_with_that_weight(form, offload):
    torch.manual_seed(0)
    layer = nn.Linear(24, 16)
    frozen = FrozenLinear(layer, form, offload)
    plain = nn.Linear(24, 16)
    with torch.no_grad():
        plain.weight.copy_(frozen.weight)
        plain.bias.copy_(layer.bias)
    x = torch.randn(3, 5, 24)
    gradients = []
    for module in (plain, frozen):
        own = x.clone().requires_grad_()
        output = module(own)
        (output**2).sum().backward()
        gradients.append((output.detach(), own.grad))
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-6)
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-5)
    assert (frozen.stored.values.element_size() == 1) == (form != "plain")
    assert (not list(frozen.stored.buffers())) == offload


@pytest.mark.parametrize("shape", [(32, 48), (15, 22)])  # the last block of 64 is whole, or short
def test_nf4_is_the_table_of_the_paper_times_the_largest_of_64_weights(functional, shape):
    """By hand from the 16 values, whose scales are rounded to 8 bits once more."""
    layer = nn.Linear(shape[1], shape[0])
    weight = layer.weight.detach().clone()
    stored = FrozenLinear(layer, "nf4", offload=False).stored
    codes = stored.values.flatten()
    codes = torch.stack([codes >> 4, codes & 15], 1).flatten()[: weight.numel()].long()
    largest = torch.cat([block.abs().max().expand(len(block)) for block in weight.flatten().split(64)])
    nearest = (weight.flatten()[:, None] / largest[:, None] - TABLE).abs().argmin(1)
    assert (codes == nearest).float().mean() > 0.999  # a tie may go either way
    restored = stored.full(torch.device("cpu"))
    assert (restored.flatten() - TABLE[codes] * largest).abs().max() < 0.02 * largest.max()
    assert (restored - weight).norm() < 0.12 * weight.norm()


def avx512_dequantize_4bit(functional, table):
    """What bitsandbytes 0.50.2 computes on a processor with AVX-512 (csrc/cpu_ops.cpp), in torch.

    It takes the scales of row i from i * (columns // block) on, which is right where a row is a whole number of blocks.
    """

    def dequantize_4bit(values, state):
        scales = functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
        rows, columns = (1, *state.shape)[-2:]
        codes = torch.stack([values.flatten() >> 4, values.flatten() & 15], 1).flatten()[: rows * columns].long()
        row, column = torch.arange(rows)[:, None], torch.arange(columns)
        block = row * (columns // state.blocksize) + column // state.blocksize
        return (table[codes].view(rows, columns) * scales[block]).view(state.shape).to(state.dtype)

    return dequantize_4bit


@pytest.mark.parametrize("shape", [(32, 48), (16, 24), (8, 128), (3, 64), (5, 6)])
def test_nf4_is_the_same_by_the_kernel_of_a_processor_with_avx512(functional, monkeypatch, shape):
    torch.manual_seed(0)
    layer = nn.Linear(shape[1], shape[0])
    with torch.no_grad():
        layer.weight.mul_(torch.logspace(-2, 0, layer.weight.numel()).view_as(layer.weight))  # no two scales alike
    stored = FrozenLinear(layer, "nf4", offload=False).stored
    expected = stored.full(torch.device("cpu"))
    monkeypatch.setattr(functional, "dequantize_4bit", avx512_dequantize_4bit(functional, TABLE))
    assert torch.allclose(stored.full(torch.device("cpu")), expected, rtol=1e-6, atol=0)


def test_nf4_computes_what_bitsandbytes_own_layer_computes(functional):
    from bitsandbytes.nn import Linear4bit

    torch.manual_seed(0)
    layer = nn.Linear(128, 64).bfloat16()
    theirs = Linear4bit(128, 64, compute_dtype=torch.bfloat16, compress_statistics=True, quant_type="nf4")
    theirs.load_state_dict(layer.state_dict())
    theirs = theirs.to("cpu")
    theirs.weight = theirs.weight._quantize(torch.device("cpu")) if not theirs.weight.bnb_quantized else theirs.weight
    ours = FrozenLinear(layer, "nf4", offload=True)
    x, results = torch.randn(7, 128).bfloat16(), []
    for module in (theirs, ours):
        own = x.clone().requires_grad_()
        output = module(own)
        output.float().square().sum().backward()
        results.append((output.detach().float(), own.grad.float()))
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(found, expected, rtol=1e-2, atol=1e-2 * expected.abs().max().item())


def test_nf4_takes_little_more_than_half_a_byte_a_weight(functional):
    stored = FrozenLinear(nn.Linear(512, 512).bfloat16(), "nf4", offload=False).stored
    assert stored.nbytes < 0.53 * 512 * 512


def test_without_bitsandbytes_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(VideoAlignError, match=r"memory\.base_dtype = nf4 needs bitsandbytes: pip install bitsandbytes"):
        bitsandbytes_for("memory.base_dtype = nf4")


def test_the_adapters_gradient_on_a_video_network_stays_the_same_and_the_base_to_the_last_bit(form):
    tolerance, gradients = {"plain": 1e-5, "float8": 0.35, "nf4": 0.7}[form], []
    for stored in (False, True):
        backbone = tiny_wan(lora=False)
        if stored:
            store_frozen(backbone, form, offload=form != "float8")
        backbone.module.enable_gradient_checkpointing()
        add_adapter(backbone, LoraOptions(rank=4, alpha=8), seed=0)
        before = weights_of(backbone.module)
        loss, _ = FlowModule(backbone, FlowSft(SftOptions()), 5, 16.0)([noised(2, sides=("chosen",))])
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in backbone.module.parameters() if p.requires_grad]))
    assert (gradients[1] - gradients[0]).norm() < tolerance * gradients[0].norm()
    after = weights_of(backbone.module)
    assert len(before) >= 20
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_run_on_4_bit_weights_learns_resumes_bit_for_bit_and_leaves_the_base_alone(functional, options, train):
    from videoalign.training.loop.state_files import newest_state

    own = {"memory": {"base_dtype": "nf4", "offload_blocks": True}, "optimizer": {"learning_rate": 3e-3}}
    whole, parts = options("whole", **own), options("parts", **own)
    expected, untrained = weights_of(train(whole).module), tiny_wan(lora=False)
    untrained.module.bfloat16()
    store_frozen(untrained, "nf4", offload=True)
    base = {f"network.{name}": value for name, value in weights_of(untrained.module).items()}
    assert {name.replace(".base_layer", ""): value.shape for name, value in expected.items()} == {
        name: value.shape for name, value in base.items()
    }
    assert all(torch.equal(value, base[name.replace(".base_layer", "")]) for name, value in expected.items())
    train(parts, steps=3)
    train(parts)
    weights = [newest_state(config.output / "checkpoints")["weights"] for config in (whole, parts)]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())
    assert any(value.any() for name, value in weights[0].items() if "lora_B" in name)
