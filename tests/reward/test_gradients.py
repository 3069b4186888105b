"""Gradients from a score to in-memory frames: the forward value is the scored one, the gradient that of the smooth path."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from videoalign.reward.clip import Frames, PreparedClip, prepare_clip
from videoalign.reward.frame_pixels import normalise, patchify
from videoalign.reward.settings import FrameSampling

SAMPLING = FrameSampling(min_pixels=56 * 56)


@pytest.fixture(scope="module")
def model(official):
    return official.model("full.fp32")


@pytest.fixture
def frames():
    return torch.rand(11, 48, 64, 3, generator=torch.Generator().manual_seed(0))


def smooth_rewards(model, frames, clip):
    """The same path without rounding and clamping."""
    chosen = frames[clip.indices].permute(0, 3, 1, 2) * 255
    resized = F.interpolate(chosen, clip.size, mode="bicubic", align_corners=False, antialias=True)
    patches, grid = patchify(normalise(resized))
    smooth = PreparedClip(patches, grid, clip.indices, clip.size, clip.total_frames, clip.fps)
    return model.raw_rewards([smooth], ["a red fox"])[0]


def test_the_forward_value_is_the_scored_value(model, frames):
    """The same pixels to the last bit; then one pass in place of two, which sums the same float32 products in another order.

    Its tolerance is that of the official recordings where the pixels are equal: sums of at most 2,000 terms, whose roundings
    of 6e-8 each grow with the square root of their number, through four blocks, on values of a few units.
    """
    [score] = model.score([Frames(frames, 8.0)], ["a red fox"])
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    plain = prepare_clip(Frames(frames.detach(), 8.0), SAMPLING)
    assert clip.patches.requires_grad
    assert torch.equal(clip.patches.detach(), plain.patches)
    whole = prepare_clip(Frames(frames, 8.0), model.settings.sampling)
    rewards = model.raw_rewards([whole], ["a red fox"])[0]
    assert rewards.tolist() == pytest.approx([score.raw[name] for name in ("VQ", "MQ", "TA")], abs=2e-5)


def test_all_sampled_frames_receive_a_gradient_and_the_others_none(model, frames):
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    model.raw_rewards([clip], ["a red fox"])[0].sum().backward()
    sampled = torch.zeros(11, dtype=torch.bool)
    sampled[clip.indices] = True
    touched = frames.grad.abs().flatten(1).sum(1) > 0
    assert torch.equal(touched, sampled)
    assert (frames.grad[clip.indices] != 0).float().mean() > 0.99
    assert torch.isfinite(frames.grad).all()


def test_the_network_weights_receive_no_gradient(model, frames):
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    model.raw_rewards([clip], [None])[0].sum().backward()
    assert all(parameter.grad is None for parameter in model.network.parameters())


@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_the_gradient_is_that_of_the_smooth_path_by_finite_differences(model, frames, dimension):
    # On grey levels and at the resized size rounding changes nothing, so both gradients are taken at one point.
    frames = (frames[:, :48, :56] * 255).round() / 255
    frames = F.interpolate(frames.permute(0, 3, 1, 2), (56, 56)).permute(0, 2, 3, 1).contiguous()
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    assert clip.size == (56, 56)
    [gradient] = torch.autograd.grad(model.raw_rewards([clip], ["a red fox"])[0][dimension], frames)

    double = frames.detach().double()
    network = model.network
    direction = gradient.double() / gradient.double().norm()
    step = 1e-2
    with torch.no_grad():
        ahead, behind = (
            smooth_rewards(model, (double + sign * step * direction).float(), clip)[dimension].item()
            for sign in (1, -1)
        )
    slope = (ahead - behind) / (2 * step)
    assert slope == pytest.approx(gradient.double().norm().item(), rel=0.02)
    assert network.rm_head.weight.grad is None


def test_the_gradient_passes_through_clamped_and_rounded_pixels(model):
    frames = torch.zeros(4, 48, 64, 3)
    frames[:, ::2] = 1.0  # bicubic overshoot at every edge is clamped
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    model.raw_rewards([clip], [None])[0].sum().backward()
    assert (frames.grad != 0).float().mean() > 0.99


def test_a_step_along_the_gradient_raises_the_score(model, frames):
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    before = model.raw_rewards([clip], ["a red fox"])[0].sum()
    [gradient] = torch.autograd.grad(before, frames)
    better = (frames.detach() + 0.02 * gradient.sign()).clamp(0, 1)
    after = model.raw_rewards([prepare_clip(Frames(better, 8.0), SAMPLING)], ["a red fox"])[0].sum()
    assert after > before


def test_scoring_itself_keeps_no_graph(model, frames):
    clip = prepare_clip(Frames(frames.requires_grad_(), 8.0), SAMPLING)
    [[score]] = model.score_prepared([clip], [("a red fox",)])
    assert isinstance(score.VQ, float)
    assert torch.is_grad_enabled()
