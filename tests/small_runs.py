"""Every command that writes something, on the smallest models and clips that are real: what it reads, and how it is called.

For tests of what happens to all of them alike: full disks, kills.
"""

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

TESTS = Path(__file__).parent
STARTED = TESTS / "data" / "version_0_1_0"
CHECKPOINT = TESTS / "data" / "videoreward" / "checkpoints" / "ckpt_full"
PROMPTS = [f"one {colour} circle moves left over a plain grey ground" for colour in ("red", "blue", "green")]
DPO = """
batch_size = 2
precision = "float32"
tensorboard = false
save_every = 1
[lora]
rank = 2
alpha = 4
dtype = "float32"
[memory]
base_dtype = "float32"
[optimizer]
learning_rate = 1e-3
[data]
eval_share = 0.0
"""
OUT = "{output}"
_SMALL = "--sampling.frames 5 --sampling.width 32 --sampling.height 32 --sampling.steps 2"
_MODEL = "--model network.safetensors --vae vae.safetensors --text-encoder micro"
_TRAINING = f"--output {OUT}/run --max-steps 3 --batch-size 2 --save-every 1 --eval-every 2 --log-every 1 --data.train data/pairs.jsonl"
_ENCODED = "--data.width 32 --data.height 32 --data.frames 5 --data.fps 8"
_FLOW = (
    f"{_TRAINING} {_ENCODED} --data.eval-share 0.34 --precision float32 --no-tensorboard --model.transformer network.safetensors "
    "--model.vae vae.safetensors --model.text-encoder micro --lora.rank 2 --lora.alpha 4 --lora.dtype float32 "
    "--memory.base-dtype float32 --evaluation.levels 2 --optimizer.learning-rate 1e-3"
)


@dataclass(frozen=True)
class SmallRun:
    """A command line in the folder of ``make_world``; OUT stands for the folder that it writes to.

    Attributes:
        results: what it has made when it is done. Of these are the same however often it was stopped: all but pages, and but
            paths that are relative to the output.
    """

    words: str
    results: tuple[str, ...]

    def arguments(self, output: Path) -> list[str]:
        return [word.replace(OUT, str(output)) for word in self.words.split()]


