"""Samplers with particles in the real ComfyUI, on tiny networks with random weights."""

import math

import pytest
import torch
from comfy_process import RemoteError
from guidance_prompts import random_reward
from tiny_backbones import save_single, tiny

from videoalign.backbones.flow_path import generator_of
from videoalign.reward.latent.reward_file import save_latent_reward

pytestmark = pytest.mark.comfyui

RAW = {"strength_mode": "raw", "strength": 50.0}


@pytest.fixture(scope="module")
def sample(process, tmp_path_factory):
    """SamplerCustomAdvanced on a tiny Wan."""
    folder = tmp_path_factory.mktemp("tiny")

    def file(name, kind):
        path = folder / f"{kind}-{name}.safetensors"
        if not path.exists() and kind == "model":
            save_single(tiny(name), path)
        elif not path.exists():
            save_latent_reward(path, random_reward(tiny(name, seed=3)), torch.float32)
        return str(path)

    def run(sampler, name="wan-t2v", reward="wan-t2v", settings=None, **arguments):
        return process.call(
            "custom_sampling_calls.custom_sample", model=file(name, "model"), reward=file(reward, "reward"), sampler=sampler, settings=settings, **arguments
        )  # fmt: skip

    return run


@pytest.mark.parametrize("options", [{"particles": 1}, {"strength": 0.0}])
@pytest.mark.parametrize("arguments", [{}, {"cfg": 3.0, "batch": 2}])
def test_rgrp_with_one_particle_or_strength_0_is_euler_bit_for_bit(sample, options, arguments):
    plain = sample("euler", **arguments)
    searched = sample("rgrp", settings=options, **arguments)
    assert torch.equal(searched["samples"], plain["samples"])
    assert searched["evaluations"] == plain["evaluations"]


@pytest.mark.parametrize("options", [{"particles": 1}, {"strength": 0.0}])
def test_fk_without_noise_is_euler_bit_for_bit(sample, options):
    assert torch.equal(sample("fk", settings={"eta": 0.0, **options})["samples"], sample("euler")["samples"])


def test_fk_at_strength_0_is_the_plain_stochastic_sampler_which_is_another_clip_for_another_eta(sample):
    one = sample("fk", settings={"particles": 1})["samples"]
    assert torch.equal(sample("fk", settings={"strength": 0.0, "particles": 4})["samples"], one)
    assert not torch.allclose(sample("fk", settings={"particles": 1, "eta": 0.5})["samples"], one, atol=1e-2)
    assert not torch.allclose(sample("euler")["samples"], one, atol=1e-2)


def particles_noise(seed, number, spread, shape):
    """The noise of a particle, by the formula."""
    z = torch.randn(1, *shape, generator=torch.manual_seed(seed))
    if number == 0:
        return z
    eps = torch.randn(shape, generator=generator_of("particle", seed, 0, number))
    return math.sqrt(1 - spread**2) * z + spread * eps


def test_an_rgrp_clip_is_eulers_of_one_of_its_particles_noises_and_costs_what_it_says(sample):
    size, steps = (16, 3, 8, 8), 12
    wanted = [particles_noise(5, number, 0.5, size) for number in range(6)]
    clips = [sample("euler", noise=noise, steps=steps)["samples"] for noise in wanted]
    searched = sample("rgrp", settings={"spread": 0.5, **RAW}, steps=steps)
    distances = [float((searched["samples"] - clip).abs().max()) for clip in clips]
    assert min(distances) < 1e-4 < 1e-2 < sorted(distances)[1]
    # Looks after 3, 4 and 5 of 12 steps: 6 particles, then 1 to 6, then 1 to 6, then one.
    assert 6 * 3 + 1 + 1 + 7 <= searched["evaluations"] <= 6 * 3 + 6 + 6 + 7
    assert set(searched["calls"]) == {1}  # one particle at a time


def test_rgrp_at_50_steps_costs_2_10_to_3_10_runs(sample):
    searched = sample("rgrp", settings={"particles": 6}, steps=50, size=(16, 1, 2, 2))
    assert 2.10 <= searched["evaluations"] / 50 <= 3.10
    assert len(searched["told"]) == 50


