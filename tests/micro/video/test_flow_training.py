"""The micro DiT's training."""

import pytest
import torch
from safetensors.torch import save_file

from videoalign.backbones.micro_text import encode_caption
from videoalign.micro.video.flow_training import (
    FlowTraining,
    LatentPool,
    new_dit,
    text_batch,
    train_flow,
)

CAPTION = "one red circle moves left over a plain grey ground"
TINY = FlowTraining(ffn=32, blocks=1, steps=4, batch=4, first_clips=2, clips_per_step=2.0)


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    for number in range(3):
        values = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(number))
        save_file({"latents": values.half()}, folder / f"latents_{number:03d}.safetensors")
    return folder


def pool_of(folder):
    return LatentPool(folder, lambda file: [CAPTION, CAPTION.replace("red", "blue")])


def trained(state_file, latents, stop_after=None, training=TINY):
    dit = new_dit(training, seed=0)
    averages = []
    for _, average in train_flow(state_file, dit, pool_of(latents), training, 5, save_every=1):
        averages.append(average)
        if len(averages) == stop_after:
            return None
    return averages[-1]


def test_the_pool_grows_only_as_far_as_it_is_asked_to(latents):
    pool = pool_of(latents)
    assert pool.require(2) == 2
    assert pool.require(100) == 6 and len(pool.latents) == 6 and len(pool.texts) == 6
    assert pool.latents.dtype == torch.float32
    expected = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(2)).half().float()
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
    training = FlowTraining(ffn=64, blocks=1, steps=100, batch=8, rate=6e-3, first_clips=1, clips_per_step=0)
    dit = new_dit(training, seed=0)
    list(train_flow(tmp_path / "state.pt", dit, pool_of(latents), training, 5, report=losses.append))
    first, *_, last = (float(line.split("loss ")[1].split()[0]) for line in losses)
    assert last < 0.8 * first


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, latents):
    whole = trained(tmp_path / "whole.pt", latents)
    for stop_after in (1, 2, None):
        parts = trained(tmp_path / "parts.pt", latents, stop_after)
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    again = trained(tmp_path / "whole.pt", latents)  # nothing left to do
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
