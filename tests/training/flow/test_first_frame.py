"""Image-to-video by the first frame: what is learnt of clips whose first frame is given, from pairs to guided clips; a tiny LTX-2.3."""

import json

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from small_clips import write_clip
from tiny_backbones import inputs, save_single, tiny
from tiny_gemma import save_files
from tiny_vaes import ltx2_metadata, save_vae, tiny_ltx2

from videoalign.cli.main import main
from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.config import LoraOptions
from videoalign.training.flow.data import FlowData
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.method import NoisedClips
from videoalign.training.flow.methods.dpo import DpoOptions, FlowDpo
from videoalign.training.flow.methods.rvm import FlowRvm, RvmOptions
from videoalign.training.flow.methods.rwr import FlowRwr, RwrOptions
from videoalign.training.flow.methods.sft import FlowSft, SftOptions

PROMPT = "a cat walks over the red hill"
PROMPTS = (PROMPT, "two dogs")
METHODS = {
    "dpo": lambda: FlowDpo(DpoOptions(safeguard=True)), "dpo joint": lambda: FlowDpo(DpoOptions(backward="joint")),
    "sft": lambda: FlowSft(SftOptions()), "rwr": lambda: FlowRwr(RwrOptions()), "rvm": lambda: FlowRvm(RvmOptions()),
}  # fmt: skip


def batch_of(network, method):
    """Clips with noise, a level, and the image that they begin with."""
    clean, sigma, told = inputs(network, size=(3, 2, 2))
    told["first_frame"] = torch.randn(clean[:, :, :1].shape, generator=torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(3)
    clips = {side: torch.randn(clean.shape, generator=generator) for side in method.sides}
    return NoisedClips(clips, torch.randn(clean.shape, generator=generator), sigma, told, torch.ones(2), torch.ones(2))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["ltx-2.3", "ltx-video"])