def test_every_particle_of_fk_goes_to_the_end(sample):
    steered = sample("fk", settings={"particles": 3, **RAW})
    assert steered["evaluations"] == 3 * 6 and steered["samples"].isfinite().all()
    assert not torch.equal(steered["samples"], sample("fk", settings={"particles": 1})["samples"])


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
def test_particles_in_groups_give_the_same_clip(sample, sampler):
    single = sample(sampler, settings=RAW, cfg=2.0)
    together = sample(sampler, settings={"at_once": 4, **RAW}, cfg=2.0)
    torch.testing.assert_close(together["samples"], single["samples"], rtol=1e-3, atol=1e-3)
    assert max(together["calls"]) > max(single["calls"])


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_each_row_of_a_batch_is_a_search_of_its_own(sample, sampler, at_once):
    """ComfyUI draws a batch's noise in one go, the first clip's first: the first row is the single clip."""
    settings = {"at_once": at_once, "particles": 4, "spread": 1.0, **RAW}
    settings = settings if sampler == "rgrp" else {key: value for key, value in settings.items() if key != "spread"}
    both, first = sample(sampler, settings=settings, batch=2), sample(sampler, settings=settings)
    torch.testing.assert_close(both["samples"][:1], first["samples"], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(both["samples"][0], both["samples"][1], atol=1e-2)
    assert all(count % 2 == 0 for count in both["calls"])  # whole batches, whose conditioning is in their order


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
def test_the_page_is_told_each_step_and_the_last_is_the_clip(sample, sampler):
    done = sample(sampler, settings=RAW)
    assert [step for step, _ in done["told"]] == list(range(6))
    torch.testing.assert_close(done["denoised"], done["samples"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
def test_it_stops_when_interrupted_and_the_next_run_is_whole(sample, sampler):
    with pytest.raises(RemoteError) as stopped:
        sample(sampler, interrupt_at=4)
    assert stopped.value.kind == "InterruptProcessingException"
    assert len(sample(sampler)["told"]) == 6


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
@pytest.mark.parametrize("rows", [1, 2])
def test_masked_parts_of_a_latent_stay_as_they_are(sample, sampler, rows):
    image = torch.randn(rows, 16, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    done = sample(sampler, settings={"at_once": 3, "particles": 3, **RAW}, image=image, masked=True, batch=rows)
    torch.testing.assert_close(done["samples"][..., 4:], image[..., 4:], rtol=1e-4, atol=1e-4)
    assert (done["samples"] - image)[..., :4].abs().max() > 1e-2


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
def test_image_to_video_conditions_are_each_rows_own(sample, sampler):
    """The rows have two images; where the order of rows were lost, a row would get the other's."""
    name, size = "wan22-i2v", (16, 3, 8, 8)
    image = torch.randn(2, 16, *size[1:], generator=torch.Generator().manual_seed(6))
    mask = torch.zeros(1, 1, *size[1:])

    def clip(given, batch):
        about = {"concat_latent_image": given, "concat_mask": mask}
        settings = {"particles": 4, "at_once": 2, **RAW}
        return sample(sampler, name=name, reward=name, settings=settings, about=about, batch=batch)["samples"]

    both, first = clip(image, 2), clip(image[:1], 1)
    torch.testing.assert_close(both[:1], first, rtol=1e-3, atol=1e-3)
    other = clip(image.flip(0), 2)
    assert not torch.allclose(other, both, atol=1e-2)


def test_it_goes_with_reward_guidance(sample):
    guided = sample("rgrp", settings=RAW, guidance={"strength": 3.0, "cap": 1.0})["samples"]
    assert guided.isfinite().all() and not torch.allclose(guided, sample("rgrp", settings=RAW)["samples"], atol=1e-2)


def test_the_second_of_two_samplers_can_steer_and_not_search(sample):
    half = sample("euler", end=3)["samples"]
    with pytest.raises(RemoteError, match="Give the search the first sampler, with noise"):
        sample("rgrp", begin=3, image=half)
    steered = sample("fk", begin=3, image=half, settings={"particles": 3, **RAW})
    assert steered["evaluations"] == 9 and steered["samples"].isfinite().all()


@pytest.mark.parametrize("sampler", ["rgrp", "fk"])
def test_what_does_not_fit_is_refused_before_a_step(sample, sampler):
    with pytest.raises(RemoteError, match=r"trained on wan2.1 latents \(16 channels\); this model samples wan2.2"):
        sample(sampler, name="wan22-ti2v", size=(48, 3, 8, 8))
    with pytest.raises(RemoteError, match="is for rectified-flow models of plain video latents"):
        sample(sampler, before=["eps"])
    with pytest.raises(RemoteError, match="it must be from 0"):
        sample(sampler, settings={"spread": 2.0} if sampler == "rgrp" else {"eta": 2.0})
