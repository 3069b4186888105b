"""Image-to-video by the first frame: what an LTX network is told of it, what a sampler makes of it, and what a loss sees."""

import pytest
import torch
from tiny_backbones import inputs, tiny
from tiny_vaes import clip, tiny_ltx2, tiny_ltx_video

from videoalign.backbones.conditioning import ConditioningError
from videoalign.backbones.flow_path import sigmas
from videoalign.backbones.given_frames import token_levels, with_clean
from videoalign.backbones.image_conditioning import first_frame, image_conditioning, image_entries
from videoalign.backbones.sampling import generate, guided_velocity, sample

KINDS = ["ltx-video", "ltx-video-causal", "ltx-2", "ltx-2.3"]


def pictured(kind, **options):
    """A tiny network with the inputs of ``tiny_backbones.inputs`` and an image's latents."""
    network = tiny(kind)
    x_t, sigma, told = inputs(network, **options)
    image = torch.randn(x_t[:, :, :1].shape, generator=torch.Generator().manual_seed(9))
    return network, x_t, sigma, told | {"first_frame": image}


@pytest.mark.parametrize("kind", KINDS)
class TestANetwork:
    def test_sees_the_image_in_the_place_of_its_first_frame(self, kind):
        network, x_t, sigma, told = pictured(kind)
        velocity = network.velocity(x_t, sigma, told)
        other = torch.cat([torch.full_like(x_t[:, :, :1], 5.0), x_t[:, :, 1:]], dim=2)
        assert torch.equal(network.velocity(other, sigma, told), velocity)
        text = {key: value for key, value in told.items() if key != "first_frame"}
        alone = network.velocity(x_t, sigma, text)
        assert (velocity - alone).abs().max() > 1e-2 * alone.abs().max()

    def test_is_told_the_same_by_a_mask_of_the_noise(self, kind):
        network, x_t, sigma, told = pictured(kind)
        mask = torch.ones(2, 1, *x_t.shape[2:])
        mask[:, :, 0] = 0
        clean = torch.cat([told["first_frame"], x_t[:, :, 1:]], dim=2)
        masked = {key: value for key, value in told.items() if key != "first_frame"} | {"noise_mask": mask}
        assert torch.equal(with_clean(x_t, clean, masked), clean)
        # The same times, embedded for each frame or for each token: sums of up to 256 products in another order.
        theirs = network.velocity(clean, sigma, masked)
        assert (network.velocity(x_t, sigma, told) - theirs).abs().max() < 1e-5 * theirs.abs().max()

    def test_told_that_all_is_noise_it_is_the_plain_one(self, kind):
        network = tiny(kind)
        x_t, sigma, told = inputs(network)
        plain = network.velocity(x_t, sigma, told)
        masked = network.velocity(x_t, sigma, told | {"noise_mask": torch.ones(2, 1, *x_t.shape[2:])})
        assert (masked - plain).abs().max() < 1e-5 * plain.abs().max()

    def test_has_no_gradient_for_what_is_given(self, kind):
        network, x_t, sigma, told = pictured(kind)
        mask = torch.rand(2, 1, *x_t.shape[2:], generator=torch.Generator().manual_seed(2)).round()
        for given, where in ((told, None), ({"text": told["text"], "noise_mask": mask}, mask)):
            leaf = x_t.clone().requires_grad_()
            network.features(leaf, sigma, given).square().sum().backward()
            clean = leaf.grad[:, :, :1] if where is None else leaf.grad[(where == 0).expand_as(leaf)]
            assert not clean.any() and leaf.grad.abs().max() > 0

    def test_refuses_what_has_another_shape(self, kind):
        network, x_t, sigma, told = pictured(kind)
        with pytest.raises(ConditioningError, match=r"first_frame must have shape \[2, 128, 1, 8, 6\]"):
            network.velocity(x_t, sigma, told | {"first_frame": x_t})
        with pytest.raises(ConditioningError, match=r"noise_mask must have shape \[2, 1, 3, 8, 6\]"):
            network.velocity(x_t, sigma, told | {"noise_mask": torch.ones(2, 1, 3, 1, 1)})


