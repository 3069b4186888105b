"""Image-to-video: from clips that begin with an image to a LoRA that ComfyUI applies completely; a tiny Wan 2.1 I2V."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_clips import PROMPTS, write_clip
from tiny_backbones import inputs, save_single, tiny
from tiny_clip import save_clip, tiny_clip
from tiny_vaes import save_vae, tiny_wan21

from videoalign.backbones.loading import load_backbone
from videoalign.cli.main import main
from videoalign.lora.merging import merge_lora
from videoalign.training.flow.data import FlowData
from videoalign.training.loop.state_files import newest_state


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Six pairs of clips, each pair of one image; Wan 2.1 I2V, Wan 2.2's I2V expert and a T2V one; VAE and CLIP."""
    folder = tmp_path_factory.mktemp("image-to-video")
    rows = []
    for number, colour in enumerate(("red", "yellow", "green", "cyan", "blue", "purple")):
        row = {"prompt": f"one {colour} circle moves up over a plain grey ground", "labels": {"Overall": "A"}}
        for place, side in enumerate(("chosen", "rejected")):
            write_clip(folder / f"{number}_{side}.mp4", 10 * number + place, image=100 + number)
            row |= {side: f"{number}_{side}.mp4", f"scores_{side}": {"Overall": 1.0 - place}}
        rows.append(json.dumps(row) + "\n")
    (folder / "pairs.jsonl").write_text("".join(rows))
    strange = json.loads(rows[2]) | {"rejected": "3_rejected.mp4"}
    (folder / "strange.jsonl").write_text("".join([*rows[:2], json.dumps(strange) + "\n"]))
    (folder / "real.jsonl").write_text(json.dumps({"path": "0_chosen.mp4", "prompt": PROMPTS[0]}) + "\n")
    for kind in ("wan-i2v", "wan22-i2v", "wan-t2v", "wan-flf2v"):
        save_single(tiny(kind), folder / f"{kind}.safetensors")
    save_vae(tiny_wan21(), folder / "vae.safetensors")
    save_clip(tiny_clip(width=1280), folder / "clip_vision_h.safetensors")
    Image.new("RGB", (48, 40), (200, 80, 30)).save(folder / "picture.png")
    return folder


