"""A latent reward on the first blocks of an image-to-video Wan: both clips of a pair are judged beside one image."""

import json

import torch
from small_clips import write_clip
from tiny_backbones import save_single, tiny
from tiny_clip import save_clip, tiny_clip
from tiny_vaes import save_vae, tiny_wan21

from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.training.latent_reward.pairs import LatentPairData

COLOURS = ("red", "yellow", "green", "cyan")


def test_it_trains_beside_the_image_and_the_file_asks_for_it(videoalign, tmp_path, monkeypatch):
    lines = []
    for number, colour in enumerate(COLOURS):
        row = {"prompt": f"one {colour} circle moves up over a plain grey ground", "labels": {"VQ": "A", "TA": "B"}}
        for place, side in enumerate(("chosen", "rejected")):
            row[side] = write_clip(tmp_path / f"{number}{side}.mp4", 10 * number + place, image=100 + number).name
        lines.append(json.dumps(row) + "\n")
    (tmp_path / "pairs.jsonl").write_text("".join(lines))
    options = {
        "data.train": tmp_path / "pairs.jsonl", "data.eval": tmp_path / "pairs.jsonl", "data.width": 32, "data.height": 32,
        "data.frames": 5, "data.fps": 8, "model.trunk": save_single(tiny("wan-i2v"), tmp_path / "model.safetensors"),
        "model.vae": save_vae(tiny_wan21(), tmp_path / "vae.safetensors"), "model.text-encoder": "micro",
        "model.blocks": 1, "model.head-width": 8, "max-steps": 2, "batch-size": 2, "evaluation.bins": 2,
        "output": tmp_path / "run",
    }  # fmt: skip
    words = ["train", "latent-reward", *(f"--{key}={value}" for key, value in options.items())]
    outcome = videoalign(*words)
    assert outcome.status == 1 and "Give model.image_encoder = clip_vision_h.safetensors" in outcome.err

    batches, inner = [], LatentPairData.batches

    def kept(self, rows, noises):
        made = inner(self, rows, noises)
        batches.extend(made)
        return made

    monkeypatch.setattr(LatentPairData, "batches", kept)
    clip = save_clip(tiny_clip(width=1280), tmp_path / "clip_vision_h.safetensors")
    outcome = videoalign(*words, f"--model.image-encoder={clip}")
    assert outcome.status == 0, outcome.err
    assert batches
    for batch in batches:
        for entry, shape in (("image_latents", (20, 2, 4, 4)), ("image_embeds", (17, 1280))):
            values = batch.conditioning[entry]
            assert values.shape[1:] == shape
            assert all(torch.equal(values[a], values[b]) for a, b in zip(batch.a, batch.b, strict=True))
    reward = load_latent_reward(tmp_path / "run" / "latent_reward.safetensors")
    assert {"image_latents", "image_embeds"} <= set(reward.trunk.needs)
