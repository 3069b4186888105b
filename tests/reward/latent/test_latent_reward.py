"""The latent reward as guidance meets it: its rewards and their gradients."""

import pytest
import torch

from videoalign.errors import VideoAlignError
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.heads import KINDS, rate_by_all
from videoalign.reward.latent.latent_reward import block_count


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_with_respect_to_the_latent_equal_finite_differences(reward, noisy, kind):
    model = reward(kind)
    x_t, sigma, conditioning = noisy()
    x_t.requires_grad_(True)
    step = 1e-2
    for place in range(3):
        (gradient,) = torch.autograd.grad(model.rewards(x_t, sigma, conditioning)[:, place].sum(), x_t)
        assert gradient.abs().max() > 0
        direction = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(place))
        with torch.no_grad():
            ahead, behind = (
                model.rewards(x_t + sign * step * direction, sigma, conditioning)[:, place].sum() for sign in (1, -1)
            )
        slope = (ahead - behind) / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_rated_alike_alone_and_in_a_batch_and_its_gradient_is_its_own(reward, noisy, kind):
    model = reward(kind)
    x_t, sigma, conditioning = noisy(batch=3)
    x_t.requires_grad_(True)
    together = model.rewards(x_t, sigma, conditioning)
    assert together.shape == (3, 3) and together.dtype == torch.float32
    (gradient,) = torch.autograd.grad(together[1].sum(), x_t)
    assert gradient[1].abs().max() > 0 and gradient[[0, 2]].abs().max() == 0
    alone = model.rewards(x_t[1:2], sigma[1:2], {"text": conditioning["text"][1:2]})
    assert torch.allclose(alone[0], together[1], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 2, 2), (2, 4, 4), (7, 6, 10), (3, 5, 7)])
def test_clips_of_any_size_are_rated(reward, noisy, kind, size):
    x_t, sigma, conditioning = noisy(1, *size)
    assert reward(kind).rewards(x_t, sigma, conditioning).isfinite().all()


def test_the_reward_depends_on_the_noise_level_and_on_the_text(reward, noisy):
    model = reward()
    x_t, sigma, conditioning = noisy()
    given = model.rewards(x_t, sigma, conditioning)
    assert not torch.allclose(given, model.rewards(x_t, 1 - sigma, conditioning))
    assert not torch.allclose(given, model.rewards(x_t, sigma, {"text": -conditioning["text"]}))


