"""``videoalign lora convert``: the same LoRA under ComfyUI's names."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_backbones import save_single, tiny

from videoalign.errors import LoraFileError
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


def both_experts(wan, random_lora, path):
    """A file as diffusers writes it for Wan 2.2 A14B, with alphas in its metadata; and the two LoRAs."""
    high, low = random_lora(wan), random_lora(wan, rank=2)
    tensors = {
        f"{component}.{name}.lora_{part}.weight": getattr(own, part).clone()
        for component, lora in (("transformer", high), ("transformer_2", low))
        for name, own in lora.items()
        for part in "AB"
    }
    config = {"transformer.r": 3, "transformer.lora_alpha": 6, "transformer_2.r": 2, "transformer_2.lora_alpha": 8}
    save_file(tensors, path, {"format": "pt", "lora_adapter_metadata": json.dumps(config)})
    return high, low


def test_a_file_of_both_experts_becomes_two_and_is_refused_without_a_choice(videoalign, random_lora, tmp_path):
    wan = tiny("wan-t2v")
    model = save_single(wan, tmp_path / "model.safetensors")
    file = tmp_path / "both.safetensors"
    high, low = both_experts(wan, random_lora, file)
    command = ("lora", "convert", file, "--model", model, "--dtype", "float32", "--output")
    refused = videoalign(*command, tmp_path / "none.safetensors")
    assert refused.status == 1 and not (tmp_path / "none.safetensors").exists()
    assert f"{2 * len(low)} of transformer_2, the low-noise one. Say whose is wanted: --expert" in refused.err
    for expert, own, alpha in (("high_noise", high, 6), ("low_noise", low, 8)):
        assert videoalign(*command, tmp_path / f"{expert}.safetensors", "--expert", expert).status == 0
        found = load_lora(tmp_path / f"{expert}.safetensors", wan)
        assert set(found) == set(own)
        assert all(torch.equal(found[name].A, own[name].A) and found[name].alpha == alpha for name in own)
        with safe_open(tmp_path / f"{expert}.safetensors", "pt") as made:
            assert made.metadata()["videoalign.expert"] == expert
    left = videoalign(*command, tmp_path / "first.safetensors", "--ignore-unmatched")
    assert left.status == 0
    assert f"({2 * len(low)} of a second network (Wan 2.2's low-noise expert))" in left.err
    inspected = videoalign("lora", "inspect", file)
    assert inspected.status == 1 and f"{2 * len(low)} keys are of a second network" in inspected.out
    assert inspect_lora(file).scales == {2.0: len(high), 4.0: len(low)}
    second = {key: tensor for key, tensor in load_file(file).items() if key.startswith("transformer_2.")}
    save_file(second, file)
    assert inspect_lora(file).family == "wan"


@pytest.mark.parametrize(
    ("key", "shape", "words"),
    [
        ("dora_scale", (128, 1), "1 DoRA magnitudes, without which the rest is another change"),
        ("lora_magnitude_vector.default", (128,), "1 DoRA magnitudes, without which the rest is another change"),
        ("diff_b", (128,), "1 differences of weights or biases"),
        ("lokr_w1", (4, 4), "1 of a LoKr"),
    ],
)
def test_what_is_no_plain_lora_is_refused_with_its_name_or_left_out_and_counted(
    videoalign, random_lora, tmp_path, key, shape, words
):
    wan = tiny("wan-t2v")
    model = save_single(wan, tmp_path / "model.safetensors")
    name = "blocks.0.attn1.to_q"
    own = random_lora(wan, [name])[name]
    stem = "diffusion_model.blocks.0.self_attn.q"
    tensors = {f"{stem}.lora_A.weight": own.A, f"{stem}.lora_B.weight": own.B, f"{stem}.{key}": torch.ones(shape)}
    save_file(tensors, tmp_path / "x.safetensors")
    command = ("lora", "convert", tmp_path / "x.safetensors", "--model", model, "--output", tmp_path / "y.safetensors")
    refused = videoalign(*command)
    assert refused.status == 1 and f"1 of 3 tensors fit no linear layer of wan: {stem}.{key} ({words})" in refused.err
    assert "videoalign lora convert --ignore-unmatched" in refused.err
    left = videoalign(*command, "--ignore-unmatched")
    assert left.status == 0 and f"are left out: {stem}.{key} ({words})" in left.err
    assert "1 layers of wan" in left.out
    assert "tells no alpha of 1 of 1 layers" in left.err


def test_going_on_from_a_lora_of_unknown_alpha_says_so_and_takes_its_own_experts(random_lora, tmp_path, capsys):
    from videoalign.training.flow.adapter import add_adapter
    from videoalign.training.flow.config import LoraOptions

    file = tmp_path / "both.safetensors"
    both_experts(tiny("wan-t2v"), random_lora, file)
    add_adapter(tiny("wan-t2v"), LoraOptions(start=file), 0, expert="low_noise")
    assert capsys.readouterr().err == ""
    with pytest.raises(LoraFileError, match=r"model\.expert of a training"):
        add_adapter(tiny("wan-t2v"), LoraOptions(start=file), 0)
    tensors = {key: tensor for key, tensor in load_file(file).items() if key.startswith("transformer.")}
    save_file(tensors, file)
    add_adapter(tiny("wan-t2v"), LoraOptions(start=file), 0)
    assert "tells no alpha of" in capsys.readouterr().err