RUNS = {
    "score": SmallRun(
        f"score --manifest rows.jsonl --model reward.safetensors --dtype float32 --device cpu --output {OUT}/scores.csv",
        ("scores.csv",),
    ),
    "measure": SmallRun(f"measure data --output {OUT}/measured.csv --page {OUT}/measured.html", ("measured.csv",)),
    "convert": SmallRun(f"convert {CHECKPOINT} --output {OUT}/reward.safetensors", ("reward.safetensors",)),
    "bench": SmallRun(
        f"bench data/pairs.jsonl --model reward.safetensors --dtype float32 --device cpu --resamples 5 --output {OUT}/bench",
        ("bench/out_single.csv", "bench/accuracy.json", "bench/agreement.json", "bench/scores.jsonl"),
    ),
    "bench vbench-total": SmallRun(
        f"bench vbench-total vbench.json --output {OUT}/vbench_total.json", ("vbench_total.json",)
    ),
    "generate": SmallRun(
        f"generate prompts.txt --output {OUT}/clips --clips-per-prompt 2 --device cpu {_MODEL} {_SMALL}",
        ("clips/clips.jsonl", *(f"clips/videos/0000{prompt}_{seed}.mp4" for prompt in range(3) for seed in range(2))),
    ),
    "search": SmallRun(
        f"search prompts.txt --output {OUT}/found --clips-per-prompt 2 --look 1 --judge videoreward:reward.safetensors --device cpu "
        f"{_MODEL} {_SMALL}",
        ("found/clips.jsonl", "found/search.jsonl", "found/drafts.jsonl"),
    ),
    "filter": SmallRun(
        f"filter scores.jsonl --output {OUT}/filtered --keep VQ>0",
        ("filtered/clips.jsonl", "filtered/dropped.jsonl", "filtered/musubi-tuner.jsonl", "filtered/index.html"),
    ),
    "pairs": SmallRun(f"pairs scores.jsonl --output {OUT}/pairs.jsonl", ("pairs.jsonl",)),
    "choose merge": SmallRun(
        f"choose merge chosen/choices_Anna.jsonl chosen/choices_Ben.jsonl --output {OUT}/merged.jsonl", ("merged.jsonl",)
    ),
    "choose export": SmallRun(
        f"choose export chosen/choices_Anna.jsonl --output {OUT}/exported.csv", ("exported.csv",)
    ),
    "compare": SmallRun(
        f"compare base candidate --model reward.safetensors --dtype float32 --device cpu --output {OUT}/comparison",
        ("comparison/report.json", "comparison/scores_base.jsonl", "comparison/index.html", "comparison/clips/01_base.mp4"),
    ),
    "demo": SmallRun(f"demo --output {OUT}/demo", ("demo/clean.mp4", "demo/index.html")),
    "lora convert": SmallRun(
        f"lora convert lora.safetensors --model network.safetensors --output {OUT}/converted.safetensors",
        ("converted.safetensors",),
    ),
    "lora export": SmallRun(
        f"lora export {STARTED}/dpo --model {STARTED}/network --output {OUT}/exported.safetensors", ("exported.safetensors",)
    ),
    "train dpo": SmallRun(f"train dpo {_FLOW}", ("run/lora.safetensors", "run/log.jsonl", "run/curves.html")),
    "train rvm": SmallRun(f"train rvm {_FLOW} --data.prefer weighted", ("run/lora.safetensors", "run/log.jsonl")),
    "train rwr": SmallRun(
        f"train rwr {_FLOW} --data.prefer weighted --rwr.temperature 0.5", ("run/lora.safetensors", "run/log.jsonl")
    ),
    "train sft": SmallRun(f"train sft {_FLOW}", ("run/lora.safetensors", "run/log.jsonl")),
    "train latent-reward": SmallRun(
        f"train latent-reward {_TRAINING} {_ENCODED} --data.eval data/pairs.jsonl --model.trunk network.safetensors --model.vae "
        "vae.safetensors --model.text-encoder micro --model.blocks 1 --model.head-width 8 --optimizer.learning-rate 1e-3 "
        "--evaluation.bins 2",
        ("run/latent_reward.safetensors", "run/log.jsonl"),
    ),
    "train video-reward": SmallRun(
        f"train video-reward {_TRAINING} --data.eval data/pairs.jsonl --data.fps 8 --data.min-frame-pixels 3136 "
        "--data.max-frame-pixels 3136 --data.template micro --model.base base_model --model.lora-rank 4 --model.lora-alpha 8 "
        "--model.torch-dtype float32 --optimizer.learning-rate 1e-3",
        ("run/videoreward.safetensors", "run/model_config.json", "run/log.jsonl"),
    ),
    "align": SmallRun(
        f"align prompts.txt --output {OUT}/aligned --reward reward.safetensors --device cpu --clips-per-prompt 2 --compare-clips 1 "
        f"--steps 3 --train dpo.toml {_MODEL} {_SMALL}",
        ("aligned/lora.safetensors", "aligned/round_1/scores.jsonl", "aligned/round_1/comparison/report.json"),
    ),
}  # fmt: skip


