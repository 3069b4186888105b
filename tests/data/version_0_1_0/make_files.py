"""Makes the files of this folder with videoalign 0.1.0:  python make_files.py CHECKOUT_OF_0_1_0 NEW_FOLDER

The checkout is of commit 7fb4948. Whatever videoalign is installed does not matter: the checkout comes first on the path.
Every command runs inside NEW_FOLDER with relative paths, so that the files fit wherever the folder is copied to.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

CHECKOUT, FOLDER = (Path(argument).resolve() for argument in sys.argv[1:3])
PROMPTS = ["one red circle moves left over a plain grey ground", "two blue squares move up over a plain white ground"]
NETWORK = {
    "patch_size": [1, 2, 2], "num_attention_heads": 1, "attention_head_dim": 12, "in_channels": 16, "out_channels": 16,
    "text_dim": 4096, "freq_dim": 16, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads", "eps": 1e-6,
}  # fmt: skip
TRAINING = [
    "--max-steps", "4", "--batch-size", "2", "--save-every", "2", "--eval-every", "4", "--log-every", "1", "--precision", "float32",
    "--data.train", "pairs.jsonl", "--data.cache", "cache", "--data.width", "64", "--data.height", "64", "--data.frames", "17",
    "--data.fps", "8", "--data.eval-share", "0.4", "--model.vae", "micro_vae.safetensors", "--model.text-encoder", "micro",
    "--optimizer.learning-rate", "1e-3",
]  # fmt: skip
DPO = [
    "train", "dpo", *TRAINING, "--model.transformer", "network", "--lora.rank", "2", "--lora.alpha", "4",
    "--lora.dtype", "float32", "--memory.base-dtype", "float32", "--no-tensorboard",
]  # fmt: skip
LATENT_REWARD = [
    "train", "latent-reward", *TRAINING, "--model.trunk", "network", "--model.blocks", "1", "--model.head-width", "8",
    "--model.lora", "--model.lora-rank", "2", "--model.lora-alpha", "4", "--micro-batch-size", "2", "--evaluation.bins", "2",
]  # fmt: skip
SCORE = ["--model", "reward.safetensors", "--dtype", "float32", "--device", "cpu"]
COMPARE = ["--judge", "micro-world", "--examples", "1"]
GENERATE = ["--model", "micro", "--clips-per-prompt", "1", "--device", "cpu", "--dtype", "float32"]


def main() -> None:
    """Make everything."""
    importable = Path(tempfile.mkdtemp())
    (importable / "videoalign").symlink_to(CHECKOUT, target_is_directory=True)
    sys.path.insert(0, str(importable))
    import torch

    import videoalign

    torch.set_num_threads(1)
    assert videoalign.__version__ == "0.1.0" and Path(videoalign.__file__).is_relative_to(importable)
    FOLDER.mkdir()
    os.chdir(FOLDER)
    Path("micro_vae.safetensors").symlink_to(CHECKOUT / "backbones" / "embedded" / "vae" / "micro_wan_vae.safetensors")
    network()
    pairs()
    reward_and_scores()
    choices()
    trainings()
    Path("prompts.txt").write_text("\n".join(PROMPTS) + "\n", encoding="utf-8")
    generated()
    recorded = measured()
    recorded |= {"times": {str(path): path.stat().st_mtime_ns for path in sorted(Path().rglob("*.mp4"))}}
    recorded["commands"] = {
        "dpo": DPO,
        "latent_reward": LATENT_REWARD,
        "score": SCORE,
        "generate": GENERATE,
        "compare": COMPARE,
    }
    Path("recorded.json").write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    tidy()


def call(*arguments) -> None:
    """One command of 0.1.0, which has to succeed."""
    from videoalign.training.cli import main as videoalign

    try:
        status = videoalign([str(argument) for argument in arguments])
    except SystemExit as stopped:  # --print-config
        status = stopped.code
    assert status == 0, (arguments, status)


def network() -> None:
    """A Wan of two narrow blocks with random weights."""
    import torch

    from videoalign.backbones.loading import build_backbone

    torch.manual_seed(0)
    build_backbone("wan", NETWORK).module.to(torch.bfloat16).save_pretrained("network")


def pairs() -> None:
    """Five pairs of the micro world: videos/, pairs.jsonl and pairs.csv."""
    from videoalign.training.micro_world import write_dataset

    write_dataset(Path(), 5, seed=26)


def reward_and_scores() -> None:
    """The converted tiny VideoReward; score files; a scoring run that was stopped, with a line torn by a kill; pairs of scores."""
    call(
        "convert",
        CHECKOUT / "tests" / "data" / "videoreward" / "checkpoints" / "ckpt_full",
        "--output",
        "reward.safetensors",
    )
    rows = [
        {"id": path.stem, "path": path.as_posix(), "prompt": PROMPTS[0]}
        for path in sorted(Path("videos").iterdir())[:4]
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("scores.csv", "scores.jsonl", "unfinished.jsonl"):
        call("score", "--manifest", "rows.jsonl", *SCORE, "--output", name)
    shutil.rmtree("scores.jsonl.run")  # as people tidy up
    Path("unfinished.jsonl").unlink()
    [part] = Path("unfinished.jsonl.run").glob("part-*.jsonl")
    lines = part.read_text(encoding="utf-8").splitlines(keepends=True)
    part.write_text("".join(lines[:2]) + lines[2][:50], encoding="utf-8")
    call("pairs", "scores.jsonl", "--output", "pairs_of_scores.jsonl")


def choices() -> None:
    """Two people's choices among four clips with every answer there is, merged, and exported."""
    from videoalign.training.choices.session import ChoiceSession

    rows = [json.loads(text) for text in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]
    # Of clips outside of the folder the whole path would be part of a pair's id.
    Path("chosen/videos").mkdir(parents=True)
    for row in rows:
        shutil.copy(row["path"], "chosen/videos")
    lines = [{"path": row["path"], "prompt": PROMPTS[0], "seed": 1, "model": "made up"} for row in rows]
    Path("chosen/clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    answers = ["A", "B", "same", "both_bad"]
    for number, name in enumerate(("Anna", "Ben")):
        session = ChoiceSession(Path("chosen"), name, previews=Path("previews"))
        for place, pair in enumerate(list(session.pairs())[:5]):
            own = {
                dimension: answers[(place + n + number) % 4]
                for n, dimension in enumerate(("VQ", "MQ", "TA", "Overall"))
            }
            session.choose(pair, own)
    call("choose", "merge", "chosen/choices_Anna.jsonl", "chosen/choices_Ben.jsonl", "--output", "merged.jsonl")
    call("choose", "export", "chosen/choices_Anna.jsonl", "--output", "exported.csv")


def trainings() -> None:
    """A LoRA and a latent reward after four steps, the state after two of them, and the options as a file."""
    from contextlib import redirect_stdout
    from io import StringIO

    for name, words in (("dpo", DPO), ("latent_reward", LATENT_REWARD)):
        printed = StringIO()
        with redirect_stdout(printed):
            call("train", words[1], "--print-config")
        Path(f"{name}.toml").write_text(filled_in(printed.getvalue(), words[2:]), encoding="utf-8")
        call(*words, "--output", name)
        shutil.rmtree(f"{name}/checkpoints/state-00000004")


def filled_in(printed: str, words: list[str]) -> str:
    """A printed file of options after somebody has put in the options of a command line."""
    wanted = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            name, plain = word[2:].replace("-", "_"), following.startswith("--")
            value = str(not name.startswith("no_")).lower() if plain else following
            number = plain or value.replace(".", "").replace("e-3", "").isdigit()
            wanted[name.removeprefix("no_")] = (
                value if number else f'["{value}"]' if name == "data.train" else f'"{value}"'
            )
    lines, section = [], ""
    for line in printed.splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        name = section + line.lstrip("# ").partition(" =")[0]
        lines.append(f"{name.rpartition('.')[2]} = {wanted.pop(name)}" if " =" in line and name in wanted else line)
    assert not wanted, wanted
    return "\n".join(lines) + "\n"


def generated() -> None:
    """Two clips each of two settings of the micro model, and their comparison."""
    for name, steps in (("base", 1), ("candidate", 2)):
        call("generate", "prompts.txt", *GENERATE, "--sampling.steps", steps, "--output", name)
    call("compare", "base", "candidate", *SCORE, *COMPARE, "--output", "comparison")


def measured() -> dict:
    """What the LoRA makes of the network's velocity, and what the latent reward says of noise, with its gradient."""
    import torch

    from videoalign.backbones.loading import load_backbone
    from videoalign.reward.latent.reward_file import load_latent_reward
    from videoalign.training.generate.pipeline import merge_lora

    generator = torch.Generator().manual_seed(1)
    x_t = torch.randn(1, 16, 2, 4, 4, generator=generator)
    sigma, conditioning = torch.tensor([0.6]), {"text": torch.randn(1, 5, 4096, generator=generator)}
    backbone = load_backbone(Path("network"), dtype=torch.float32)
    merge_lora(backbone, Path("dpo/lora.safetensors"))
    reward = load_latent_reward(Path("latent_reward/latent_reward.safetensors"), dtype=torch.float32)
    leaf = x_t.clone().requires_grad_()
    rewards = reward.rewards(leaf, sigma, conditioning)
    rewards.sum().backward()
    with torch.no_grad():
        velocity = backbone.velocity(x_t, sigma, conditioning)
    return {
        "velocity": velocity.flatten()[::16].tolist(), "rewards": rewards[0].tolist(), "gradient": leaf.grad.flatten()[::16].tolist(),
    }  # fmt: skip


def tidy() -> None:
    """Remove what is in the repository already or is made anew."""
    for path in ("cache", "previews"):
        shutil.rmtree(path, ignore_errors=True)
    Path("micro_vae.safetensors").unlink()


if __name__ == "__main__":
    main()
