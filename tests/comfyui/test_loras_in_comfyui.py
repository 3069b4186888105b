"""LoRA files in the real ComfyUI: every key has an effect, and strength 1 is what was trained."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from comfyui_versions import versions_that_ran
from safetensors.torch import load_file, save_file
from tiny_backbones import inputs, original_state, save_single, tiny

from videoalign.lora.comfyui_folder import expert_path
from videoalign.lora.inspection import inspect_lora
from videoalign.lora.writing import save_lora

pytestmark = pytest.mark.comfyui
RANK, ALPHA = 4, 10.0
# Which tiny network stands for it, the seed of its weights, and whether its MLPs are trained too.
KINDS = {
    "wan2.1-t2v": ("wan-t2v", 0, True),
    "wan2.1-i2v": ("wan-i2v", 0, True),
    "wan2.2-ti2v-5b": ("wan22-ti2v", 0, False),
    "wan2.2-t2v-a14b_high_noise": ("wan-t2v", 1, True),
    "wan2.2-t2v-a14b_low_noise": ("wan-t2v", 2, True),
    "wan2.2-i2v-a14b_high_noise": ("wan22-i2v", 1, False),
    "hunyuan-video": ("hunyuan-video", 0, False),  # the MLP's rows of the fused layers stay zero
    "hunyuan-video-i2v": ("hunyuan-video-i2v", 0, True),
    "hunyuan-video-1.5": ("hunyuan-video-1.5", 0, True),
    "ltx-video": ("ltx-video", 0, True),
    "ltx-2": ("ltx-2", 0, True),
    "ltx-2.3": ("ltx-2.3", 0, False),
}
# Conditioning entries -> arguments of ComfyUI's apply_model.
ARGUMENTS = {
    "text": "c_crossattn", "image_latents": "c_concat", "image_embeds": "clip_fea", "pooled": "y", "guidance": "guidance",
    "glyphs": "txt_byt5",
}  # fmt: skip


class Trained(NamedTuple):
    """A training-time network's velocities, and what it wrote."""

    plain: torch.Tensor
    adapted: torch.Tensor
    lora: Path
    tensors: dict[str, torch.Tensor]


class InComfyUI(NamedTuple):
    """The same in ComfyUI."""

    plain: torch.Tensor
    patched: torch.Tensor
    patches: list[str]
    warnings: list[str]


def with_random_adapters(backbone, targets):
    """The backbone's network with peft adapters whose A and B are both random."""
    import peft

    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets)
    module = peft.inject_adapter_in_model(config, backbone.module)
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if ".lora_" in name:
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return module


def name_in_files(key: str) -> str:
    """A tensor's name as HunyuanVideo's files have it where ComfyUI's versions differ in their own name for it."""
    for norm in ("query", "key"):
        key = key.replace(f"_attn.norm.{norm}_norm.weight", f"_attn_{norm[0]}_norm.weight")
        key = key.replace(f".norm.{norm}_norm.weight", f".{norm[0]}_norm.weight")
    return key


