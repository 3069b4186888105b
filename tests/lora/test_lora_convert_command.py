"""``videoalign lora convert``: the same LoRA under ComfyUI's names."""

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_backbones import save_single, tiny

from videoalign.lora.inspection import inspect_lora
from videoalign.lora.reading import load_lora


def test_a_diffusers_lora_becomes_one_that_comfyui_applies_and_adds_the_same(videoalign, random_lora, tmp_path):
    backbone = tiny("hunyuan-video")
    model = save_single(backbone, tmp_path / "model.safetensors")
    lora = random_lora(backbone)
    tensors = {
        f"transformer.{name}.lora_{part}.weight": getattr(own, part) for name, own in lora.items() for part in "AB"
    }
    theirs, ours = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    save_file(tensors, theirs, {"modelspec.title": "A title", "ss_network_dim": "99", "format": "pt"})
    assert inspect_lora(theirs).matched == 0
    command = ("lora", "convert", theirs, "--model", model, "--output", ours, "--dtype", "float32")
    assert videoalign(*command).status == 0
    assert inspect_lora(ours, model).unmatched == []
    found = load_lora(ours, backbone)
    for name, own in lora.items():
        assert torch.equal(found[name].B, own.B)
        assert found[name].scale == 1
    with safe_open(ours, "pt") as file:
        assert (file.metadata()["modelspec.title"], file.metadata()["ss_network_dim"]) == ("A title", "3")
    again = videoalign(*command)
    assert again.status == 1
    assert "exists" in again.err


def test_a_lora_of_another_model_is_refused_with_its_keys(videoalign, random_lora, tmp_path):
    model = save_single(tiny("ltx-video"), tmp_path / "model.safetensors")
    backbone = tiny("wan-t2v")
    tensors = {
        f"blocks.0.attn1.to_q.lora_{part}.weight": getattr(own, part)
        for own in random_lora(backbone, ["blocks.0.attn1.to_q"]).values()
        for part in "AB"
    }
    save_file(tensors, tmp_path / "x.safetensors")
    outcome = videoalign(
        "lora", "convert", tmp_path / "x.safetensors", "--model", model, "--output", tmp_path / "y.safetensors"
    )
    assert outcome.status == 1
    assert "fit no linear layer of ltx-video: blocks.0.attn1.to_q.lora_A.weight" in outcome.err
    assert not (tmp_path / "y.safetensors").exists()
