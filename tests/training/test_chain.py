"""Prompts to clips, scores, pairs, a LoRA and a comparison: every stage's own command, on a tiny model of every family."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tiny_qwen
from safetensors.torch import load_file, save_file
from tiny_backbones import save_single, tiny
from tiny_gemma import save_files
from tiny_text import comfyui_state, save_llama_and_clip, sentencepiece_file, tiny_t5
from tiny_vaes import (
    ltx2_metadata,
    ltx_metadata,
    save_vae,
    tiny_hunyuan_video,
    tiny_hunyuan_video15,
    tiny_ltx2,
    tiny_ltx_video,
    tiny_wan21,
)

from videoalign.backbones.text_hunyuan_video import TEMPLATE
from videoalign.micro_world import read_video
from videoalign.reward.latent.reward_file import load_latent_reward

PROMPTS = ["a cat walks over the red hill", "two dogs"]
DIMENSIONS = ("VQ", "MQ", "TA", "Overall")


@dataclass(frozen=True)
class Family:
    """A tiny model's files as users have them, the size of its clips, and the layers that its LoRA has in ComfyUI."""

    network: Path
    vae: Path
    text_encoder: Path | str
    size: tuple[int, int, int]  # frames, height, width
    fps: float
    layers: set[str]  # under ComfyUI's names, N for a block's number
    alphas: bool = True  # in its LoRA files
    unread: frozenset[str] = frozenset()  # layers whose results nothing reads

    @property
    def model(self):
        """Options of ``videoalign generate``."""
        return ["--model", self.network, "--vae", self.vae, "--text-encoder", self.text_encoder]

    @property
    def sampling(self):
        """Likewise."""
        frames, height, width = self.size
        return [
            "--sampling.frames", frames, "--sampling.height", height, "--sampling.width", width, "--sampling.fps", self.fps,
            "--sampling.steps", 2,
        ]  # fmt: skip


def wan(folder):
    """The text encoder's file has its tokenizer inside."""
    save_file(comfyui_state(tiny_t5("umt5"), sentencepiece_file()), folder / "umt5.safetensors")
    return Family(
        save_single(tiny("wan-t2v", text_dim=32), folder / "network.safetensors"),
        save_vae(tiny_wan21(), folder / "vae.safetensors"),
        folder / "umt5.safetensors",
        (9, 32, 48),
        16,
        {f"blocks.N.{attention}.{part}" for attention in ("self_attn", "cross_attn") for part in "qkvo"},
    )


def ltx_video(folder):
    """The text encoder's tokenizer lies beside its file."""
    save_file(comfyui_state(tiny_t5("t5")), folder / "t5xxl.safetensors")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(sentencepiece_file())
    return Family(
        save_single(tiny("ltx-video", caption_channels=32), folder / "network.safetensors"),
        save_vae(tiny_ltx_video(), folder / "vae.safetensors", ltx_metadata()),
        folder / "t5xxl.safetensors",
        (9, 64, 96),
        25,
        {f"transformer_blocks.N.attn{n}.{part}" for n in (1, 2) for part in ("to_q", "to_k", "to_v", "to_out.0")},
    )


def hunyuan_video(folder):
    """Two text encoders in a diffusers folder; ComfyUI's network has q, k and v of an attention in one layer."""
    return Family(
        save_single(tiny("hunyuan-video", text_embed_dim=32, pooled_projection_dim=16), folder / "network.safetensors"),
        save_vae(tiny_hunyuan_video(), folder / "vae.safetensors"),
        save_llama_and_clip(folder, [TEMPLATE, *PROMPTS]),
        (9, 32, 48),
        24,
        {f"double_blocks.N.{side}_attn.{part}" for side in ("img", "txt") for part in ("qkv", "proj")}
        | {"single_blocks.N.linear1"},
    )


def hunyuan_video15(folder):
    """The text encoder is two files, one of them for what a prompt quotes."""
    return Family(
        save_single(tiny("hunyuan-video-1.5", text_embed_dim=128), folder / "network.safetensors"),
        save_vae(tiny_hunyuan_video15(), folder / "vae.safetensors"),
        tiny_qwen.save_files(folder),
        (9, 32, 48),
        24,
        {f"double_blocks.N.{side}_attn.{part}" for side in ("img", "txt") for part in ("qkv", "proj")},
        unread=frozenset({"double_blocks.2.txt_attn.proj"}),
    )