def train(kind, folder) -> tuple[Trained, dict]:
    """A tiny network with a "trained" LoRA, and the job for ComfyUI."""
    network, seed, ffn = KINDS[kind]
    backbone = tiny(network, seed)
    model = folder / f"{kind}.safetensors"
    if backbone.name == "ltx-2":
        save_single(backbone, model)
    else:
        save_file({name_in_files(key): tensor for key, tensor in original_state(backbone).items()}, model)
    x, sigma, conditioning = inputs(backbone, size=(3, 4, 6))
    with torch.no_grad():
        plain = backbone.velocity(x, sigma, conditioning)
        with_random_adapters(backbone, backbone.lora_targets(ffn))
        adapted = backbone.velocity(x, sigma, conditioning)
    name, _, expert = kind.partition("_")
    lora = save_lora(
        expert_path(folder / "loras" / f"{name}.safetensors", expert or None), backbone, dtype=torch.float32
    )
    given = {"x": x, "sigma": sigma} | {ARGUMENTS[key]: value.contiguous() for key, value in conditioning.items()}
    if kind.startswith("ltx"):
        given["attention_mask"] = torch.ones(conditioning["text"].shape[:2], dtype=torch.int64)
    save_file(given, folder / f"{kind}.inputs")
    job = {
        "model": model,
        "lora": lora,
        "inputs": folder / f"{kind}.inputs",
        "output": folder / f"{kind}.output",
        "strength": 1.0,
    }
    return Trained(plain, adapted, lora, load_file(lora)), {
        key: value if key == "strength" else str(value) for key, value in job.items()
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, tuple[Trained, InComfyUI]]:
    """Every kind, all in one ComfyUI process."""
    folder = tmp_path_factory.mktemp("loras_in_comfyui")
    trained, jobs = zip(*(train(kind, folder) for kind in KINDS), strict=True)
    (folder / "jobs.json").write_text(json.dumps(jobs))
    script = Path(__file__).with_name("lora_jobs.py")
    done = subprocess.run(
        [os.environ.get("COMFYUI_PYTHON", sys.executable), str(script), str(Path(os.environ["COMFYUI_PATH"]).resolve()),
         str(folder / "jobs.json")],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    versions_that_ran.add(answer["version"])
    found = {}
    for kind, own, job, result in zip(KINDS, trained, jobs, answer["results"], strict=True):
        assert "error" not in result, f"{kind}: {result['error']}"
        output = load_file(job["output"])
        found[kind] = own, InComfyUI(output["plain"], output["patched"], result["patches"], result["warnings"])
    return found


def relative(value, reference) -> float:
    """The largest difference, relative to the reference's largest value."""
    return ((value - reference).abs().max() / reference.abs().max()).item()


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_the_file_patches_a_weight(outcomes, kind):
    trained, comfyui = outcomes[kind]
    stems = {key.rsplit(".lora_A.weight", 1)[0] for key in trained.tensors if key.endswith(".lora_A.weight")}
    assert set(comfyui.patches) == {f"{stem}.weight" for stem in stems}
    assert set(trained.tensors) == {
        f"{stem}.{part}"
        for stem in stems
        for part in ("lora_A.weight", "lora_B.weight", *([] if kind.startswith("ltx-2") else ["alpha"]))
    }
    assert not [text for text in comfyui.warnings if "lora" in text.lower()]


@pytest.mark.parametrize("kind", KINDS)
def test_strength_one_is_what_was_trained(outcomes, kind, record_property):
    trained, comfyui = outcomes[kind]
    assert relative(comfyui.plain, trained.plain) < 1e-4
    assert relative(trained.adapted, trained.plain) > 0.05, "the adapter must matter"
    difference = relative(comfyui.patched, trained.adapted)
    record_property("relative_difference", difference)
    print(f"{kind}: {difference:.1e}")
    assert difference < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_inspection_foretells_what_comfyui_applies(outcomes, kind):
    trained, comfyui = outcomes[kind]
    found = inspect_lora(trained.lora, trained.lora.parents[1] / f"{kind}.safetensors")
    assert (found.matched, found.unmatched, found.family) == (
        len(trained.tensors),
        [],
        kind.split("2.")[0] if kind.startswith("wan") else kind.removesuffix("-i2v").removesuffix(".3"),
    )
    assert inspect_lora(trained.lora).unmatched == []
    assert found.modules == len(comfyui.patches)


def test_the_experts_of_wan_22_are_two_files_with_effects_of_their_own(outcomes):
    high, low = outcomes["wan2.2-t2v-a14b_high_noise"], outcomes["wan2.2-t2v-a14b_low_noise"]
    assert (high[0].lora.name, low[0].lora.name) == (
        "wan2.2-t2v-a14b_high_noise.safetensors",
        "wan2.2-t2v-a14b_low_noise.safetensors",
    )
    assert not torch.allclose(high[1].patched, low[1].patched)
