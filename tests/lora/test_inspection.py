"""Looking into LoRA files by their headers alone."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from videoalign.cli.main import main
from videoalign.errors import LoraFileError
from videoalign.files.safetensors_header import read_header
from videoalign.lora.comfyui_keys import Network, family_of, network_tensors
from videoalign.lora.inspection import inspect_lora


def write_lora(path, stems, rank=4, alpha=None, metadata=None, names=("lora_A", "lora_B"), dtype=torch.float16):
    tensors = {}
    for stem in stems:
        tensors[f"{stem}.{names[0]}.weight"] = torch.ones(rank, 8, dtype=dtype)
        tensors[f"{stem}.{names[1]}.weight"] = torch.ones(8, rank, dtype=dtype)
        if alpha is not None:
            tensors[f"{stem}.alpha"] = torch.tensor(alpha, dtype=dtype)
    save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_ranks_scales_and_the_match_are_read_without_the_weights(tmp_path, dtype):
    stems = [f"diffusion_model.blocks.{block}.self_attn.{part}" for block in range(2) for part in "qkvo"]
    path = write_lora(tmp_path / "x_high_noise.safetensors", stems, 4, 10.0, {"ss_network_dim": "4"}, dtype=dtype)
    found = inspect_lora(path)
    assert (found.family, found.modules, found.ranks, found.scales) == ("wan", 8, {4: 8}, {2.5: 8})
    assert (found.matched, found.unmatched, found.alphas_missing) == (24, [], 0)
    assert found.partner == str(tmp_path / "x_low_noise.safetensors")
    assert found.metadata == {"ss_network_dim": "4"}


@pytest.mark.parametrize("prefix", ["transformer.", "base_model.model.", ""])
def test_diffusers_names_have_no_effect_on_wan_in_comfyui_and_are_listed(tmp_path, prefix):
    path = write_lora(tmp_path / "x.safetensors", [f"{prefix}blocks.0.attn1.to_q"])
    found = inspect_lora(path)
    assert (found.family, found.matched) == ("wan", 0)
    assert found.unmatched == [
        f"{prefix}blocks.0.attn1.to_q.lora_A.weight",
        f"{prefix}blocks.0.attn1.to_q.lora_B.weight",
    ]
    assert found.alphas_missing == 1


def test_keys_are_held_against_a_model_file_where_one_is_given(tmp_path):
    path = write_lora(
        tmp_path / "x.safetensors", [f"diffusion_model.blocks.{block}.ffn.0" for block in (0, 7)], alpha=4
    )
    assert inspect_lora(path).unmatched == []
    model = tmp_path / "model.safetensors"
    save_file(
        {f"model.diffusion_model.blocks.0.{name}.weight": torch.ones(8, 8) for name in ("ffn.0", "self_attn.q")}, model
    )
    found = inspect_lora(path, model)
    assert found.matched == 3
    assert all(key.startswith("diffusion_model.blocks.7.ffn.0.") for key in found.unmatched)


def test_hunyuanvideos_two_ways_of_naming_both_have_an_effect():
    known = Network("hunyuan-video")
    for stem, layer in [
        ("diffusion_model.double_blocks.0.img_attn.qkv", "double_blocks.0.img_attn.qkv"),
        ("diffusion_model.single_blocks.3.linear1", "single_blocks.3.linear1"),
        ("transformer.double_blocks.0.img_attn_qkv", "double_blocks.0.img_attn.qkv"),
        ("diffusion_model.double_blocks.1.txt_mlp.fc1", "double_blocks.1.txt_mlp.0"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "double_blocks_0_img_attn_qkv"),
        ("lora_unet_single_blocks_3_linear2", "single_blocks_3_linear2"),
    ]:
        assert known.target(stem) == f"{layer}.weight"
    for stem in ("transformer.transformer_blocks.0.attn.to_q", "diffusion_model.double_blocks.0.img_attn_q"):
        assert known.target(stem) is None


def test_the_layers_of_hunyuanvideos_own_files_get_comfyuis_names():
    keys = ["double_blocks.0.img_attn_qkv.weight", "double_blocks.0.img_mod.linear.weight", "txt_in.c_embedder.linear_1.weight",
            "single_blocks.0.modulation.linear.weight", "time_in.mlp.0.weight", "double_blocks.0.txt_mlp.fc2.bias"]  # fmt: skip
    expected = ["double_blocks.0.img_attn.qkv.weight", "double_blocks.0.img_mod.lin.weight", "txt_in.c_embedder.in_layer.weight",
                "single_blocks.0.modulation.lin.weight", "time_in.in_layer.weight", "double_blocks.0.txt_mlp.2.bias"]  # fmt: skip
    assert list(network_tensors(dict.fromkeys(keys, (2,)))) == expected


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("lora_unet_blocks_0_cross_attn_k.lora_down.weight", "wan"),
        ("transformer.blocks.0.attn2.to_k.lora_A.weight", "wan"),
        ("diffusion_model.double_blocks.0.img_attn.qkv.alpha", "hunyuan-video"),
        ("transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight", "hunyuan-video"),
        ("diffusion_model.transformer_blocks.0.attn1.to_q.lora_A.weight", "ltx-video"),
        ("lora_te_text_model.alpha", None),
    ],
)
def test_the_family_is_told_from_the_keys(key, family):
    assert family_of([key]) == family


def test_what_is_no_lora_or_damaged_is_a_clear_error(tmp_path):
    whole = write_lora(tmp_path / "x.safetensors", ["diffusion_model.blocks.0.ffn.0"])
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-10])
    text = tmp_path / "text.safetensors"
    text.write_text("<html>not found</html>")
    save_file({"a.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    for name, words in [
        ("cut", "truncated"),
        ("text", "not a safetensors file"),
        ("no", "does not exist"),
        ("model", "no LoRA"),
    ]:
        with pytest.raises(LoraFileError, match=words):
            inspect_lora(tmp_path / f"{name}.safetensors")
    with pytest.raises(LoraFileError, match="expected one number"):
        read_header(whole, LoraFileError).number("diffusion_model.blocks.0.ffn.0.lora_A.weight")


def test_the_command_says_what_has_no_effect_and_needs_no_torch(tmp_path):
    path = write_lora(
        tmp_path / "x.safetensors", ["transformer.blocks.0.attn1.to_q", "diffusion_model.blocks.0.ffn.0"], alpha=8
    )
    code = (
        "import sys; from videoalign.cli.main import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, "lora", "inspect", str(path)], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "ComfyUI applies 3 of 6 keys to wan models" in done.stdout
    assert "without effect there: transformer.blocks.0.attn1.to_q.alpha" in done.stdout
    assert "scale (alpha/rank) 2.0" in done.stdout
    done = subprocess.run(
        [sys.executable, "-c", code, "lora", "inspect", str(path), "--json"], capture_output=True, text=True
    )
    assert json.loads(done.stdout)["matched"] == 3


def inspected(tmp_path, capsys, tensors, *options):
    """What the command prints of a file of these tensors, and its exit status."""
    save_file(tensors, tmp_path / "x.safetensors")
    status = main(["lora", "inspect", str(tmp_path / "x.safetensors"), *options])
    return status, capsys.readouterr().out


def layer(stem, names=("lora_A", "lora_B"), **more):
    return {f"{stem}.{names[0]}.weight": torch.ones(4, 8), f"{stem}.{names[1]}.weight": torch.ones(8, 4),
            f"{stem}.alpha": torch.tensor(4.0)} | {f"{stem}.{key}": tensor for key, tensor in more.items()}  # fmt: skip


def test_videox_funs_names_count_only_where_comfyui_repairs_them(tmp_path, capsys):
    own = layer("lora_unet__blocks_0_self_attn_q", ("lora_down", "lora_up"))
    status, text = inspected(tmp_path, capsys, own)
    assert status == 1 and "ComfyUI applies 0 of 3 keys" in text and "videoalign lora convert" in text
    whole = own | layer("lora_unet__blocks_0_cross_attn_k", ("lora_down", "lora_up"))
    whole |= layer("lora_unet__head_head", ("lora_down", "lora_up"))
    status, text = inspected(tmp_path, capsys, whole)
    assert status == 0 and "ComfyUI applies 9 of 9 keys" in text


def test_a_layer_with_a_part_missing_is_named(tmp_path, capsys):
    whole = layer("diffusion_model.blocks.0.ffn.0")
    half = {"diffusion_model.blocks.0.ffn.2.lora_A.weight": torch.ones(4, 8)}
    status, text = inspected(tmp_path, capsys, whole | half)
    assert (
        status == 1 and "applies 3 of 4" in text and "1 layers have A without B or B without A: blocks.0.ffn.2" in text
    )
    half = {"diffusion_model.blocks.0.ffn.2.lora_B.weight": torch.ones(8, 4)}
    status, text = inspected(tmp_path, capsys, whole | half)
    assert status == 1 and "nothing is applied" in text and "diffusion_model.blocks.0.ffn.2.lora_A.weight" in text


def test_other_kinds_than_lora_have_their_names(tmp_path, capsys):
    tensors = layer("diffusion_model.blocks.0.ffn.0", dora_scale=torch.ones(8, 1))
    tensors |= {f"diffusion_model.blocks.0.ffn.2.lokr_w{part}": torch.ones(4, 4) for part in "12"}
    tensors |= {
        "diffusion_model.blocks.1.ffn.2.diff_b": torch.ones(8),
        "diffusion_model.blocks.1.modulation.diff": torch.ones(1, 6, 8),
    }
    status, text = inspected(tmp_path, capsys, tensors)
    assert (
        "2 layers are not plain LoRA (DoRA (1), LoKr (1)): ComfyUI applies these kinds, training does not use them"
        in text
    )
    assert "ComfyUI applies 7 of 8 keys to wan models: DoRA (1), LoKr (1), difference (1) of its tensors" in text
    assert status == 1 and "blocks.1.modulation (ComfyUI changes no tensor of this kind)" in text
    status, text = inspected(
        tmp_path, capsys, {key: tensor for key, tensor in tensors.items() if "modulation" not in key}
    )
    assert status == 0


def test_values_that_are_not_finite_and_text_encoders_are_told(tmp_path, capsys):
    broken = layer("diffusion_model.blocks.0.ffn.0")
    broken["diffusion_model.blocks.0.ffn.0.lora_B.weight"][3, 1] = torch.nan
    status, text = inspected(tmp_path, capsys, broken)
    assert status == 1 and "1 tensors hold NaN or infinite values: diffusion_model.blocks.0.ffn.0.lora_B.weight" in text
    te = layer("lora_te1_text_model_encoder_layers_0_mlp_fc1", ("lora_down", "lora_up"))
    status, text = inspected(tmp_path, capsys, layer("diffusion_model.blocks.0.ffn.0") | te)
    assert status == 1 and "3 keys are of a text encoder" in text and "convert" not in text


def test_pefts_magnitudes_are_no_dora_to_comfyui(tmp_path, capsys):
    status, text = inspected(
        tmp_path, capsys, layer("diffusion_model.blocks.0.ffn.0", **{"lora_magnitude_vector.default": torch.ones(8)})
    )
    assert status == 1 and "1 magnitudes of a DoRA have peft's names" in text


def test_a_layer_that_is_changed_twice_is_told(tmp_path, capsys):
    twice = layer("diffusion_model.blocks.0.ffn.0") | layer("lora_unet_blocks_0_ffn_0", ("lora_down", "lora_up"))
    status, text = inspected(tmp_path, capsys, twice)
    assert status == 1 and "1 tensors of the model are changed twice" in text
    assert inspect_lora(tmp_path / "x.safetensors").matched == 3


def test_a_lora_of_another_size_is_told_where_the_model_is_given(tmp_path, capsys):
    save_file(
        {"blocks.0.ffn.0.weight": torch.ones(16, 8), "blocks.0.self_attn.q.weight": torch.ones(2)},
        tmp_path / "m.safetensors",
    )
    status, text = inspected(
        tmp_path, capsys, layer("diffusion_model.blocks.0.ffn.0"), "--model", str(tmp_path / "m.safetensors")
    )
    assert status == 1 and "1 changes cannot be computed" in text and "[16, 8]" in text


def test_what_is_no_file_or_no_safetensors_file_is_said_at_once(tmp_path, capsys):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.ckpt")
    (tmp_path / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n")
    (tmp_path / "page.safetensors").write_text("<!DOCTYPE html><html>Log in</html>")
    for name, words in [
        ("pipe.safetensors", "no file but a pipe"),
        (".", "is a folder"),
        ("old.ckpt", "can run code and is not opened"),
        ("pointer.safetensors", "git lfs pull"),
        ("page.safetensors", "a web page"),
    ]:
        assert main(["lora", "inspect", str(tmp_path / name)]) == 1
        assert words in capsys.readouterr().err


def test_packed_weights_of_a_model_have_no_size_that_a_lora_must_fit(tmp_path, capsys):
    model = {"blocks.0.ffn.0.weight": torch.ones(8, 4, dtype=torch.uint8), "blocks.0.self_attn.q.weight": torch.ones(2)}
    save_file(model, tmp_path / "m.safetensors")
    status, text = inspected(
        tmp_path, capsys, layer("diffusion_model.blocks.0.ffn.0"), "--model", str(tmp_path / "m.safetensors")
    )
    assert status == 0, text
