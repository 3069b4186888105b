"""The parts of the comparison with the official code that need nothing of it: the checkpoint, and our side's process."""

import sys

import torch
from official_checkpoint import Case, write_checkpoint
from official_speed import OURS, Side, Times, difference
from synthetic_checkpoint import SHIPPED, Sizes

from videoalign.reward.loading import load_video_reward

CLIP = SHIPPED.parent / "clips" / "s02_8fps_16f_320x240.mp4"
SMALL = Sizes(
    layers=1, hidden=128, intermediate=64, keys=128, vocabulary=1217, depth=1, embed=80, mlp=160, rank=4, alpha=8
)


def test_a_checkpoint_of_any_size_loads_with_its_base_model(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "small", Case("small", SMALL))
    reward = load_video_reward(checkpoint, device="cpu")
    assert reward.dtype == torch.float32
    shape = reward.network.state_dict()
    assert shape["language_model.layers.0.mlp.up_proj.weight"].shape == (64, 128)
    assert shape["visual.blocks.0.mlp.fc1.weight"].shape == (160, 80)
    written = (checkpoint / "model_config.json").stat().st_mtime_ns
    assert write_checkpoint(tmp_path / "small", Case("small", SMALL)) == checkpoint  # what is there is kept
    assert (checkpoint / "model_config.json").stat().st_mtime_ns == written


def test_our_process_scores_as_the_model_does_and_counts_its_seconds(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "tiny", Case("the shipped one"))
    captions, times = ["a cat", "a dog"], Times()
    with Side([sys.executable, "-c", OURS, "no checkout", checkpoint]) as ours:
        several = ours.ask([str(CLIP)], captions)
        batch = ours.ask([str(CLIP)] * 2, captions, times)
    scores = load_video_reward(checkpoint, device="cpu").score_captions(CLIP, captions)
    expected = [list(one.raw.values()) for one in scores]
    # Float32 sums of the same numbers in other shapes: 1e-5 is what the parity tests allow for.
    assert difference(several, expected) < 1e-5 and difference(batch, expected) < 1e-5
    assert len(times.runs) == 1 and times.cpu.fastest > 0 and ours.peak >= ours.loaded["peak"] > 0