@pytest.mark.parametrize("kind", ["motion", "attention", "query"])
def test_the_order_of_frames_matters_to_heads_that_keep_time(reward, noisy, kind):
    # With one block the trunk's own attention hardly orders frames; the head must.
    head = reward(kind).heads["MQ"]
    tokens = torch.randn(1, 5, 2, 2, 24, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.3])
    assert not torch.allclose(head(tokens, sigma), head(tokens[:, [0, 2, 1, 3, 4]], sigma), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokens_part_of_the_gradient_shrinks_as_the_clip_grows(reward, kind):
    head = reward(kind).heads["VQ"]
    sizes = []
    for times in (1, 2):
        shape = 4 * times, 4 * times, 6 * times, 24
        tokens = torch.randn(1, *shape, generator=torch.Generator().manual_seed(5)).requires_grad_(True)
        (gradient,) = torch.autograd.grad(head(tokens, torch.tensor([0.5])).sum(), tokens)
        sizes.append(gradient.square().mean().sqrt().item())
    # An eighth for eight times as many tokens, but for what differs between the random tokens.
    assert 1 / 12 < sizes[1] / sizes[0] < 1 / 5


def test_to_queries_a_clip_of_twice_the_size_is_much_the_same_and_one_played_backwards_is_not(reward):
    # Places are shares of a clip's sides; the middles of tokens move by a quarter of a token where each becomes two.
    pool = reward("query").heads["MQ"].pool
    grid = torch.randn(1, 8, 8, 8, 16, generator=torch.Generator().manual_seed(2))
    stretched = grid
    for side in (1, 2, 3):
        stretched = stretched.repeat_interleave(2, side)
    with torch.no_grad():
        whole, large, turned = (pool(value) for value in (grid, stretched, grid.flip(1)))
    assert (whole - large).abs().max() < 0.6 * (whole - turned).abs().max()


def test_a_latent_of_another_family_is_refused_by_name(reward, noisy):
    x_t, sigma, conditioning = noisy()
    with pytest.raises(VideoAlignError, match=r"wan2.1 latents.*16.*\(2, 8"):
        reward().rewards(x_t[:, :8], sigma, conditioning)
    with pytest.raises(VideoAlignError, match="one number a sample"):
        reward().rewards(x_t, sigma[:1], conditioning)


def test_about_27_percent_of_the_blocks_are_kept_and_never_none():
    assert [block_count(total) for total in (1, 2, 4, 28, 30, 40)] == [1, 1, 1, 8, 8, 11]


def test_under_inference_mode_gradients_still_flow_as_in_a_sampler(reward, noisy):
    model = reward()
    with torch.inference_mode():
        x_t, sigma, conditioning = noisy()
        with torch.inference_mode(False), torch.enable_grad():
            x = x_t.clone().requires_grad_(True)
            texts = {name: value.clone() for name, value in conditioning.items()}
            (gradient,) = torch.autograd.grad(model.rewards(x, sigma.clone(), texts).sum(), x)
    expected_x = x_t.clone().requires_grad_(True)
    plain = {name: value.clone() for name, value in conditioning.items()}
    (expected,) = torch.autograd.grad(model.rewards(expected_x, sigma.clone(), plain).sum(), expected_x)
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_heads_together_are_the_heads_one_by_one_and_so_are_their_gradients(reward, noisy, kind):
    model = reward(kind).requires_grad_(False)
    x_t, sigma, conditioning = noisy(batch=2)
    tokens = model.tokens(x_t, sigma, conditioning).detach().requires_grad_()
    heads = [model.heads[name] for name in DIMENSIONS]
    weights = torch.tensor([1.0, -0.5, 2.0])
    plainly = torch.stack([head(tokens, sigma) for head in heads], 1)
    together = rate_by_all(heads, tokens, sigma)
    # Sums of at most some thousand products of numbers of size one, each rounded at random: sqrt(n) u stays below 1e-5.
    assert torch.allclose(together, plainly, rtol=0, atol=1e-5)
    expected, gradient = (torch.autograd.grad((weights * each).sum(), tokens)[0] for each in (plainly, together))
    assert expected.abs().max() > 0
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_heads_that_are_trained_get_their_gradients(reward, noisy):
    model = reward("motion")
    model.heads.requires_grad_(True)
    model.rewards(*noisy()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.heads.parameters())


@pytest.mark.parametrize("counted", [("MQ",), ("VQ", "TA"), DIMENSIONS])
def test_dimensions_that_do_not_count_have_their_reward_and_no_gradient(reward, noisy, counted):
    model = reward("motion").requires_grad_(False)
    x_t, sigma, conditioning = noisy()
    x_t.requires_grad_(True)
    every, some = (model.rewards(x_t, sigma, conditioning, which) for which in (DIMENSIONS, counted))
    assert torch.allclose(every, some, rtol=0, atol=1e-5)
    weights = torch.tensor([float(name in counted) for name in DIMENSIONS])
    expected, gradient = (
        torch.autograd.grad((weights * each).sum(), x_t, retain_graph=True)[0] for each in (every, some)
    )
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    if counted != DIMENSIONS:
        left = 1 - weights
        (none,) = torch.autograd.grad((left * some).sum(), x_t)
        assert not none.any()


def test_with_none_that_counts_there_is_no_graph(reward, noisy):
    x_t, sigma, conditioning = noisy()
    model = reward("motion").requires_grad_(False)
    assert not model.rewards(x_t.requires_grad_(True), sigma, conditioning, ()).requires_grad
