"""ComfyUI's NVFP4 files: what is read is what its own package makes of them, alone and in Gemma's file."""

import json

import pytest
import tiny_gemma
import torch
from safetensors.torch import load_file, save_file

from videoalign.backbones.nvfp4 import from_nvfp4, in_rows
from videoalign.backbones.text_loading import load_text_encoder
from videoalign.backbones.weight_files import WeightFiles
from videoalign.errors import WeightsError
from videoalign.planning.encoding import text_encoder_bytes


def in_tiles(scales):
    """Scales [rows, blocks] in the order that cuBLAS describes: the offset of each is written out."""
    rows, blocks = scales.shape
    width = -(-blocks // 4)
    flat = torch.zeros(-(-rows // 128) * width * 512)
    for row in range(rows):
        for block in range(blocks):
            tile = (row // 128) * width + block // 4
            flat[tile * 512 + (row % 32) * 16 + (row % 128) // 32 * 4 + block % 4] = scales[row, block]
    return flat


@pytest.mark.parametrize(("rows", "blocks"), [(16, 1), (160, 5), (128, 4), (300, 9)])
def test_scales_come_back_in_their_rows(rows, blocks):
    scales = torch.rand(rows, blocks)
    assert torch.equal(in_rows(in_tiles(scales), rows, blocks), scales)


def test_numbers_are_sign_exponent_and_mantissa_the_earlier_in_the_high_half():
    codes = torch.arange(16, dtype=torch.uint8)
    meant = []
    for code in codes.tolist():  # E2M1: bias 1, subnormal where the exponent is 0
        exponent, mantissa = code >> 1 & 3, code & 1
        size = mantissa / 2 if exponent == 0 else (1 + mantissa / 2) * 2 ** (exponent - 1)
        meant.append(-size if code & 8 else size)
    values = (codes[0::2] << 4 | codes[1::2])[None].repeat(16, 1)
    scales = torch.arange(1.0, 17.0)[:, None]
    found = from_nvfp4(values, in_tiles(scales), torch.tensor(0.5))
    assert torch.equal(found, torch.tensor(meant) * scales * 0.5)


def quantised(weight):
    """(bytes, scales of blocks, scale) by ComfyUI's package, and what it makes of them."""
    kitchen = pytest.importorskip("comfy_kitchen")
    scale = weight.abs().max() / (448 * 6)
    values, blocks = kitchen.quantize_nvfp4(weight, scale)
    return values, blocks, scale, kitchen.dequantize_nvfp4(values, scale, blocks, torch.float32)


@pytest.mark.parametrize("shape", [(32, 48), (256, 64), (144, 208)])
def test_a_matrix_is_that_of_comfyuis_package(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values, blocks, scale, meant = quantised(weight)
    found = from_nvfp4(values, blocks, scale)
    assert (found - meant).abs().max() <= 2**-22 * meant.abs().max()  # two products, rounded in either order
    assert torch.equal(from_nvfp4(values, blocks.view(torch.uint8), scale), found)  # as older files hold them
    assert (found - weight).norm() < 0.15 * weight.norm()


def in_fp4(path):
    """Gemma's file with the matrices of its layers in fp4, and some in fp8, as ComfyUI's mixed file; and what it means."""
    state, meant = {}, {}
    for name, tensor in load_file(path).items():
        state[name] = meant[name] = tensor
        if tensor.ndim != 2 or "layers." not in name:
            continue
        module, form = name.removesuffix(".weight"), "nvfp4"
        if "o_proj" in name:
            form, scale = "float8_e4m3fn", tensor.abs().max() / 448
            state[name], state[f"{module}.weight_scale"] = (tensor / scale).to(torch.float8_e4m3fn), scale
            meant[name] = state[name].float() * scale
        else:
            values, blocks, scale, meant[name] = quantised(tensor)
            state |= {name: values, f"{module}.weight_scale": blocks, f"{module}.weight_scale_2": scale}
        note = json.dumps({"format": form}).encode()
        state[f"{module}.comfy_quant"] = torch.tensor(list(note), dtype=torch.uint8)
    return state, meant


def test_gemmas_mixed_file_gives_the_texts_of_what_it_means(tmp_path):
    gemma, checkpoint = tiny_gemma.save_files(tmp_path, "ltx-2.3").split("+")
    state, meant = in_fp4(gemma)
    save_file(state, tmp_path / "fp4.safetensors")
    save_file(meant, tmp_path / "meant.safetensors")
    files = [f"{tmp_path / name}.safetensors+{checkpoint}" for name in ("fp4", "meant")]
    found, expected = (load_text_encoder(one, torch.float32).encode(["a cat walks"])[0]["text"] for one in files)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert text_encoder_bytes(files[0]) == text_encoder_bytes(files[1])


@pytest.mark.parametrize("damage", ["weight_scale", "weight_scale_2"])
def test_scales_that_do_not_fit_are_named(tmp_path, damage):
    values, blocks, scale, _ = quantised(torch.randn(32, 48))
    state = {"a.weight": values, "a.weight_scale": blocks, "a.weight_scale_2": scale}
    state[f"a.{damage}"] = torch.ones(3)
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"the fp4 scales of 'a\.weight' do not fit it"):
        WeightFiles([tmp_path / "x.safetensors"]).read("a.weight")
