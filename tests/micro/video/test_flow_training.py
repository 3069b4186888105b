"""The micro DiT's training."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from videoalign.backbones.micro_text import encode_caption
from videoalign.micro.video.flow_training import (
    FlowStage,
    FlowTraining,
    LatentPool,
    new_dit,
    noise_levels,
    text_batch,
    train_flow,
)

CAPTION = "one red circle moves left over a plain grey ground"
STAGES = (FlowStage(2), FlowStage(2, frame_share=0.5, doubled=True, cool_down=1))
TINY = FlowTraining(ffn=32, blocks=1, stages=STAGES, batch=4, frame_batch=8, first_clips=2, clips_per_step=2.0)


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    for number in range(3):
        values = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(number))
        captions = json.dumps([CAPTION, CAPTION.replace("red", "blue")])
        save_file({"latents": values.half()}, folder / f"latents_{number:04d}.safetensors", {"captions": captions})
    return folder


def trained(state_file, latents, stop_after=None, training=TINY):
    dit = new_dit(training, seed=0)
    averages = []
    for _, average in train_flow(state_file, dit, LatentPool(latents), training, 5, save_every=1):
        averages.append(average)
        if len(averages) == stop_after:
            return None
    return averages[-1]


def test_the_pool_grows_only_as_far_as_it_is_asked_to(latents):
    pool = LatentPool(latents)
    assert pool.require(2) == 2
    assert pool.require(100) == 6 and len(pool.latents) == 6 and len(pool.texts) == 6
    assert pool.texts == [CAPTION, CAPTION.replace("red", "blue")] * 3
    expected = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(2)).half()
    assert torch.equal(pool.latents[4:], expected)


def test_a_new_dit_predicts_nothing_so_that_the_first_loss_is_that_of_the_target(latents):
    dit = new_dit(TINY, seed=0)
    x = torch.randn(2, 16, 2, 4, 4)
    assert not dit(x, torch.tensor([500.0, 900.0]), text_batch([CAPTION, ""])).sample.any()


def test_a_left_out_caption_is_to_the_network_the_null_prompt_of_one_token():
    dit = new_dit(TINY, seed=0).requires_grad_(False)
    torch.nn.init.normal_(dit.proj_out.weight, std=0.1)
    x, sigma = torch.randn(2, 16, 2, 4, 4), torch.tensor([300.0, 700.0])
    together = dit(x, sigma, text_batch([CAPTION, ""])).sample
    alone = dit(x[1:], sigma[1:], encode_caption("")[None]).sample
    assert together.std() > 0.01
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[:1], dit(x[:1], sigma[:1], encode_caption("")[None]).sample, atol=1e-3)


def test_it_learns(tmp_path, latents):
    losses = []
    training = FlowTraining(
        ffn=64, blocks=1, stages=[FlowStage(100, cool_down=50)], batch=8, rate=6e-3, first_clips=1, clips_per_step=0
    )
    dit = new_dit(training, seed=0)
    list(train_flow(tmp_path / "state.pt", dit, LatentPool(latents), training, 5, report=losses.append))
    first, *_, last = (float(line.split("loss ")[1].split()[0]) for line in losses)
    assert last < 0.8 * first


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, latents):
    whole = trained(tmp_path / "whole.pt", latents)
    for stop_after in (1, 2, None):
        parts = trained(tmp_path / "parts.pt", latents, stop_after)
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    again = trained(tmp_path / "whole.pt", latents)  # nothing left to do
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_stages_follow_one_another_and_the_rate_warms_up_and_cools_down():
    stages = (FlowStage(100), FlowStage(80, doubled=True), FlowStage(60, cool_down=20))
    training = FlowTraining(stages=stages, rate=1.0, warm_up=10)
    assert training.steps == 240
    assert [training.stage_at(step) for step in (0, 99, 100, 180, 239, 240)] == [
        (0, 0), (0, 99), (1, 0), (2, 0), (2, 59), (2, 60),
    ]  # fmt: skip
    rates = [training.rate_at(step) for step in range(240)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[99] == 1
    assert rates[100] == pytest.approx(0.1) and rates[109] == rates[180] == rates[219] == 1
    assert rates[230] == pytest.approx(0.5) and 0 < rates[239] < 0.1


def test_the_network_is_doubled_where_its_stage_begins(tmp_path, latents):
    dit = new_dit(TINY, seed=0)
    widths = [
        average["patch_embedding.bias"].shape[0]
        for _, average in train_flow(tmp_path / "state.pt", dit, LatentPool(latents), TINY, 5, save_every=1)
    ]
    assert widths == [128, 128, 256, 256]


def test_noise_levels_lie_about_the_level_where_shapes_are_found():
    training = FlowTraining(focus=0.6, clip_level=0.82, frame_level=0.65)
    rng = np.random.default_rng(0)
    clips, frames = (noise_levels(rng, 20_000, training, single) for single in (False, True))
    assert clips.min() > 0 and clips.max() < 1
    # The shifted uniform levels (3 u / (1 + 2 u)) have the median 0.75; 20,000 draws have one within 0.005 of the truth.
    for levels, level in ((clips, 0.82), (frames, 0.65)):
        near = ((levels.logit() - torch.tensor(level).logit()).abs() < 0.6).float().mean()
        # One standard deviation holds 68.3 % of the three fifths, and of the uniform ones what lies between the two bounds.
        low, high = (float((torch.tensor(level).logit() + side * 0.6).sigmoid()) for side in (-1, 1))
        uniform = high / (3 - 2 * high) - low / (3 - 2 * low)
        assert near == pytest.approx(0.6 * 0.683 + 0.4 * uniform, abs=0.015)