def ltx2(folder):
    """The text encoder is two files; the network's holds the sound too, which no LoRA changes."""
    return Family(
        save_single(tiny("ltx-2.3"), folder / "network.safetensors"),
        save_vae(tiny_ltx2(), folder / "vae.safetensors", ltx2_metadata()),
        save_files(folder, "ltx-2.3"),
        (9, 64, 96),
        24,
        {f"transformer_blocks.N.attn{n}.{part}" for n in (1, 2) for part in ("to_q", "to_k", "to_v", "to_out.0")},
        alphas=False,
    )


# The other networks take minutes together; each of their parts is in a faster test.
OTHERS = [pytest.param(family, marks=pytest.mark.slow) for family in (ltx_video, hunyuan_video, hunyuan_video15)]


@pytest.fixture(params=[wan, *OTHERS, ltx2], ids=lambda family: family.__name__)
def family(request, tmp_path):
    (tmp_path / "model").mkdir()
    return request.param(tmp_path / "model")


@pytest.fixture
def run(videoalign):
    """Call ``videoalign ARGUMENTS``, which has to succeed; returns what it printed."""

    def call(*arguments):
        outcome = videoalign(*arguments)
        assert outcome.status == 0, outcome.err
        return outcome.out

    return call


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_clips(folder, family):
    """The listed clips are there, and are moving pictures of the size that was asked for; returns all their frames."""
    rows = read_lines(folder / "clips.jsonl")
    assert [(row["prompt"], row["seed"]) for row in rows] == [(prompt, seed) for prompt in PROMPTS for seed in (0, 1)]
    clips = [read_video(folder / row["path"]) for row in rows]
    assert {(frames.shape, fps) for frames, fps in clips} == {((*family.size, 3), family.fps)}
    videos = np.stack([frames for frames, _ in clips]).astype(float)
    assert all(frames.std() > 1 and np.abs(np.diff(frames, axis=0)).mean() > 0.1 for frames in videos)
    assert all(np.abs(videos[a] - videos[b]).mean() > 1 for a in range(4) for b in range(a))
    return videos


def check_lora(file, family):
    """The LoRA has A, B and, where its family's files do, alpha for just the expected layers of the network's file, in their sizes, and has learnt."""
    lora, network = load_file(file), load_file(family.network)
    stems = {name.removesuffix(".lora_A.weight") for name in lora if name.endswith(".lora_A.weight")}
    tails = [".lora_A.weight", ".lora_B.weight", *([".alpha"] if family.alphas else [])]
    assert set(lora) == {stem + tail for stem in stems for tail in tails}
    found = {stem.removeprefix("diffusion_model.") for stem in stems}
    known = {name.removesuffix(".weight") for name in network} - family.unread
    assert found == {layer for layer in known if re.sub(r"\.\d+\.", ".N.", layer, count=1) in family.layers}
    assert {re.sub(r"\.\d+\.", ".N.", layer, count=1) for layer in found} == family.layers
    for layer in found:
        down, up = (lora[f"diffusion_model.{layer}.lora_{side}.weight"] for side in "AB")
        assert [*up.shape[:1], *down.shape[1:]] == list(network[f"{layer}.weight"].shape), layer
        assert up.isfinite().all() and up.any(), layer


