"""The first hour on a CPU: 20 prompts, the micro model, and as few options as are needed to make it short.

What is said has to be true and of use: nothing complains of a default, nothing is concluded from one pair, and the end is a LoRA that does
something, or a sentence that says what is missing.
"""

import itertools
import json
import re

import pytest
from safetensors.torch import load_file

from videoalign.backbones.micro_files import MICRO_NETWORK
from videoalign.micro_world.scene import COLOURS, DIRECTIONS
from videoalign.reward.guard.verdict import Outcome

pytestmark = [
    pytest.mark.long,  # two trainings of the micro model
    pytest.mark.skipif(not MICRO_NETWORK.exists(), reason="the micro model is not in backbones/embedded"),
]

SHORT = ["--sampling.steps=1", "--sampling.frames=5"]
PROMPTS = [
    f"one {colour} circle moves {direction} over a plain grey ground"
    for colour, direction in itertools.islice(itertools.product(COLOURS, DIRECTIONS), 20)
]
COMPLAINTS = (
    "WARNING",
    "larger than the",
    "rows to train on",
    "+- 1.00",
    "mean nothing",
    "no visible effect",
    "diverged",
    "swapped",
)


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"{prompt}\n" for prompt in PROMPTS))
    return file


def check_said(text):
    assert not [complaint for complaint in COMPLAINTS if complaint in text], text


def check_lora(file):
    assert any(
        tensor.abs().max() > 1e-4 for name, tensor in load_file(file).items() if "lora_B" in name or "lora_up" in name
    )


def test_command_by_command_from_prompts_to_a_compared_lora(videoalign, prompts, tmp_path):
    clips, lora, both = tmp_path / "clips", tmp_path / "lora", tmp_path / "comparison"
    scores, pairs = tmp_path / "scores.jsonl", tmp_path / "pairs.jsonl"
    small = ["--clips-per-prompt=2", *SHORT]
    training = ["--preset=micro", f"--data.train={pairs}", "--data.frames=5", "--max-steps=8", f"--output={lora}"]
    said = []
    for command in (
        ["generate", prompts, f"--output={clips}", *small],
        ["score", "--model=micro", f"--manifest={clips / 'clips.jsonl'}", f"--output={scores}"],
        ["pairs", scores, f"--output={pairs}"],
        ["train", "dpo", *training],
        ["generate", prompts, f"--output={tmp_path / 'with'}", f"--lora={lora / 'lora.safetensors'}", *small],
        ["compare", clips, tmp_path / "with", f"--output={both}"],
    ):
        outcome = videoalign(*map(str, command))
        assert outcome.status == 0, (command, outcome.err)
        said.append(outcome.out + outcome.err)
        check_said(said[-1])
    trained = said[3]
    assert "19 pairs of 19" in trained and "1 pair held out; 8 steps." in trained
    assert trained.count("of 1 pair, too few to tell whether it is learning") <= 2  # once, and at the end
    check_lora(lora / "lora.safetensors")
    report = json.loads((both / "report.json").read_text())
    assert report["verdict"]["outcome"] in [one.value for one in Outcome]
    assert report["verdict"]["sentence"] in said[-1].replace("\n", " ")


@pytest.mark.slow  # half a minute; test_align_command.py has the command
def test_align_alone_does_the_same(videoalign, prompts, tmp_path):
    folder = tmp_path / "aligned"
    few = ["--clips-per-prompt=2", "--compare-clips=1", "--steps=8"]
    outcome = videoalign("align", str(prompts), f"--output={folder}", *few, *SHORT)
    assert outcome.status == 0, outcome.err
    check_said(outcome.out + outcome.err)
    check_lora(folder / "lora.safetensors")
    assert "is the LoRA; copy it into ComfyUI's models/loras" in outcome.out
    # A fifth of 20 prompts would be four, of which no verdict can be told.
    assert len((folder / "held_out_prompts.jsonl").read_text().splitlines()) == 6
    assert "Verdict: " in outcome.out and "6 are needed" not in outcome.out


def test_prompts_of_another_form_or_with_another_word_are_told_with_one_that_is_known(videoalign, prompts, tmp_path):
    prompts.write_text(PROMPTS[0].replace("one", "a") + "\n")
    said = videoalign("generate", str(prompts), f"--output={tmp_path / 'a'}", "--clips-per-prompt=1", *SHORT).err
    assert re.search(r"1 of 1 prompts have another form.*'one', not 'a'", said)
    prompts.write_text("a cat on a sofa\n")
    outcome = videoalign("generate", str(prompts), f"--output={tmp_path / 'b'}", *SHORT)
    assert (
        outcome.status == 1 and "unknown word 'cat'" in outcome.err and "A caption reads like 'two red" in outcome.err
    )