def test_the_loss_is_of_the_frames_that_are_noised(kind, name):
    network, method = tiny(kind), METHODS[name]()
    add_adapter(network, LoraOptions(rank=2, alpha=4), seed=0)
    module, batch = FlowModule(network, method, bins=1, fps=24.0), batch_of(network, method)
    loss, measures = module([batch])
    for clips in batch.clips.values():
        clips[:, :, 0] = 7.0
    batch.noise[:, :, 0] = -3.0
    again, _ = module([batch])
    assert torch.equal(loss, again)
    if name == "sft":
        x_t, (clips,) = batch.noisy("chosen"), batch.clips.values()
        told = module._complete(batch.conditioning, 2)
        errors = (network.velocity(x_t, batch.sigma, told) - (batch.noise - clips)).square()
        assert loss.item() == pytest.approx(errors[:, :, 1:].mean().item(), rel=1e-6)
        assert measures["error"][0] == pytest.approx(loss.item())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Four pairs of clips, each of one image; a network, its VAE and its text encoder; a picture, and prompts with it."""
    folder = tmp_path_factory.mktemp("first-frame")
    rows = []
    for number in range(4):
        row = {"prompt": PROMPTS[number % 2], "labels": {"Overall": "A", "VQ": "A"}}
        for place, side in enumerate(("chosen", "rejected")):
            write_clip(folder / f"{number}_{side}.mp4", 10 * number + place, 96, 64, 10, 24, image=100 + number)
            row |= {side: f"{number}_{side}.mp4", f"scores_{side}": {"Overall": 1.0 - place}}
        rows.append(json.dumps(row) + "\n")
    (folder / "pairs.jsonl").write_text("".join(rows))
    save_single(tiny("ltx-2.3"), folder / "network.safetensors")
    save_vae(tiny_ltx2(), folder / "vae.safetensors", ltx2_metadata())
    texts = save_files(folder, "ltx-2.3")
    Image.new("RGB", (96, 64), (200, 80, 30)).save(folder / "picture.png")
    (folder / "prompts.csv").write_text(f"prompt,image\n{PROMPT},picture.png\n")
    (folder / "some.csv").write_text(f"prompt,image\n{PROMPT},picture.png\n{PROMPT},\n")
    return folder, texts


def trained(world, output, *more, method="dpo", network="transformer"):
    folder, texts = world
    return main(
        [
            str(word)
            for word in (
                "train", method, "--output", output, "--max-steps", 2, "--batch-size", 1, "--precision", "float32",
                "--data.train", folder / "pairs.jsonl", "--data.eval-share", 0.5, "--data.cache", folder / "cache",
                "--data.width", 96, "--data.height", 64, "--data.frames", 9, "--data.fps", 24,
                f"--model.{network}", folder / "network.safetensors", "--model.vae", folder / "vae.safetensors",
                "--model.text-encoder", texts, "--optimizer.learning-rate", "1e-2", *more,
            )
        ]
    )  # fmt: skip


OF_A_LORA = ["--lora.rank", 2, "--lora.alpha", 4, "--no-tensorboard"]
PREVIEW = ["--preview.prompts", PROMPT, "--preview.steps", 2, "--preview.guidance", 1]


@pytest.mark.slow
def test_from_pairs_to_a_lora_and_a_latent_reward_and_to_guided_clips_of_an_image(world, tmp_path, monkeypatch, capsys):
    folder, texts = world
    seen, inner = [], FlowData.sample

    def sample(self, row, sides, *key, **options):
        made = inner(self, row, sides, *key, **options)
        seen.append((row, made))
        return made

    monkeypatch.setattr(FlowData, "sample", sample)
    more = [*OF_A_LORA, *PREVIEW, "--preview.images", folder / "picture.png", "--data.image-to-video"]
    assert trained(world, tmp_path / "run", *more) == 0, capsys.readouterr().err
    for _, made in seen:
        image = made.conditioning["first_frame"][0]
        assert image.shape == (128, 1, 2, 3)
        # The image is the first frame of one of the two clips, which a codec has brought a little apart.
        apart = [(image - latents[0, :, :1]).abs().max() / image.abs().max() for latents in made.clips.values()]
        assert min(apart) < 2e-3  # both are kept in half precision
    previews = sorted((tmp_path / "run" / "previews").glob("step-*/0.mp4"))
    assert len(previews) == 2
    lora = tmp_path / "run" / "lora.safetensors"
    with safe_open(lora, "pt") as file:
        assert any(file.get_tensor(name).any() for name in file.keys() if ".lora_B." in name)  # noqa: SIM118

    more = ["--model.blocks", 1, "--model.head-width", 8, "--evaluation.bins", 2, "--data.image-to-video"]
    assert trained(world, tmp_path / "reward", *more, method="latent-reward", network="trunk") == 0
    reward = tmp_path / "reward" / "latent_reward.safetensors"

    model = ["--model", folder / "network.safetensors", "--vae", folder / "vae.safetensors", "--text-encoder", texts]
    size = ["--sampling.frames", 9, "--sampling.width", 96, "--sampling.height", 64, "--sampling.steps", 2]
    guided = ["--guidance.latent-reward", reward, "--guidance.mode", "raw"]
    made = {}
    for name, options in {"plain": [], "lora": ["--lora", lora], "guided": guided}.items():
        words = [
            "generate",
            folder / "prompts.csv",
            *model,
            *size,
            *options,
            "--output",
            tmp_path / name,
            "--device",
            "cpu",
        ]
        assert main([str(word) for word in (*words, "--clips-per-prompt", 1)]) == 0, capsys.readouterr().err
        made[name] = (tmp_path / name / "videos" / "00000_0.mp4").read_bytes()
    assert len(set(made.values())) == 3
    listed = json.loads((tmp_path / "plain" / "clips.jsonl").read_text())
    assert listed["image"] == str(folder / "picture.png")


def test_generate_takes_images_for_all_prompts_or_for_none(world, tmp_path, capsys):
    folder, texts = world
    words = [
        "generate", folder / "some.csv", "--model", folder / "network.safetensors", "--vae", folder / "vae.safetensors",
        "--text-encoder", texts, "--output", tmp_path / "clips",
    ]  # fmt: skip
    assert main([str(word) for word in words]) == 1
    assert "Some prompts have an image and some have none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ([*PREVIEW, "--data.image-to-video"], "is trained for image-to-video: its previews need images too"),
        ([*PREVIEW, "--preview.images", "a.png"], "takes no image here; give data.image_to_video, or remove preview.images"),
    ],
)  # fmt: skip
def test_previews_are_of_what_is_trained(world, tmp_path, capsys, more, reason):
    assert trained(world, tmp_path / "run", *OF_A_LORA, *more) == 1
    assert reason in capsys.readouterr().err


def test_a_network_that_takes_no_image_says_so(world, tmp_path, capsys):
    network = save_single(tiny("wan-t2v"), tmp_path / "wan.safetensors")
    more = ["--data.image-to-video", "--model.transformer", network]
    assert trained(world, tmp_path / "run", *OF_A_LORA, *more) == 1
    assert "wan.safetensors takes no image; leave out data.image_to_video" in capsys.readouterr().err