def make_world(folder: Path) -> Path:
    """Write what the runs read; they are called with this as the working directory."""
    from tiny_backbones import original_state, tiny
    from tiny_vaes import tiny_wan21

    from videoalign.evaluation.bench.vbench_total import QUALITY, SEMANTIC
    from videoalign.micro.video_reward.base_model import write_base_model
    from videoalign.micro_world import write_dataset
    from videoalign.preferences.choices.session import ChoiceSession
    from videoalign.reward.checkpoint_files import open_checkpoint
    from videoalign.reward.converted_file import save_converted
    from videoalign.reward.loading import read_official

    save_file(original_state(tiny("wan-t2v")), folder / "network.safetensors")
    vae = {name: value.contiguous() for name, value in tiny_wan21().original_state_dict().items()}
    save_file(vae, folder / "vae.safetensors")
    save_converted(folder / "reward.safetensors", read_official(open_checkpoint(CHECKPOINT)))
    write_base_model(folder / "base_model", "micro", seed=0)
    write_dataset(folder / "data", 6, seed=5)
    (folder / "prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    dimensions = [*QUALITY, *SEMANTIC]
    (folder / "vbench.json").write_text(json.dumps({name: [0.5, []] for name in dimensions}), encoding="utf-8")
    (folder / "dpo.toml").write_text(DPO, encoding="utf-8")
    pairs = [json.loads(line) for line in (folder / "data" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    sides = ("chosen", "rejected")
    clips = [(f"data/{pair[side]}", pair["prompt"]) for pair in pairs for side in sides]
    _lines(folder / "rows.jsonl", [{"path": path, "prompt": prompt} for path, prompt in clips])
    marks = [{name: (-1) ** number * 0.5 for name in ("VQ", "MQ", "TA", "Overall")} for number in range(len(clips))]
    _lines(
        folder / "scores.jsonl",
        [{"path": path, "prompt": prompt, **mark} for (path, prompt), mark in zip(clips, marks, strict=True)],
    )
    for name, side in (("candidate", "chosen"), ("base", "rejected")):
        (folder / name).mkdir()
        rows = [
            {
                "id": f"{number:05d}_0",
                "path": f"../data/{pair[side]}",
                "prompt": pair["prompt"],
                "seed": 0,
                "model": name,
            }
            for number, pair in enumerate(pairs)
        ]
        _lines(folder / name / "clips.jsonl", list({row["prompt"]: row for row in rows}.values()))
    (folder / "chosen").mkdir()
    paths = [{"path": f"../{path}", "prompt": "a circle"} for path, _ in clips[:4]]
    _lines(folder / "chosen" / "clips.jsonl", paths)
    for person in ("Anna", "Ben"):
        session = ChoiceSession(folder / "chosen", person, previews=folder / "previews")
        for pair in session.pairs():
            session.choose(pair, {"Overall": "A"})
    generator = torch.Generator().manual_seed(3)
    key = "diffusion_model.blocks.0.self_attn.q"
    parts = {"lora_A.weight": (2, 128), "lora_B.weight": (128, 2)}
    lora = {f"{key}.{name}": torch.randn(shape, generator=generator) for name, shape in parts.items()}
    save_file({**lora, f"{key}.alpha": torch.tensor(4.0)}, folder / "lora.safetensors")
    return folder


def result_of(run: SmallRun, output: Path) -> dict[str, object]:
    """What a run has made, in a form that is equal for equal results: digests of tensors, lines, bytes."""
    found: dict[str, object] = {}
    for name in run.results:
        path = output / name
        if not path.is_file():
            found[name] = "missing"
        elif path.suffix == ".safetensors":  # its metadata may have dates
            found[name] = {
                key: hashlib.sha256(value.reshape(-1).view(torch.uint8).numpy()).hexdigest()
                for key, value in load_file(path).items()
            }
        elif path.suffix == ".html":
            found[name] = "a page"
        else:
            found[name] = (
                path.read_text(encoding="utf-8") if path.suffix in (".csv", ".json", ".jsonl") else path.read_bytes()
            )
            if path.suffix in (".csv", ".jsonl") and run.words.startswith(("pairs", "choose")):  # relative paths
                found[name] = len(path.read_text(encoding="utf-8").splitlines())
            elif isinstance(found[name], str):
                # Paths of clips are relative to the file, so that they depend on where the output lies.
                found[name] = re.sub(r"(\.\./)+", "../", found[name].replace(str(output), OUT))
    return found


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="session")
def small_world(tmp_path_factory):
    """The folder of ``make_world``."""
    return make_world(tmp_path_factory.mktemp("small_world"))


@pytest.fixture
def in_small_world(small_world, monkeypatch):
    """Likewise, as the working directory."""
    monkeypatch.chdir(small_world)
    return small_world


class WholeRuns:
    """What the runs make when nothing comes between; each is run once, when it is asked for.

    Attributes:
        writes: by run, how often it brought something to the disk.
    """

    def __init__(self, folder: Path, world: Path) -> None:
        self.folder, self.writes, self._world, self._results = folder, Counter(), world, {}

    def __getitem__(self, name: str) -> dict[str, object]:
        from videoalign.cli.main import main

        if name not in self._results:
            output = self.output(name)
            output.mkdir()
            with pytest.MonkeyPatch.context() as patched:
                real = os.fsync
                patched.setattr(os, "fsync", lambda number: self.writes.update([name]) or real(number))
                patched.chdir(self._world)
                assert main(RUNS[name].arguments(output)) == 0
            self._results[name] = result_of(RUNS[name], output)
            assert "missing" not in self._results[name].values()
        return self._results[name]

    def output(self, name: str) -> Path:
        return self.folder / name.replace(" ", "_")


@pytest.fixture(scope="session")
def whole_runs(small_world, tmp_path_factory):
    return WholeRuns(tmp_path_factory.mktemp("whole_runs"), small_world)
