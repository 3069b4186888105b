"""The VAE on whole clips against diffusers' own frame-by-frame form."""

import pytest
import torch

from videoalign.backbones.vae_wan import WanVAE
from videoalign.backbones.wan_whole_clip import decode_whole, encode_whole


@pytest.fixture(scope="module")
def vae():
    """Random everywhere, what looks back in time included."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    plain = {"latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}
    vae = AutoencoderKLWan(base_dim=4, z_dim=16, **plain).requires_grad_(False)
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


def test_the_vae_runs_small_clips_at_once_and_gives_the_usual_numbers(vae, monkeypatch):
    own = WanVAE(vae)
    video = torch.rand(1, 3, 9, 16, 24, generator=torch.Generator().manual_seed(3)) * 2 - 1
    at_once, in_pieces = [], []
    for results, limit in ((at_once, 2**24), (in_pieces, 0)):
        monkeypatch.setattr("videoalign.backbones.vae_wan.WHOLE_CLIP_BYTES", limit)
        results += [own.encode(video), own.decode(torch.ones(1, 16, 3, 2, 3))]
    for quick, usual in zip(at_once, in_pieces, strict=True):
        assert not torch.equal(quick, usual)  # another order of sums: the two ways are two ways
        torch.testing.assert_close(quick, usual, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_weight(vae):
    vae.requires_grad_(True)
    video = torch.rand(1, 3, 9, 16, 16) * 2 - 1
    mean, log_variance = encode_whole(vae, video)
    (decode_whole(vae, mean).square().mean() + log_variance.mean()).backward()
    missing = [name for name, value in vae.named_parameters() if value.grad is None or not value.grad.any()]
    vae.zero_grad()
    vae.requires_grad_(False)
    assert not missing