def check_comparison(folder):
    """The page shows every pair, and the report's numbers are those of the two sides' scores."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    (table,) = report["judges"].values()
    base, aligned = (
        {row["id"]: row for row in read_lines(folder / f"scores_{side}.jsonl")} for side in ("base", "candidate")
    )
    assert report["pairs"] == len(base) == len(aligned) == 4
    for name in DIMENSIONS:
        leads = [aligned[clip][name] - base[clip][name] for clip in base]
        equal = 0.005  # what two decimals do not show
        wins, ties = sum(lead > equal for lead in leads), sum(abs(lead) <= equal for lead in leads)
        found = table[name]
        assert (found["wins"], found["ties"], found["losses"]) == (wins, ties, 4 - wins - ties)
        assert found["rate"] == (wins + ties / 2) / 4 and found["low"] <= found["rate"] <= found["high"]
        assert found["lead"] == pytest.approx(sum(leads) / 4)
    page = (folder / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'"file": "([^"]+)"', page)
    assert len(set(shown)) == 8 and all((folder / "clips" / file).is_file() for file in shown)
    assert "aligned against base" in page and all(page.count(prompt) == 2 for prompt in PROMPTS)


def test_each_stage_takes_what_the_stage_before_wrote(family, run, tmp_path):
    prompts, scores, pairs, trained = (
        tmp_path / name for name in ("prompts.txt", "scores.jsonl", "pairs.jsonl", "run")
    )
    prompts.write_text("\n".join(PROMPTS), encoding="utf-8")
    base, aligned, lora = tmp_path / "base", tmp_path / "aligned", trained / "lora.safetensors"
    generate = ["generate", prompts, *family.model, *family.sampling, "--clips-per-prompt", 2, "--device", "cpu"]

    run(*generate, "--output", base)
    before = check_clips(base, family)

    run("score", "--manifest", base / "clips.jsonl", "--model", "micro", "--output", scores, "--device", "cpu")
    scored = {row["id"]: row for row in read_lines(scores)}
    assert list(scored) == [row["id"] for row in read_lines(base / "clips.jsonl")]
    assert all(np.isfinite(row[name]) for row in scored.values() for name in DIMENSIONS)

    run("pairs", scores, "--output", pairs)
    written = read_lines(pairs)
    assert {pair["prompt"] for pair in written} == set(PROMPTS)
    for pair in written:
        own = {Path(row["path"]).name: row["Overall"] for row in scored.values() if row["prompt"] == pair["prompt"]}
        best, worst = (max(own, key=own.get), min(own, key=own.get))
        assert [(pairs.parent / pair[side]).resolve() for side in ("chosen", "rejected")] == [
            (base / "videos" / name).resolve() for name in (best, worst)
        ]

    frames, height, width = family.size
    run(
        "train", "dpo", "--precision", "float32", "--data.train", pairs, "--output", trained, "--data.eval-share", "0.5", "--data.frames", frames,
        "--data.height", height, "--data.width", width, "--data.fps", family.fps, "--model.transformer", family.network,
        "--model.vae", family.vae, "--model.text-encoder", family.text_encoder, "--max-steps", 3, "--batch-size", 1,
        "--lora.rank", 2, "--lora.alpha", 4, "--optimizer.learning-rate", "1e-2", "--no-tensorboard",
    )  # fmt: skip
    check_lora(lora, family)
    inspected = json.loads(run("lora", "inspect", lora, "--model", family.network, "--json"))
    assert inspected["unmatched"] == [] and inspected["matched"] == (2 + family.alphas) * inspected["modules"]

    run(*generate, "--output", aligned, "--lora", lora)
    after = check_clips(aligned, family)
    assert all(np.abs(first - second).mean() > 0.1 for first, second in zip(before, after, strict=True))

    told = run("compare", base, aligned, "--model", "micro", "--output", tmp_path / "comparison", "--device", "cpu")
    assert "aligned against base: share of 4 pairs won" in told
    check_comparison(tmp_path / "comparison")


@pytest.mark.slow  # half a minute each; each loss and each of these networks is in a faster test
@pytest.mark.parametrize(("made", "name"), [(ltx2, "ltx-2"), (hunyuan_video15, "hunyuan-video-1.5")])
def test_every_trainer_takes_the_newer_networks(made, name, run, tmp_path):
    """Rewards of single clips, the chosen ones alone, and a latent reward on the network's first blocks."""
    (tmp_path / "model").mkdir()
    family = made(tmp_path / "model")
    prompts, scores, pairs = (tmp_path / name for name in ("prompts.txt", "scores.jsonl", "pairs.jsonl"))
    prompts.write_text("\n".join(PROMPTS), encoding="utf-8")
    run(
        "generate", prompts, *family.model, *family.sampling, "--clips-per-prompt", 2, "--device", "cpu", "--output",
        tmp_path / "base",
    )  # fmt: skip
    run(
        "score",
        "--manifest",
        tmp_path / "base" / "clips.jsonl",
        "--model",
        "micro",
        "--output",
        scores,
        "--device",
        "cpu",
    )
    run("pairs", scores, "--output", pairs)
    frames, height, width = family.size
    shared = [
        "--precision", "float32", "--data.train", pairs, "--data.eval-share", "0.5", "--data.frames", frames, "--data.height", height,
        "--data.width", width, "--data.fps", family.fps, "--model.vae", family.vae, "--model.text-encoder", family.text_encoder,
        "--max-steps", 2, "--batch-size", 1, "--optimizer.learning-rate", "1e-2",
    ]  # fmt: skip
    for method in ("sft", "rwr", "rvm"):
        more = ["--data.clips", scores] if method == "rvm" else []
        run(
            "train", method, *shared, *more, "--model.transformer", family.network, "--lora.rank", 2, "--lora.alpha", 4, "--output",
            tmp_path / method, "--no-tensorboard",
        )  # fmt: skip
        check_lora(tmp_path / method / "lora.safetensors", family)
    run(
        "train",
        "latent-reward",
        *shared,
        "--model.trunk",
        family.network,
        "--model.blocks",
        2,
        "--output",
        tmp_path / "reward",
    )
    reward = load_latent_reward(next((tmp_path / "reward").glob("*.safetensors")))
    assert (reward.trunk.name, len(reward.trunk.blocks), reward.trunk.total_blocks) == (name, 2, 3)
