"""``videoalign align --stop-on-hacking`` on a tiny random Wan, with a reward that likes what another judge dislikes."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small_alignment import arguments, files

from videoalign.cli.main import main
from videoalign.judges import register_judge, unregister_judge
from videoalign.reward.judge import ClipMarks, Dimension, Judge

__all__ = ["files"]
PROMPTS = [f"one {colour} {shape} moves {way}" for colour in ("red", "blue") for shape in ("circle", "cross") for way in ("left", "right", "up", "down")]  # fmt: skip


class ByFolder(Judge):
    """Marks a clip by the folder that it lies in, and a little by its own number."""

    def __init__(self, name, marks):
        self.name = self.title = name
        self.dimensions = tuple(Dimension(one, one, "points") for one in ("VQ", "MQ", "TA"))
        self.marks = marks

    def identity(self):
        return {"by folder": self.name}

    def prepare(self, source, fps=None):
        path = Path(source)
        return self.marks(path) + sum(map(ord, path.stem)) % 7

    def score_prepared(self, clips, captions):
        return [
            [ClipMarks(dict.fromkeys(("VQ", "MQ", "TA"), mark), text, 5, 16.0) for text in texts]
            for mark, texts in zip(clips, captions, strict=True)
        ]


@pytest.fixture
def judges():
    """The reward gains in every round; what watches falls from the second round on."""
    fell = [2]
    register_judge("paid", lambda source, options: ByFolder("paid", lambda path: float("aligned" in path.parts)))
    register_judge(
        "watching",
        lambda source, options: ByFolder(
            "watching", lambda path: -float("aligned" in path.parts and f"round_{fell[0]}" in path.parts)
        ),
    )
    yield fell
    for name in ("paid", "watching"):
        unregister_judge(name)


@pytest.fixture
def align(files, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(PROMPTS), encoding="utf-8")

    def call(*options):
        words = arguments(
            files, tmp_path / "out", "--held-out", "0.5", "--judge", "watching", "--stop-on-hacking", *options
        )
        words[words.index(str(files / "prompts.txt"))] = str(prompts)
        words[words.index("--reward") + 1] = "paid"
        return main(words)

    return call


def verdict(folder, number):
    return json.loads((folder / f"round_{number}" / "comparison" / "report.json").read_text())["verdict"]["outcome"]


@pytest.mark.long
def test_the_lora_of_the_round_before_the_hack_is_kept(align, judges, tmp_path, capsys):
    out = tmp_path / "out"
    assert align("--rounds", "3") == 1
    assert (verdict(out, 1), verdict(out, 2)) == ("gained", "hacked")
    assert "Stopped after round 2" in capsys.readouterr().out and not (out / "round_3").exists()
    kept, first = load_file(out / "lora.safetensors"), load_file(out / "round_1" / "training" / "lora.safetensors")
    assert all((kept[name] == tensor).all() for name, tensor in first.items())
    assert not (out / "round_2" / "comparison" / "base").exists()  # the first round's clips without a LoRA serve again
    judges[0] = 1  # the same folder, judged anew
    for number in (1, 2):
        for scores in (out / f"round_{number}" / "comparison").glob("scores_*"):
            scores.rename(scores.with_name("old_" + scores.name))
    (out / "lora.safetensors").unlink()
    assert align("--rounds", "3") == 1
    told = capsys.readouterr().out
    assert "Stopped after round 1" in told and "No LoRA is kept" in told and not (out / "lora.safetensors").exists()
