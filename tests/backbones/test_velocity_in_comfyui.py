"""Our velocity is that of the real ComfyUI's network on the same file: names, shapes and all conventions of time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_backbones import CONFIGS, inputs, original_state, save_scaled_fp8, save_single, tencent_name, tiny

from videoalign.backbones.loading import load_backbone

pytestmark = pytest.mark.comfyui

HERE = Path(__file__).parent


CASES = [
    *CONFIGS,
    "wan-fp8",
    "wan-scale_weight",
    "wan-comfy_quant",
    "hunyuan-tencent",
    "ltx-masked",
    "ltx-30fps",
    "wan-odd",
    "hunyuan-video-1.5-unquoted",
    "hunyuan-video-1.5-pictured",
    "hunyuan-video-1.5-fp8",
    "hunyuan-video-1.5-comfy_quant",
    "ltx-2-fp8",
    "ltx-2-scale_weight",
    "ltx-2.3-comfy_quant",
    "ltx-2.3-24fps",
    "ltx-video-first_frame",
    "ltx-video-causal-first_frame",
    "ltx-2-first_frame",
    "ltx-2.3-first_frame",
    "ltx-2.3-noise_mask",
    "ltx-video-noise_mask",
]
FP8 = ("scale_weight", "comfy_quant")


def network_of(case: str):
    """The tiny network that a case is about."""
    if case in CONFIGS:
        return tiny(case)
    first, _, _ = case.rpartition("-")
    return tiny(
        first if first in CONFIGS else {"hunyuan": "hunyuan-video", "ltx": "ltx-video", "wan": "wan-t2v"}[first]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every case's file and inputs, with the velocities that ComfyUI computes from them."""
    folder = tmp_path_factory.mktemp("velocities")
    (folder / "inputs").mkdir()
    for case in CASES:
        path = folder / f"{case}.safetensors"
        network = network_of(case)
        x_t, sigma, conditioning = inputs(network, size=(3, 7, 5) if case == "wan-odd" else (3, 8, 6))
        if case.endswith("-fp8"):
            save_single(network, path, torch.float8_e4m3fn)
        elif case.endswith(FP8):
            save_scaled_fp8(network, path, case.rpartition("-")[2])
        elif case == "hunyuan-tencent":
            save_file({tencent_name(key): own for key, own in original_state(network).items()}, path)
        else:
            save_single(network, path)
        if case.endswith("-unquoted"):
            del conditioning["glyphs"]
        if case.endswith("-pictured"):
            conditioning["image_latents"] = torch.randn(2, 33, *x_t.shape[2:])
            conditioning["image_embeds"] = torch.randn(2, 9, 1152)
        if case == "ltx-masked":
            conditioning["text_mask"] = (torch.arange(7) < torch.tensor([[7], [4]])).long()
        if case.endswith("-first_frame"):
            conditioning["first_frame"] = torch.randn(2, 128, 1, *x_t.shape[3:])
        if case.endswith("-noise_mask"):
            conditioning["noise_mask"] = torch.rand(2, 1, *x_t.shape[2:])
        if case.endswith("fps"):
            conditioning["frame_rate"] = torch.full((2,), float(case.rpartition("-")[2].removesuffix("fps")))
        save_file({"x_t": x_t, "sigma": sigma, **conditioning}, folder / "inputs" / path.name)
    tree = os.environ["COMFYUI_PATH"]
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    done = subprocess.run(
        [python, HERE / "comfyui_velocities.py", tree, folder], capture_output=True, text=True, timeout=900
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("case", CASES)
def test_the_velocity_is_comfyuis(case, folder):
    with safe_open(folder / "velocities" / f"{case}.safetensors", "pt") as file:
        theirs, complaints = file.get_tensor("velocity"), file.metadata()["complaints"]
    lines = [line for line in complaints.splitlines() if not line.endswith(": []")]
    assert not lines, "ComfyUI's loader missed or did not know tensors"
    with safe_open(folder / "inputs" / f"{case}.safetensors", "pt") as file:
        given = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    network = load_backbone(folder / f"{case}.safetensors", dtype=torch.float32)
    ours = network.velocity(given.pop("x_t"), given.pop("sigma"), given)
    # LTX-2: to the mean square of queries and keys ComfyUI adds 1e-5, the authors and diffusers 1e-6, which changes them by
    # 4.5e-6; sums of 128 products are off by sqrt(128) 2^-24 = 7e-7, and about ten of them follow one another.
    # HunyuanVideo 1.5: the same layers with the same constants, so that only the roundings are left.
    tolerance = 1e-5 if case.startswith(("ltx-2", "hunyuan-video-1.5")) else 1e-4
    assert (ours - theirs).abs().max() < tolerance * theirs.abs().max()
