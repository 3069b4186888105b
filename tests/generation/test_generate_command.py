"""``videoalign generate`` with a tiny random Wan: the same clips however it was stopped, and clear refusals."""

import json

import av
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_backbones import original_state, tiny
from tiny_vaes import tiny_wan21

from videoalign.cli.main import main
from videoalign.generation.pipeline import lora_and_strength

PROMPTS = ["one red circle moves left over a plain grey ground", "two blue squares move up over a plain white ground"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_file(original_state(tiny("wan-t2v")), folder / "network.safetensors")
    save_file(
        {name: own.contiguous() for name, own in tiny_wan21().original_state_dict().items()}, folder / "vae.safetensors"
    )
    (folder / "prompts.txt").write_text("# two prompts\n" + "\n".join(PROMPTS) + "\n\n", encoding="utf-8")
    return folder


def generate(models, output, *options):
    own = ["--model", models / "network.safetensors", "--vae", models / "vae.safetensors", "--text-encoder", "micro"]
    small = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 2]
    fixed = [models / "prompts.txt", "--output", output, "--clips-per-prompt", 2, "--device", "cpu"]
    return main(["generate", *map(str, [*fixed, *own, *small, *options])])


def rows(folder):
    return [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]


def contents(folder):
    return {row["id"]: (folder / row["path"]).read_bytes() for row in rows(folder)}


@pytest.fixture(scope="module")
def whole(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "clips"
    assert generate(models, folder) == 0
    return folder


def test_every_prompt_gets_the_same_seeds(whole):
    made = rows(whole)
    assert [(row["prompt"], row["seed"]) for row in made] == [(p, s) for p in PROMPTS for s in (0, 1)]
    with av.open(str(whole / made[0]["path"])) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert frames.shape == (5, 32, 32, 3) and frames.std() > 1
    assert len(set(contents(whole).values())) == 4


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(models, whole, tmp_path):
    folder = tmp_path / "clips"
    assert generate(models, folder) == 0
    lines = (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "clips.jsonl").write_text(lines[2] + lines[0] + lines[1][:20], encoding="utf-8")  # torn by a kill
    (folder / "videos" / "00000_0.mp4").unlink()
    assert generate(models, folder) == 0
    assert (folder / "clips.jsonl").read_bytes() == (whole / "clips.jsonl").read_bytes()
    assert contents(folder) == contents(whole)


def test_a_lora_and_guidance_free_settings_are_part_of_the_folders_identity(models, whole, capsys):
    assert generate(models, whole, "--negative-prompt", "one red circle") == 1
    assert "negative_prompt was '', is 'one red circle'" in capsys.readouterr().err


def test_a_changed_file_of_prompts_does_not_keep_clips_of_the_old_ones(models, whole, capsys):
    other = models / "other.txt"
    other.write_text("\n".join(PROMPTS[::-1]), encoding="utf-8")
    before = contents(whole)
    own = ["--model", models / "network.safetensors", "--vae", models / "vae.safetensors", "--text-encoder", "micro"]
    small = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 2]
    fixed = [other, "--output", whole, "--clips-per-prompt", 2, "--device", "cpu"]
    assert main(["generate", *map(str, [*fixed, *own, *small])]) == 1
    assert "the file of prompts has changed" in capsys.readouterr().err.replace("\n", " ")
    assert contents(whole) == before


def test_a_lora_is_merged_with_its_strength(models, tmp_path):
    from videoalign.backbones.loading import load_backbone
    from videoalign.generation.pipeline import merge_lora

    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 128, generator=generator), torch.randn(128, 2, generator=generator)
    key = "diffusion_model.blocks.0.self_attn.q"
    file = tmp_path / "lora.safetensors"
    save_file({f"{key}.lora_A.weight": a, f"{key}.lora_B.weight": b, f"{key}.alpha": torch.tensor(4.0)}, file)
    plain, merged = (load_backbone(models / "network.safetensors") for _ in "ab")
    merge_lora(merged, file, 0.5)
    change = {
        name: (own - other).float()
        for (name, own), other in zip(
            merged.module.state_dict().items(), plain.module.state_dict().values(), strict=True
        )
        if not torch.equal(own, other)
    }
    assert list(change) == ["blocks.0.attn1.to_q.weight"]
    torch.testing.assert_close(change["blocks.0.attn1.to_q.weight"], 0.5 * (4 / 2) * b @ a, rtol=1e-4, atol=1e-5)
    assert lora_and_strength(f"{file}:0.5") == (file, 0.5) and lora_and_strength(str(file)) == (file, 1.0)
    assert generate(models, tmp_path / "clips", "--lora", f"{file}:0.5", "--clips-per-prompt", "1") == 0
    assert rows(tmp_path / "clips")[0]["model"] == "network + lora.safetensors:0.5"


def test_bad_input_says_what_to_do(models, tmp_path, capsys):
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    for arguments, text in [
        ([empty, "--output", tmp_path / "a"], "holds no prompt"),
        ([tmp_path / "none.txt", "--output", tmp_path / "a"], "cannot be read"),
        (
            [models / "prompts.txt", "--output", tmp_path / "a", "--model", models / "network.safetensors"],
            "give --vae and",
        ),
        ([models / "prompts.txt", "--output", tmp_path / "a", "--lora", "gone.safetensors"], "There is no LoRA gone"),
    ]:
        assert main(["generate", *map(str, arguments)]) == 1
        assert text in capsys.readouterr().err
    assert generate(models, tmp_path / "b", "--sampling.frames", "6") == 1
    assert "6 frames" in capsys.readouterr().err


def test_a_network_with_nan_makes_no_clip_and_says_so(models, tmp_path, capsys):
    state = original_state(tiny("wan-t2v"))
    name = next(name for name, tensor in state.items() if tensor.ndim == 2)
    save_file({**state, name: torch.full_like(state[name], float("nan"))}, tmp_path / "nan.safetensors")
    assert generate(models, tmp_path / "out", "--model", tmp_path / "nan.safetensors") == 1
    assert "is not finite" in capsys.readouterr().err
    assert not list((tmp_path / "out" / "videos").glob("*.mp4"))