def test_levels_are_as_few_as_tell_them_apart():
    x_t, sigma = torch.zeros(2, 128, 3, 2, 2), torch.tensor([0.5, 0.8])
    image, mask = torch.zeros(2, 128, 1, 2, 2), torch.rand(2, 1, 3, 2, 2)
    assert token_levels(x_t, sigma, {}).tolist() == [[0.5], [pytest.approx(0.8)]]
    assert token_levels(x_t, sigma, {"first_frame": image})[0].tolist() == [0, 0.5, 0.5]
    levels = token_levels(x_t, sigma, {"first_frame": image, "noise_mask": mask})
    assert levels.shape == (2, 12) and not levels[:, :4].any()
    assert torch.equal(levels[:, 4:], (sigma[:, None] * mask.flatten(1))[:, 4:])


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("kind", ["ltx-video", "ltx-2.3"])
def test_a_sampler_ends_in_the_image_and_makes_the_rest_as_if_it_had_been_there_all_the_time(kind, scale):
    """Against the loop of diffusers' pipelines: the first frame is the image at every step, and only the others move."""
    network, noise, _, told = pictured(kind, batch=1)
    negative = told | {"text": -told["text"]}
    levels = sigmas(4, 3.0)
    made = sample(guided_velocity(network.velocity, told, negative, scale), noise, levels)
    image = told["first_frame"]
    x = torch.cat([image, noise[:, :, 1:]], dim=2)
    mask = torch.ones(1, 1, *x.shape[2:])
    mask[:, :, 0] = 0
    for level, following in zip(levels.tolist(), levels.tolist()[1:], strict=False):
        both = [
            network.velocity(x, torch.tensor([level]), {"text": text["text"], "noise_mask": mask}) for text in (told, negative)
        ]  # fmt: skip
        v = both[1] + scale * (both[0] - both[1])
        x = torch.cat([image, (x + (following - level) * v)[:, :, 1:]], dim=2)
    # From 1 to 0 the first frame is an average of noise and image at each of 4 steps: 2^-23 of either a step.
    assert (made[:, :, :1] - image).abs().max() < 4 * 2**-22 * noise.abs().max()
    assert (made - x)[:, :, 1:].norm() < 1e-4 * x[:, :, 1:].norm()  # roundings of 1e-6, which four steps amplify


@pytest.mark.parametrize(("kind", "vae"), [("ltx-video", tiny_ltx_video), ("ltx-2.3", tiny_ltx2)])
def test_an_image_becomes_the_first_latent_frame_of_a_clip_that_begins_with_it(kind, vae):
    vae, video = vae(), clip(9, 64, 96)
    found = first_frame(vae, video[0, :, 0])
    assert found.shape == (128, 1, 2, 3)
    # The VAE is causal: the first latent frame is made of the first frame alone.
    assert (found - vae.encode(video)[0, :, :1]).abs().max() < 1e-5 * found.abs().max()
    network = tiny(kind)
    assert image_entries(network, "x") == () and image_entries(network, "x", wanted=True) == ("first_frame",)
    entries = image_conditioning(("first_frame",), video[0, :, 0], 9, vae, None)
    assert torch.equal(entries["first_frame"], found)


def test_generate_makes_clips_that_begin_with_their_images():
    network = tiny("ltx-2.3")
    settings = network.sampling.changed(steps=2, frames=9, height=64, width=96, guidance_scale=3.0)
    images = [torch.randn(128, 1, 2, 3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]

    class Texts:
        def encode(self, prompts):
            return [{"text": torch.full((7, 128), 0.1 * len(prompt))} for prompt in prompts]

    for batch_size in (1, 2):
        clips = generate(
            network, None, Texts(), ["a", "bb"], [3, 3], settings, batch_size=batch_size,
            image=lambda number: {"first_frame": images[number]},
        )  # fmt: skip
        for image, made in zip(images, clips, strict=True):
            assert (made.latents[:, :1] - image).abs().max() < 1e-5