@pytest.fixture
def videoalign(capsys):
    def run(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as stopped:
            status = stopped.code
        return status, capsys.readouterr().err

    return run


def arguments(world, output, *more, method="dpo", network="wan-i2v", pairs="pairs", clip=True):
    return [
        "train", method, "--output", output, "--max-steps", 2, "--batch-size", 2, "--save-every", 1, "--eval-every", 2,
        "--log-every", 1, "--precision", "float32", "--no-tensorboard", "--data.train", world / f"{pairs}.jsonl",
        "--data.eval-share", 0.34, "--data.cache", world / "cache", "--data.width", 32, "--data.height", 32,
        "--data.frames", 5, "--data.fps", 8, "--model.transformer", world / f"{network}.safetensors",
        "--model.vae", world / "vae.safetensors", "--model.text-encoder", "micro", "--lora.rank", 4, "--lora.alpha", 8,
        "--lora.dtype", "float32", "--optimizer.learning-rate", 1e-3, "--memory.base-dtype", "float32",
        "--evaluation.levels", 2, *(["--model.image-encoder", world / "clip_vision_h.safetensors"] if clip else []), *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(world):
    """The LoRA of a short Flow-DPO training with previews."""
    more = ["--preview.prompts", PROMPTS[0], "--preview.images", world / "picture.png", "--preview.steps", 2]
    words = arguments(world, world / "run", *more, "--preview.guidance", 2)
    assert main([str(word) for word in words]) == 0
    return world / "run" / "lora.safetensors"


def test_the_lora_has_the_layers_that_look_at_the_image_and_they_learnt(trained):
    tensors = load_file(trained)
    assert len(tensors) == 3 * 3 * 10  # blocks; A, B, alpha; q k v o of two attentions and the image's k v
    for part in ("k_img", "v_img"):
        assert tensors[f"diffusion_model.blocks.0.cross_attn.{part}.lora_B.weight"].any()


def test_previews_are_made_with_the_given_picture(trained):
    made = sorted((trained.parent / "previews").glob("step-*/0.mp4"))
    assert [clip.parent.name for clip in made] == ["step-00000000", "step-00000002"]


def test_training_held_out_and_real_rows_are_conditioned_on_their_image(world, tmp_path, monkeypatch, videoalign):
    seen, inner = [], FlowData.sample

    def sample(self, row, sides, *key, **options):
        made = inner(self, row, sides, *key, **options)
        seen.append((row, made.conditioning))
        return made

    monkeypatch.setattr(FlowData, "sample", sample)
    real = ["--rwr.real-clips", world / "real.jsonl"]
    assert videoalign(*arguments(world, tmp_path / "run", *real, method="rwr"))[0] == 0
    for row, conditioning in seen:
        assert conditioning["image_latents"].shape == (1, 20, 2, 4, 4)
        assert conditioning["image_embeds"].shape == (1, 17, 1280)
        mask, latents = conditioning["image_latents"][0].split([4, 16])
        assert mask[:, 0].eq(1).all() and mask[:, 1:].eq(0).all()
        assert latents.abs().sum() > 0, row.name
    assert {len(row.clips) for row, _ in seen} == {1, 2} and any("real.jsonl" in row.name for row, _ in seen)


def test_wan_22s_expert_needs_no_clip_and_has_its_own_boundary(world, tmp_path, videoalign):
    words = arguments(world, tmp_path, "--model.expert", "low_noise", method="sft", network="wan22-i2v", clip=False)
    status, err = videoalign(*words)
    assert status == 0, err
    file = tmp_path / "lora_low_noise.safetensors"
    with safe_open(file, framework="pt") as opened:
        assert json.loads(opened.metadata()["videoalign.sigma_range"]) == [0.0, 0.9]
    assert not any("_img" in name for name in load_file(file))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"clip": False}, "Give model.image_encoder = clip_vision_h.safetensors"),
        ({"network": "wan-flf2v"}, "wan-flf2v.safetensors: this Wan is for a first and a last frame"),
        ({"more": ["--preview.prompts", PROMPTS[0]]}, "its previews need images too. Give preview.images"),
        (
            {"network": "wan-t2v", "more": ["--preview.prompts", PROMPTS[0], "--preview.images", "a.png"]},
            "wan-t2v.safetensors takes no image; remove preview.images",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(changes, reason, world, tmp_path, videoalign):
    more = changes.pop("more", [])
    status, err = videoalign(*arguments(world, tmp_path, *more, **changes))
    assert status == 1 and reason in err, err
    assert "Traceback" not in err and not list(tmp_path.glob("*.safetensors"))


def test_a_pair_of_clips_with_two_images_is_left_out_and_told(world, tmp_path, videoalign):
    status, err = videoalign(*arguments(world, tmp_path, "--data.eval-share", 0, pairs="strange"))
    assert status == 0 and "Rows left out: 1" in err, err
    assert "strange.jsonl, row 3: " in err and "do not begin with the same image" in err


def test_previews_want_an_image_for_each_prompt(world, tmp_path, videoalign):
    more = [
        *(word for prompt in PROMPTS for word in ("--preview.prompts", prompt)),
        "--preview.images",
        world / "picture.png",
    ]
    status, err = videoalign(*arguments(world, tmp_path, *more))
    assert status == 2 and "there are 1 images and 2 prompts" in err


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(world, trained, tmp_path):
    words = [str(word) for word in arguments(world, tmp_path / "run")]
    process = subprocess.Popen([sys.executable, "-m", "videoalign.cli.main", *words], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "steps." in line:
            break
    process.kill()
    process.communicate()
    assert main(words) == 0
    found, expected = (newest_state(run / "checkpoints")["weights"] for run in (tmp_path / "run", trained.parent))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.comfyui
def test_comfyui_applies_every_key_and_strength_one_is_what_was_trained(world, trained, tmp_path):
    backbone = load_backbone(world / "wan-i2v.safetensors", dtype=torch.float32)
    x, sigma, conditioning = inputs(backbone, size=(3, 4, 6))
    merge_lora(backbone, trained)
    adapted = backbone.velocity(x, sigma, conditioning)
    names = {"text": "c_crossattn", "image_latents": "c_concat", "image_embeds": "clip_fea"}
    save_file({"x": x, "sigma": sigma} | {names[key]: own for key, own in conditioning.items()}, tmp_path / "inputs")
    job = {
        "model": world / "wan-i2v.safetensors",
        "lora": trained,
        "inputs": tmp_path / "inputs",
        "output": tmp_path / "output",
    }
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps([{key: str(path) for key, path in job.items()} | {"strength": 1.0}]))
    script = Path(__file__).parents[2] / "comfyui" / "lora_jobs.py"
    done = subprocess.run(
        [os.environ.get("COMFYUI_PYTHON", sys.executable), script, Path(os.environ["COMFYUI_PATH"]).resolve(), jobs],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])["results"][0]
    stems = {key.rsplit(".lora_A.weight", 1)[0] for key in load_file(trained) if key.endswith(".lora_A.weight")}
    assert "error" not in result and set(result["patches"]) == {f"{stem}.weight" for stem in stems}
    assert not [text for text in result["warnings"] if "lora" in text.lower()]
    patched = load_file(tmp_path / "output")["patched"]
    assert (patched - adapted).abs().max() < 1e-4 * adapted.abs().max()
