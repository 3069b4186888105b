"""The micro VAE's training."""

import numpy as np
import pytest
import torch

from videoalign.backbones.wan_whole_clip import decode_whole
from videoalign.clips.pixels import as_frames, as_video
from videoalign.micro.video.clips import sample_video_clip, write_shard
from videoalign.micro.video.linear_encoder import encode_linear
from videoalign.micro.video.vae_training import (
    ClipPool,
    VaePhase,
    new_vae,
    reconstruction_loss,
    train_vae,
)

PHASES = (VaePhase(1, 16, 2, 3, 1e-3, 4.0), VaePhase(5, 16, 1, 3, 1e-3))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return [write_shard(tmp_path_factory.mktemp("clips"), seed=1, shard=0, size=2)]


@pytest.fixture(scope="module")
def frames():
    return np.stack([sample_video_clip(3, i).frames for i in range(10)])


def trained(folder, clips, frames, stop_after=None, phases=PHASES, made=()):
    vae = new_vae(8, 0, frames)
    for saved, _ in enumerate(train_vae(folder / "state.pt", vae, ClipPool(clips, 9, made), phases, save_every=2), 1):
        if saved == stop_after:
            return None
    return vae


def test_frames_become_video_and_back():
    frames = np.arange(256, dtype=np.uint8).repeat(2 * 3).reshape(2, 1, 16, 16, 3)
    video = as_video(frames)
    assert video.shape == (2, 3, 1, 16, 16) and video.min() == -1 and video.max() == 1
    assert np.array_equal(as_frames(video), frames)


def test_an_untrained_decoder_already_hands_on_the_colour_of_a_picture(frames):
    vae = new_vae(8, 0, frames).requires_grad_(False)
    colours = torch.rand(24, 3, 1, 1, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    means = encode_linear(vae, colours.expand(-1, -1, 1, 16, 16))
    made = decode_whole(vae, means).mean(dim=(2, 3, 4))
    # A linear map of what comes out gives the colours that went in.
    known = torch.cat([made, torch.ones(24, 1)], dim=1)
    fitted = known @ torch.linalg.lstsq(known, colours.flatten(1)).solution
    assert (fitted - colours.flatten(1)).square().mean() < 0.6 * colours.var()


def test_the_loss_is_least_for_the_clip_itself_and_sees_lost_grain():
    generator = torch.Generator().manual_seed(0)
    flat = torch.zeros(1, 3, 5, 16, 16)
    grain = 0.4 * torch.randn(flat.shape, generator=generator)
    other = 0.4 * torch.randn(flat.shape, generator=generator)
    itself = sum(reconstruction_loss(grain, grain, 0.3))
    smooth, regrown = sum(reconstruction_loss(flat, grain, 0.3)), sum(reconstruction_loss(0.5 * other, grain, 0.3))
    assert itself < regrown < smooth  # grain of the right strength is better than none, although no pixel fits


def test_a_stopped_training_goes_on_bit_for_bit_and_leaves_the_encoder_alone(tmp_path, clips, frames):
    (tmp_path / "whole").mkdir(), (tmp_path / "parts").mkdir()
    whole = trained(tmp_path / "whole", clips, frames)
    for stop_after in (1, 1, 1, None):
        parts = trained(tmp_path / "parts", clips, frames, stop_after)
    start = new_vae(8, 0, frames).state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
        if name.startswith(("encoder.", "quant_conv.")):
            assert torch.equal(value, start[name]), name
    trainable = [name for name in start if name.startswith(("decoder.", "post_quant_conv."))]
    changed = [name for name in trainable if not torch.equal(whole.state_dict()[name], start[name])]
    assert len(changed) > 0.9 * len(trainable)


def test_a_phase_can_learn_from_latents_that_the_network_made(tmp_path, clips, frames):
    latents = torch.randn(16, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    made = [(clip[:5, :32, :32], latents) for clip in np.load(clips[0])]
    video, given = ClipPool(clips, 9, made).crops(VaePhase(5, 16, 2, 2, 1e-3, made_share=1.0), 0, 0)
    assert video.shape == (2, 3, 5, 32, 32) and torch.equal(given, torch.stack([latents, latents]))
    phase = VaePhase(5, 16, 2, 2, 1e-3, made_share=1.0)
    own, others = (
        trained(tmp_path / name, clips, frames, phases=[phase], made=pairs)
        for name, pairs in (("own", made), ("others", [(clip, latents.flip(0)) for clip, latents in made]))
    )
    assert not torch.equal(own.decoder.conv_in.weight, others.decoder.conv_in.weight)
