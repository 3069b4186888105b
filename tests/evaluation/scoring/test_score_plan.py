"""``videoalign plan score``: what it counts against the same pass on real numbers, and what it says of cards and of cores."""

import os
import re

import pytest
import torch
from measured_memory import allocated
from torch.utils.flop_counter import FlopCounterMode

from videoalign.cli.main import main
from videoalign.evaluation.score_command import Config
from videoalign.evaluation.scoring.score_plan import _pace, plan_score
from videoalign.evaluation.scoring.score_rows import rows_from_inputs
from videoalign.planning.cards import Card
from videoalign.reward.loading import load_video_reward

CLOSE = 0.1  # the aim; what differs is what the kernels need inside of themselves
CAPTIONS = ["a cat", "a dog that runs over a field of snow"]


@pytest.fixture
def planned(shipped, checkpoints):
    paths = [str(shipped / "clips" / f"{name}.mp4") for name in ("s05_10fps_3f_96x64", "s07_10fps_5f_96x64")]
    config = Config(clips=paths, model=str(checkpoints / "ckpt_full"), prompt=CAPTIONS, dtype="float32")
    return config, plan_score(config, rows_from_inputs(config.clips, config.prompt))


def test_a_pass_takes_what_was_counted(planned, checkpoints):
    config, plan = planned
    reward = load_video_reward(checkpoints / "ckpt_full", dtype=torch.float32, device="cpu")
    prepared = [reward.prepare(path) for path in config.clips]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for clip in prepared:
            reward.read(clip, CAPTIONS)
    assert plan.operations == counter.get_total_flops()
    weights, activations, waiting = plan.parts
    held = [*reward.network.parameters(), *reward.network.buffers()]
    assert weights.size == sum(tensor.nbytes for tensor in held)
    largest = max(prepared, key=lambda clip: clip.video_tokens)
    with torch.no_grad():
        taken = allocated(lambda: reward.read(largest, CAPTIONS))
    assert activations.size == pytest.approx(taken, rel=CLOSE)
    assert waiting.size % largest.patches.nbytes == 0


def test_the_command_tells_all_of_it_and_writes_nothing(shipped, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = shipped / "clips" / "s05_10fps_3f_96x64.mp4"
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    words = [
        tmp_path / "broken.mp4",
        path,
        "--model",
        "micro",
        "--prompt",
        "a red circle moves left",
        "--output",
        tmp_path / "o.csv",
    ]
    assert main(["plan", "score", *map(str, words)]) == 0
    told = capsys.readouterr().out
    assert "2 rows of 2 readings of a clip, with one caption each." in told
    assert re.search(r"Reading a clip takes \d+\.\d\d CPU seconds on this machine \(measured on 1;", told)
    assert re.search(r"H200 141 GB +fits; less than a minute of arithmetic; as fast as clips can be read", told)
    assert sorted(os.listdir(tmp_path)) == ["broken.mp4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--judge", "measures"], "Only a VideoReward's scoring is counted"),
        (["--judge", "videoreward:micro", "--judge", "measures"], "Only a VideoReward's scoring is counted"),
        (["--model", "micro"], "broken.mp4"),
    ],
)
def test_what_cannot_be_counted_is_said(tmp_path, capsys, words, message):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert main(["plan", "score", str(tmp_path / "broken.mp4"), *words]) == 1
    assert message in capsys.readouterr().err


def test_cores_are_those_that_bring_what_the_card_scores():
    card = Card("a card", 24.0, 100.0)  # 40 of 100 TFLOP a second: 4 clips of 10
    assert _pace(card, 10e12, 0.6) == "; 4 clips a second, which 3 cores like these can read"
    assert _pace(card, 10e12, 0.2) == "; 4 clips a second, which 1 core like these can read"
    assert _pace(card, 1e9, 0.2) == "; as fast as clips can be read"
