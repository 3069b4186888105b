"""The VAE on whole clips against diffusers' own frame-by-frame form."""

import pytest
import torch

from videoalign.training.micro_video.vae_training import new_vae
from videoalign.training.micro_video.whole_clip import decode_whole, encode_whole


@pytest.fixture(scope="module")
def vae():
    """Random everywhere, what looks back in time included."""
    vae = new_vae(base_dim=4, seed=0).requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in vae.parameters():
        parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return vae


@pytest.mark.parametrize("frames", [1, 5, 13])
def test_it_equals_the_frame_by_frame_form(vae, frames):
    video = torch.rand(2, 3, frames, 16, 24, generator=torch.Generator().manual_seed(frames)) * 2 - 1
    expected = vae.encode(video).latent_dist
    mean, log_variance = encode_whole(vae, video)
    assert mean.std() > 0.05
    torch.testing.assert_close(mean, expected.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(log_variance, expected.logvar, rtol=1e-4, atol=1e-5)
    latents = torch.randn(mean.shape, generator=torch.Generator().manual_seed(2))
    decoded = decode_whole(vae, latents)
    assert decoded.std() > 0.05
    torch.testing.assert_close(decoded.clamp(-1, 1), vae.decode(latents).sample, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_weight(vae):
    vae.requires_grad_(True)
    video = torch.rand(1, 3, 9, 16, 16) * 2 - 1
    mean, log_variance = encode_whole(vae, video)
    (decode_whole(vae, mean).square().mean() + log_variance.mean()).backward()
    missing = [name for name, value in vae.named_parameters() if value.grad is None or not value.grad.any()]
    vae.zero_grad()
    vae.requires_grad_(False)
    assert not missing
