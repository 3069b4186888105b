"""``videoalign generate`` with a tiny random Wan: the same clips however it was stopped, and clear refusals."""

import json

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import original_state, tiny
from tiny_vaes import tiny_wan21

from videoalign.cli.main import main
from videoalign.lora.merging import lora_and_strength

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
    return [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").split("\n") if line]


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
    from videoalign.lora.merging import merge_lora

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


def changed(models, target, source, key, change):
    """A copy of a model file in which one tensor is another."""
    tensors = load_file(models / source)
    tensors[key] = change(tensors[key])
    save_file(tensors, target)
    return target


@pytest.mark.parametrize(
    ("option", "source", "key"),
    [("--model", "network.safetensors", "head.head.weight"), ("--vae", "vae.safetensors", "conv2.weight")],
)
def test_a_network_or_vae_with_nan_is_refused_with_its_tensor(models, tmp_path, capsys, option, source, key):
    def spoiled(tensor):
        tensor.view(-1)[7] = torch.nan
        return tensor

    file = changed(models, tmp_path / source, source, key, spoiled)
    assert generate(models, tmp_path / "clips", option, file) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert f"{file}: '{key}' holds values that are not finite" in said
    assert not (tmp_path / "clips" / "clips.jsonl").exists() and not list((tmp_path / "clips").glob("**/*.mp4"))


def test_a_clip_that_is_not_finite_is_not_written_and_its_likely_cause_is_named(models, tmp_path, capsys):
    file = changed(models, tmp_path / "n.safetensors", "network.safetensors", "head.head.weight", lambda w: w * 3e38)
    assert generate(models, tmp_path / "a", "--model", file) == 1
    said = capsys.readouterr()
    assert f"00000_0 is not written: what the network ({file}, float32) sampled is not finite" in said.err
    assert not (tmp_path / "a" / "clips.jsonl").exists() and not list((tmp_path / "a").glob("**/*.mp4"))
    file = changed(models, tmp_path / "v.safetensors", "vae.safetensors", "conv2.weight", lambda w: w * 3e38)
    assert generate(models, tmp_path / "b", "--vae", file) == 1
    assert f"but not the picture that the VAE ({file}) made of it" in capsys.readouterr().err
    key = "diffusion_model.blocks.0.self_attn.v"
    lora = tmp_path / "lora.safetensors"
    save_file(
        {f"{key}.lora_A.weight": torch.full((2, 128), 1e20), f"{key}.lora_B.weight": torch.full((128, 2), 1e20)}, lora
    )
    assert generate(models, tmp_path / "c", "--lora", lora) == 1
    assert "lora.safetensors at strength 1 makes blocks.0.attn1.to_v not finite in float32" in capsys.readouterr().err


def test_one_bad_clip_among_good_ones_is_made_again_by_the_next_run(models, whole, tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    from videoalign.backbones import sampling

    plain = sampling.generate

    def third_is_bad(*arguments, **options):
        for number, clip in enumerate(plain(*arguments, **options)):
            yield replace(clip, fault="network") if number == 2 else clip

    monkeypatch.setattr(sampling, "generate", third_is_bad)
    assert generate(models, tmp_path / "clips") == 1
    assert "1 of 4 clips could not be made" in capsys.readouterr().err
    assert [row["id"] for row in rows(tmp_path / "clips")] == ["00000_0", "00000_1", "00001_1"]
    monkeypatch.undo()
    assert generate(models, tmp_path / "clips") == 0
    assert contents(tmp_path / "clips") == contents(whole)


def test_clips_of_one_colour_are_counted(models, tmp_path, capsys):
    vae = load_file(models / "vae.safetensors")
    for key in ("decoder.head.2.weight", "decoder.head.2.bias"):
        vae[key] = torch.zeros_like(vae[key])
    save_file(vae, tmp_path / "vae.safetensors")
    assert generate(models, tmp_path / "clips", "--vae", tmp_path / "vae.safetensors") == 0
    assert "4 of 4 clips have one colour throughout (00000_0, 00000_1" in capsys.readouterr().err


def test_an_expert_by_its_files_name_is_told_and_takes_no_lora_of_the_other(models, tmp_path, capsys):
    file = tmp_path / "wan2.2_t2v_high_noise.safetensors"
    file.write_bytes((models / "network.safetensors").read_bytes())
    one = ("--model", file, "--clips-per-prompt", "1")
    assert generate(models, tmp_path / "a", *one) == 0
    assert (
        "is the high_noise expert of Wan 2.2 by its name, made for noise levels 0.875 to 1" in capsys.readouterr().err
    )
    key = "diffusion_model.blocks.0.self_attn.q"
    lora = {f"{key}.lora_A.weight": torch.zeros(2, 128), f"{key}.lora_B.weight": torch.zeros(128, 2)}
    save_file(lora, tmp_path / "mine_low_noise.safetensors")
    assert generate(models, tmp_path / "b", *one, "--lora", tmp_path / "mine_low_noise.safetensors") == 1
    assert "is a LoRA of Wan 2.2's low_noise expert, and the model is the high_noise one" in capsys.readouterr().err
    save_file(lora, tmp_path / "mine_high_noise.safetensors")
    assert generate(models, tmp_path / "c", *one, "--lora", tmp_path / "mine_high_noise.safetensors") == 0


@pytest.mark.parametrize("fault", ["not finite", "memory", "the reward that steers"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_clip_that_fails_is_told_and_the_others_are_made(
    models, whole, tmp_path, monkeypatch, capsys, fault, batch_size
):
    from videoalign.backbones import sampling
    from videoalign.errors import GuidanceError

    inner, victim = sampling.seeded_noise, 1  # a seed

    def noise(seeds, shape):
        if victim in seeds and fault != "not finite":
            raise MemoryError("8 GB") if fault == "memory" else GuidanceError("The reward gave VQ = nan.")
        made = inner(seeds, shape)
        for index, seed in enumerate(seeds):
            if seed == victim:
                made[index] = float("nan")
        return made

    with monkeypatch.context() as patch:
        patch.setattr(sampling, "seeded_noise", noise)
        assert generate(models, tmp_path / "clips", "--batch-size", batch_size) == 1
    said = capsys.readouterr().err
    cause = {"memory": "memory (8 GB)", "not finite": "sampled is not finite"}.get(fault, "gave VQ = nan")
    assert "2 of 4 clips could not be made" in said and said.count(cause) == 2 and "00000_1: " in said
    assert [row["id"] for row in rows(tmp_path / "clips")] == ["00000_0", "00001_0"]
    if batch_size == 1:
        assert contents(tmp_path / "clips").items() <= contents(whole).items()
        assert generate(models, tmp_path / "clips") == 0  # what failed is tried again
        assert contents(tmp_path / "clips") == contents(whole)


def test_where_all_clips_fail_the_first_error_ends_the_run(models, tmp_path, monkeypatch, capsys):
    from videoalign.backbones import sampling

    calls = []
    monkeypatch.setattr(
        sampling, "seeded_noise", lambda seeds, shape: calls.append(seeds) or torch.full((1, *shape), torch.nan)
    )
    assert generate(models, tmp_path / "clips") == 1
    assert "The clip 00000_0 is not written: what the network" in capsys.readouterr().err and len(calls) == 3
    monkeypatch.setattr(sampling, "seeded_noise", lambda seeds, shape: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a mistake of the program is none of a clip's
        generate(models, tmp_path / "clips")


def test_a_command_that_was_corrected_is_not_refused_for_the_settings_that_never_worked(models, tmp_path, capsys):
    folder, broken = tmp_path / "clips", tmp_path / "broken.safetensors"
    broken.write_bytes((models / "vae.safetensors").read_bytes()[:-100])
    assert generate(models, folder, "--vae", broken) == 1
    assert "broken.safetensors" in capsys.readouterr().err and not folder.exists()
    assert generate(models, folder) == 0
    assert len(rows(folder)) == 4


def test_a_list_of_clips_that_something_else_made_is_not_written_over(models, tmp_path, capsys):
    folder = tmp_path / "choices"
    folder.mkdir()
    (folder / "clips.jsonl").write_text('{"path": "a.mp4", "prompt": "a cat"}\n', encoding="utf-8")
    assert generate(models, folder) == 1
    assert "holds a clips.jsonl that videoalign generate did not write" in capsys.readouterr().err
    assert (folder / "clips.jsonl").read_text(encoding="utf-8") == '{"path": "a.mp4", "prompt": "a cat"}\n'


def test_a_run_with_line_separators_in_a_prompt_that_people_see_as_spaces_goes_on(models, tmp_path):
    prompts, folder = tmp_path / "prompts.jsonl", tmp_path / "clips"
    texts = [PROMPTS[0].replace(" red ", "\u2028red\u0085"), PROMPTS[1]]
    prompts.write_text(
        "".join(json.dumps({"prompt": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8"
    )
    own = ["--model", models / "network.safetensors", "--vae", models / "vae.safetensors", "--text-encoder", "micro"]
    small = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 1]
    words = ["generate", prompts, "--output", folder, "--clips-per-prompt", 1, "--device", "cpu", *own, *small]
    assert main([str(word) for word in words]) == 0
    before = (folder / "videos" / "00000_0.mp4").stat().st_mtime_ns
    (folder / "videos" / "00001_0.mp4").unlink()
    assert main([str(word) for word in words]) == 0
    assert (folder / "videos" / "00000_0.mp4").stat().st_mtime_ns == before
    assert [row["prompt"] for row in rows(folder)] == texts


def test_vbenchs_layout_is_a_folder_a_suite_with_nothing_but_clips_and_a_second_dimension_joins_the_first(
    models, tmp_path, capsys
):
    prompts = tmp_path / "info.json"
    rows_ = [
        {"prompt_en": PROMPTS[0], "dimension": ["color"]},
        {"prompt_en": PROMPTS[1], "dimension": ["scene", "background_consistency"]},
    ]
    prompts.write_text(json.dumps(rows_))
    own = ["--model", models / "network.safetensors", "--vae", models / "vae.safetensors", "--text-encoder", "micro"]
    small = [
        "--sampling.frames",
        5,
        "--sampling.width",
        32,
        "--sampling.height",
        32,
        "--sampling.steps",
        1,
        "--device",
        "cpu",
    ]
    fixed = [
        "generate",
        prompts,
        "--output",
        tmp_path / "clips",
        "--layout",
        "vbench",
        "--clips-per-prompt",
        2,
        *own,
        *small,
    ]
    assert main([*map(str, fixed), "--dimension", "color"]) == 0
    assert f"--videos_path {tmp_path / 'clips' / 'color'} --dimension color" in capsys.readouterr().out
    first = contents(tmp_path / "clips")
    assert main([*map(str, fixed), "--dimension", "background_consistency"]) == 0
    folder = tmp_path / "clips"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*")) == sorted(
        f"{suite}/{prompt}-{index}.mp4"
        for suite, prompt in zip(("color", "scene"), PROMPTS, strict=True)
        for index in (0, 1)
    )
    made = contents(folder)
    assert {row["path"].partition("/")[0] for row in rows(folder)} == {"color", "scene"} and len(made) == 4
    assert first.items() <= made.items()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}
    assert main([*map(str, fixed)]) == 0  # both: nothing is made again
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*")} == before
    assert [row["path"].partition("/")[0] for row in rows(folder)] == ["color", "color", "scene", "scene"]
    capsys.readouterr()
    assert main([*map(str, fixed), "--layout", "plain"]) == 1
    assert "layout was 'vbench', is None" in capsys.readouterr().err
