"""Continuing from LoRA files: ours, and those that other tools write."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import inputs, tiny

from videoalign.errors import LoraFileError
from videoalign.lora.adapters import copy_into_adapters, lora_config
from videoalign.lora.reading import load_lora
from videoalign.lora.writing import save_lora

LAYERS = ["blocks.0.attn1.to_q", "blocks.1.attn2.to_out.0", "blocks.1.ffn.net.0.proj"]
ORIGINAL = ["blocks.0.self_attn.q", "blocks.1.cross_attn.o", "blocks.1.ffn.0"]


@pytest.fixture
def written(tmp_path):
    """Write a LoRA under other names: ``form`` makes a stem of a module, ``names`` are the suffixes of A and B."""

    def write(lora, stems, form, names=(".lora_A.weight", ".lora_B.weight"), alpha=True):
        tensors = {}
        for own, stem in zip(lora.values(), stems, strict=True):
            key = form(stem)
            tensors |= {key + names[0]: own.A, key + names[1]: own.B}
            if alpha:
                tensors[f"{key}.alpha"] = torch.tensor(own.alpha)
        save_file(tensors, tmp_path / "theirs.safetensors")
        return tmp_path / "theirs.safetensors"

    return write


@pytest.mark.parametrize("network", ["wan-t2v", "wan-i2v", "wan22-ti2v", "hunyuan-video", "ltx-video"])
@pytest.mark.parametrize("ffn", [False, True])
def test_what_was_saved_is_loaded_bit_for_bit(network, ffn, random_lora, same, tmp_path):
    backbone = tiny(network)
    lora = random_lora(backbone, backbone.lora_targets(ffn))
    first = next(iter(lora))
    lora[first] = lora[first]._replace(B=torch.zeros_like(lora[first].B))  # a layer that has learnt nothing yet
    path = save_lora(tmp_path / "x.safetensors", backbone, lora, dtype=torch.float32)
    same(load_lora(path, backbone), lora)


DOWN_UP = (".lora_down.weight", ".lora_up.weight")
STYLES = {
    "ComfyUI, diffusion-pipe": (ORIGINAL, lambda stem: f"diffusion_model.{stem}"),
    "lightx2v": (ORIGINAL, lambda stem: f"diffusion_model.{stem}", DOWN_UP),
    "kohya, musubi-tuner": (ORIGINAL, lambda stem: "lora_unet_" + stem.replace(".", "_"), DOWN_UP),
    "Wan Fun": (ORIGINAL, lambda stem: "lora_unet__" + stem.replace(".", "_"), DOWN_UP),
    "diffusers": (LAYERS, lambda stem: f"transformer.{stem}"),
    "diffusers, old": (LAYERS, lambda stem: f"transformer.{stem}", (".lora.down.weight", ".lora.up.weight")),
    "peft": (LAYERS, lambda stem: f"base_model.model.{stem}"),
    "OneTrainer": (LAYERS, lambda stem: "lora_transformer_" + stem.replace(".", "_"), DOWN_UP),
    "DiffSynth": (ORIGINAL, lambda stem: stem, (".lora_A.default.weight", ".lora_B.default.weight")),
    "bare": (LAYERS, lambda stem: stem),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_common_style_is_read(wan, random_lora, same, written, style):
    lora = random_lora(wan, LAYERS)
    same(load_lora(written(lora, *STYLES[style]), wan), lora)


def test_a_missing_alpha_is_the_rank_which_is_said_and_ranks_may_differ(wan, random_lora, same, written, capsys):
    lora = random_lora(wan, LAYERS[:2], rank=3) | random_lora(wan, LAYERS[2:], rank=5)
    found = load_lora(written(lora, *STYLES["diffusers"], alpha=False), wan)
    same(found, {name: own._replace(alpha=float(own.rank)) for name, own in lora.items()})
    assert (
        f"tells no alpha of {len(LAYERS)} of {len(LAYERS)} layers; it is taken to be the rank"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "transformer.module."])
def test_prefixes_of_torch_compile_and_ddp_are_read(wan, random_lora, same, written, prefix):
    lora = random_lora(wan, LAYERS)
    same(load_lora(written(lora, LAYERS, lambda stem: prefix + stem), wan), lora)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_with_their_layer(wan, random_lora, tmp_path, value):
    lora = random_lora(wan, LAYERS[:2])
    path = save_lora(tmp_path / "x.safetensors", wan, lora, dtype=torch.float32)
    tensors = load_file(path)
    next(tensor for key, tensor in tensors.items() if key.endswith("lora_B.weight"))[0, 0] = value
    save_file(tensors, path)
    with pytest.raises(LoraFileError, match=r"blocks.0.*lora_B.weight has values that are not finite"):
        load_lora(path, wan)


def test_what_is_left_out_is_counted_and_listed(wan, random_lora, written, capsys):
    file = written(random_lora(wan, LAYERS), *STYLES["ComfyUI, diffusion-pipe"])
    tensors = load_file(file) | {"diffusion_model.blocks.0.self_attn.q.dora_scale": torch.ones(1)}
    save_file(tensors, file)
    load_lora(file, wan, ignore_unmatched=True)
    assert f"1 of {len(tensors)} tensors fit no linear layer of wan and are left out" in (
        said := capsys.readouterr().err
    )
    assert "blocks.0.self_attn.q.dora_scale" in said


@pytest.mark.parametrize("rslora", [False, True])
def test_pefts_own_files_are_read_with_their_alpha(wan, tmp_path, rslora):
    import peft

    config = peft.LoraConfig(
        r=4, lora_alpha=6, target_modules=["to_q", "ffn.net.2"], alpha_pattern={"ffn.net.2": 20}, use_rslora=rslora
    )
    module = peft.get_peft_model(wan.module, config)
    module.save_pretrained(tmp_path / "peft")
    scale = 4**-0.5 if rslora else 1 / 4
    found = load_lora(tmp_path / "peft", tiny("wan-t2v"))
    assert len(found) == 9  # q of both attentions and the MLP's last layer, in three blocks
    for name, own in found.items():
        assert own.scale == pytest.approx((20 if name.endswith("ffn.net.2") else 6) * scale)


def test_diffusers_own_files_are_read_with_their_alpha_and_diffusers_reads_ours(wan, random_lora, tmp_path):
    import peft
    from diffusers import WanPipeline
    from peft.utils import get_peft_model_state_dict

    config = peft.LoraConfig(r=4, lora_alpha=6, target_modules=["attn1.to_q"])
    peft.inject_adapter_in_model(config, wan.module)
    WanPipeline.save_lora_weights(
        tmp_path,
        get_peft_model_state_dict(wan.module, state_dict=None),
        transformer_lora_adapter_metadata=config.to_dict(),
    )
    fresh = tiny("wan-t2v")
    assert {own.scale for own in load_lora(tmp_path, fresh).values()} == {1.5}
    lora = random_lora(fresh)
    path = save_lora(tmp_path / "ours.safetensors", fresh, lora, dtype=torch.float32)
    theirs = WanPipeline.lora_state_dict(path)
    assert len(theirs) == 2 * len(lora)
    for name, own in lora.items():
        delta = theirs[f"transformer.{name}.lora_B.weight"] @ theirs[f"transformer.{name}.lora_A.weight"]
        assert torch.allclose(delta, own.scale * own.B @ own.A, rtol=1e-4, atol=1e-5)


def test_training_goes_on_from_exactly_the_network_that_was_saved(wan, random_lora, tmp_path):
    import peft

    lora = random_lora(wan, wan.lora_targets()[:-2], rank=3) | random_lora(
        wan, wan.lora_targets()[-2:], rank=2, alpha=1.0
    )
    x, sigma, conditioning = inputs(wan, size=(1, 4, 4))
    before = wan.velocity(x, sigma, conditioning)
    config = lora_config(lora, targets=wan.lora_targets(ffn=True), rank=6, alpha=12)
    peft.inject_adapter_in_model(config, wan.module)
    copy_into_adapters(wan.module, lora)
    trained = wan.velocity(x, sigma, conditioning)
    assert not torch.allclose(trained, before, rtol=1e-2)
    path = save_lora(tmp_path / "x.safetensors", wan, dtype=torch.float32)

    fresh = tiny("wan-t2v")
    found = load_lora(path, fresh)
    assert {own.rank for name, own in found.items() if "ffn" in name} == {6}
    peft.inject_adapter_in_model(lora_config(found), fresh.module)
    with pytest.raises(LoraFileError, match="scale"):
        copy_into_adapters(fresh.module, {name: own._replace(alpha=99.0) for name, own in found.items()})
    copy_into_adapters(fresh.module, found)
    assert torch.equal(fresh.velocity(x, sigma, conditioning), trained)


def test_keys_that_fit_nothing_are_listed_and_left_out_only_when_told(wan, random_lora, same, written):
    lora = random_lora(wan, LAYERS)
    path = written(lora, *STYLES["ComfyUI, diffusion-pipe"])
    strange = [
        "diffusion_model.blocks.9.ffn.0.lora_A.weight",
        "diffusion_model.blocks.0.norm3.diff",
        "text_encoder.x.alpha",
    ]
    save_file(load_file(path) | {key: torch.ones(2, 2) for key in strange}, path)
    with pytest.raises(LoraFileError, match="3 of 12 tensors fit no linear layer of wan") as caught:
        load_lora(path, wan)
    assert all(key in str(caught.value) for key in strange)
    same(load_lora(path, wan, ignore_unmatched=True), lora)


def test_a_lora_of_a_larger_model_or_a_damaged_one_is_a_clear_error(wan, random_lora, tmp_path, written):
    lora = random_lora(wan, LAYERS)
    path = written(
        {name: own._replace(A=torch.cat([own.A] * 2, 1)) for name, own in lora.items()}, *STYLES["diffusers"]
    )
    with pytest.raises(LoraFileError, match="another size"):
        load_lora(path, wan)
    path = written(lora, *STYLES["diffusers"])
    tensors = load_file(path)
    save_file(
        {key: tensor for key, tensor in tensors.items() if key != "transformer.blocks.0.attn1.to_q.lora_B.weight"}, path
    )
    with pytest.raises(LoraFileError, match=r"B of .* is missing"):
        load_lora(path, wan)
    again = {key.replace("transformer.blocks.0.attn1.to_q", "lora_unet_blocks_0_self_attn_q"): tensor.clone()
             for key, tensor in tensors.items()}  # fmt: skip
    save_file(tensors | again, path)
    with pytest.raises(LoraFileError, match="twice"):
        load_lora(path, wan)
    path.write_bytes(b"nothing")
    with pytest.raises(LoraFileError, match="cannot be read"):
        load_lora(path, wan)
    for missing in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(LoraFileError, match=r"does not exist|folder without"):
            load_lora(missing, wan)
