"""Writing LoRA files."""

import json
import os
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from videoalign.errors import LoraFileError
from videoalign.lora.adapters import LoraWeights, adapter_weights
from videoalign.lora.metadata import LoraMetadata, from_strings
from videoalign.lora.writing import save_lora


def strings_of(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


def test_keys_are_comfyuis_names_and_alpha_is_kept(wan, random_lora, tmp_path):
    lora = random_lora(wan, ["blocks.1.attn2.to_out.0", "blocks.0.ffn.net.2"])
    tensors = load_file(save_lora(tmp_path / "x.safetensors", wan, lora, dtype=torch.float32))
    assert set(tensors) == {
        f"diffusion_model.blocks.{stem}.{part}"
        for stem in ("1.cross_attn.o", "0.ffn.2")
        for part in ("lora_A.weight", "lora_B.weight", "alpha")
    }
    assert torch.equal(tensors["diffusion_model.blocks.0.ffn.2.lora_B.weight"], lora["blocks.0.ffn.net.2"].B)
    assert tensors["diffusion_model.blocks.0.ffn.2.alpha"].item() == 7.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_type_is_a_choice_and_alpha_stays_exact(wan, random_lora, tmp_path, dtype):
    path = save_lora(tmp_path / "x.safetensors", wan, random_lora(wan, alpha=1000.3), dtype=dtype)
    tensors = load_file(path)
    assert {tensor.dtype for key, tensor in tensors.items() if "lora_" in key} == {dtype}
    assert all(tensor.item() == pytest.approx(1000.3) for key, tensor in tensors.items() if key.endswith("alpha"))


@pytest.mark.parametrize("wrapped", [False, True])
def test_pefts_layers_are_read_with_the_scale_that_they_train_with(wan, tmp_path, wrapped):
    import peft

    config = peft.LoraConfig(r=4, lora_alpha=6, target_modules=["attn1.to_q", "ffn.net.2"], use_rslora=True)
    module = peft.get_peft_model(wan.module, config) if wrapped else peft.inject_adapter_in_model(config, wan.module)
    found = adapter_weights(module)
    assert set(found) == {f"blocks.{block}.{layer}" for block in range(3) for layer in ("attn1.to_q", "ffn.net.2")}
    assert all(own.scale == pytest.approx(6 / 4**0.5) for own in found.values())
    tensors = load_file(save_lora(tmp_path / "x.safetensors", wan, module))
    assert tensors["diffusion_model.blocks.0.self_attn.q.alpha"].item() == pytest.approx(6 / 4**0.5 * 4)


def test_what_a_plain_lora_cannot_hold_is_refused(wan, tmp_path):
    import peft

    with pytest.raises(LoraFileError, match="carries no LoRA"):
        save_lora(tmp_path / "x.safetensors", wan)
    config = peft.LoraConfig(r=2, target_modules=["attn1.to_q"], use_dora=True)
    module = peft.inject_adapter_in_model(config, wan.module)
    with pytest.raises(LoraFileError, match="DoRA"):
        save_lora(tmp_path / "x.safetensors", wan, module)
    assert list(tmp_path.iterdir()) == []


def test_one_of_several_adapters_is_named(wan):
    import peft

    for number, name in enumerate(("old", "new"), 1):
        peft.inject_adapter_in_model(
            peft.LoraConfig(r=number, target_modules=["attn1.to_q"]), wan.module, adapter_name=name
        )
    with pytest.raises(LoraFileError, match="several adapters"):
        adapter_weights(wan.module)
    assert {own.rank for own in adapter_weights(wan.module, "new").values()} == {2}


def test_a_file_is_not_replaced_unasked_and_is_written_whole_or_not_at_all(wan, random_lora, tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    path.write_text("precious")
    with pytest.raises(LoraFileError, match="exists"):
        save_lora(path, wan, random_lora(wan))
    with monkeypatch.context() as context:

        def full(tensors, target, metadata):
            target.write_text("half")
            raise OSError("No space left on device")

        context.setattr("safetensors.torch.save_file", full)
        with pytest.raises(LoraFileError, match="No space left"):
            save_lora(path, wan, random_lora(wan), overwrite=True)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]
    save_lora(path, wan, random_lora(wan), overwrite=True)
    assert len(load_file(path)) == 3 * len(wan.lora_targets())


def test_a_lora_that_is_not_finite_or_of_another_model_is_not_saved(wan, random_lora, tmp_path):
    lora = random_lora(wan, ["blocks.0.attn1.to_q"])
    good = lora["blocks.0.attn1.to_q"]
    for bad, words in [
        ({"blocks.0.attn1.to_q": good._replace(B=good.B * torch.nan)}, "not finite"),
        ({"blocks.0.attn1.to_q": good._replace(A=good.A[:, :-1])}, "do not fit a layer of 128 -> 128"),
        ({"transformer_blocks.0.attn1.to_q": good}, "no linear layer transformer_blocks.0.attn1.to_q"),
        ({}, "no module"),
    ]:
        with pytest.raises(LoraFileError, match=words):
            save_lora(tmp_path / "x.safetensors", wan, bad)
    assert list(tmp_path.iterdir()) == []


def test_the_metadata_tells_other_tools_and_us_what_was_trained(wan, random_lora, tmp_path):
    told = LoraMetadata(
        base_model="wan2.2-t2v-a14b", method="dpo", beta=500.0, reduction="mean", data_hash="ab12", sigma_range=(0.875, 1.0),
        scores_before={"VQ": 0.1, "MQ": -0.2}, scores_after={"VQ": 0.6, "MQ": 0.3}, expert="high_noise", steps=100, seed=3,
        extra={"shift": 5.0, "ss_training_comment": "hello"},
    )  # fmt: skip
    path = save_lora(tmp_path / "mine_high_noise.safetensors", wan, random_lora(wan, rank=3, alpha=6.0), told)
    strings = strings_of(path)
    assert {key: strings[key] for key in ("modelspec.architecture", "modelspec.title", "modelspec.timestep_range")} == {
        "modelspec.architecture": "wan2.2-t2v-a14b/lora",
        "modelspec.title": "mine_high_noise",
        "modelspec.timestep_range": "875,1000",
    }
    assert {key: value for key, value in strings.items() if key.startswith("ss_")} == {
        "ss_network_module": "networks.lora", "ss_network_dim": "3", "ss_network_alpha": "6", "ss_seed": "3", "ss_steps": "100",
        "ss_base_model_version": "wan2.2-t2v-a14b", "ss_output_name": "mine_high_noise", "ss_training_comment": "hello",
    }  # fmt: skip
    assert strings["videoalign.reduction"] == "mean"
    assert json.loads(strings["videoalign.scores_after"]) == {"VQ": 0.6, "MQ": 0.3}
    read = from_strings(strings)
    assert (read.beta, read.sigma_range, read.scores_before, read.expert) == (
        500.0,
        (0.875, 1.0),
        told.scores_before,
        "high_noise",
    )
    assert read.extra["shift"] == 5.0


def test_an_all_digit_hash_stays_text():
    strings = {"videoalign.data_hash": "1234567890", "videoalign.method": "sft", "videoalign.beta": "2.5"}
    assert from_strings(strings) == LoraMetadata(method="sft", beta=2.5, data_hash="1234567890")


def test_a_layer_that_the_original_splits_is_an_error_not_a_guess(wan):
    from videoalign.lora.module_names import ModuleNames

    split = SimpleNamespace(
        family=wan.family, module=wan.module, original_modules=lambda name: [("a", (0, 1)), ("b", (0, 1))]
    )
    with pytest.raises(LoraFileError, match="lies in 2 original layers"):
        ModuleNames(split)


def test_rank_and_scale_follow_from_a_b_and_alpha():
    own = LoraWeights(torch.zeros(4, 2), torch.zeros(6, 4), 8.0)
    assert (own.rank, own.scale) == (4, 2.0)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_another_user_can_read_the_file(wan, random_lora, tmp_path):
    before = os.umask(0o022)
    try:
        path = save_lora(tmp_path / "x.safetensors", wan, random_lora(wan))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
