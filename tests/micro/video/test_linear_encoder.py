"""The encoder that is computed from clips, not trained."""

import numpy as np
import pytest
import torch

from videoalign.backbones.wan_whole_clip import encode_whole
from videoalign.clips.pixels import as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.linear_encoder import components, encode_linear, write_encoder
from videoalign.micro.video.vae_training import new_vae


@pytest.fixture(scope="module")
def frames():
    return np.stack([sample_video_clip(3, i).frames for i in range(40)])


@pytest.fixture(scope="module")
def vae(frames):
    return new_vae(8, 0, frames).requires_grad_(False)


@pytest.fixture(scope="module")
def video():
    return as_video(np.stack([sample_video_clip(4, i).frames for i in range(8)]))


def test_its_short_form_gives_what_the_whole_network_gives(vae, video):
    whole, log_variance = encode_whole(vae, video)
    # Each latent is the difference of two numbers about OFFSET = 8 times its size, after six layers in float32: 8 * 6 * 2^-24 is 3e-6
    # of its standard deviation for each rounding, and no product has more than a few hundred of them.
    assert (encode_linear(vae, video) - whole).abs().max() < 1e-3
    assert log_variance.max() < -10


def test_the_first_frame_is_coded_as_four_frames_that_stand_still(vae, video):
    still = encode_linear(vae, video[:, :, :1].expand(-1, -1, 9, -1, -1))
    assert (still[:, :, 1:] - still[:, :, :1]).abs().max() < 1e-3
    assert still[:, 10:].abs().max() < 1e-3  # no change
    assert encode_linear(vae, video)[:, 10:, 1:].std() > 0.5


def blocks(video):
    """[N, 3, 17, 64, 64] to the 768 numbers of each four frames of 8 x 8 pixels."""
    later = video[:, :, 1:].unflatten(2, (4, 4)).unflatten(4, (8, 8)).unflatten(6, (8, 8))
    return later.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(-1, 768).double()


def explained(codes, video):
    """Share of the pixels' variance that the best affine map of the codes [n, 16] keeps."""
    pixels = blocks(video)
    known = torch.cat([codes.double(), torch.ones(len(codes), 1, dtype=torch.float64)], dim=1)
    left = pixels - known @ torch.linalg.lstsq(known, pixels).solution
    return float(1 - left.square().sum() / (pixels - pixels.mean(0)).square().sum())


def test_its_sixteen_numbers_keep_nearly_what_sixteen_can_keep(vae, video):
    codes = encode_linear(vae, video)[:, :, 1:].permute(0, 2, 3, 4, 1).reshape(-1, 16)
    pixels = blocks(video)
    values = torch.linalg.eigvalsh((pixels - pixels.mean(0)).T @ (pixels - pixels.mean(0)))
    best = float(values[-16:].sum() / values.sum())
    assert explained(codes, video) > best - 0.02


def test_codes_have_a_standard_deviation_of_about_one(vae, video):
    latents = encode_linear(vae, video)[:, :, 1:]
    assert (latents.std(dim=(0, 2, 3, 4)) - 1).abs().max() < 0.4  # of eight clips, and the ends of the scale are bent


def test_it_is_close_to_linear(vae, video):
    """Half the contrast gives half the code, within the bend of the norm and of SiLU: 9 % at four standard deviations."""
    grey = encode_linear(vae, torch.zeros_like(video[:1]))
    whole, half = encode_linear(vae, video) - grey, encode_linear(vae, video / 2) - grey
    assert (2 * half - whole).square().mean().sqrt() < 0.09 * whole.square().mean().sqrt()


@pytest.mark.parametrize("means,static", [(8, 8), (12, 12), (13, 9)])
def test_other_shares_of_means_and_changes_fit_too(frames, means, static, vae, video):
    write_encoder(vae, components(frames, 8, means, static))
    assert (encode_linear(vae, video) - encode_whole(vae, video)[0]).abs().max() < 1e-3
