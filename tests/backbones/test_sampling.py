"""The plain sampler: Euler, classifier-free guidance, hooks."""

import torch

from videoalign.backbones.flow_path import seeded_noise, sigmas
from videoalign.backbones.sampling import guided_velocity, sample


def test_euler_follows_the_exact_path_of_a_straight_flow():
    noise, x0 = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 4, 3, 2, 2)
    assert torch.allclose(sample(lambda x, sigma: noise - x0, noise, sigmas(7, 3)), x0, atol=1e-5)


def test_euler_converges_to_the_known_flow_between_two_gaussians():
    # Data N(m, s^2): the flow maps noise z to m + s z; its velocity is known in closed form.
    mean, std = 1.5, 0.5

    def velocity(x, sigma):
        t = sigma.view(-1, 1, 1, 1, 1)
        variance = (1 - t) ** 2 * std**2 + t**2
        return -mean + (t - (1 - t) * std**2) / variance * (x - (1 - t) * mean)

    noise = seeded_noise([1, 2], (4, 1, 4, 4))
    errors = [(sample(velocity, noise, sigmas(steps)) - (mean + std * noise)).abs().max() for steps in (50, 200)]
    assert errors[1] < 0.02 and errors[1] < errors[0] / 3


class LinearField:
    """Stands where a backbone would: a velocity that is a known function of its conditioning."""

    def __init__(self):
        self.evaluations = 0

    def velocity(self, x_t, sigma, conditioning):
        self.evaluations += 1
        return conditioning["text"].mean((1, 2)).view(-1, 1, 1, 1, 1) * torch.ones_like(x_t)


def test_classifier_free_guidance_extrapolates_from_the_negative():
    field = LinearField()
    positive, negative = {"text": torch.full((2, 1, 1), 3.0)}, {"text": torch.full((2, 1, 1), 1.0)}
    v = guided_velocity(field.velocity, positive, negative, scale=5)(torch.zeros(2, 4, 1, 1, 1), torch.ones(2))
    assert torch.equal(v, torch.full_like(v, 1 + 5 * (3 - 1)))
    assert field.evaluations == 2
    guided_velocity(field.velocity, positive, negative, scale=1)(torch.zeros(2, 4, 1, 1, 1), torch.ones(2))
    assert field.evaluations == 3


def test_the_hook_sees_every_evaluation_and_its_velocity_is_used():
    seen = []

    def hook(x_t, sigma, v):
        seen.append((sigma.tolist(), torch.is_grad_enabled()))
        return v + 1

    noise = torch.zeros(2, 1, 1, 1, 1)
    result = sample(lambda x, sigma: torch.zeros_like(x), noise, sigmas(4), hook=hook)
    assert [levels for levels, _ in seen] == [[level] * 2 for level in sigmas(4)[:-1].tolist()]
    assert not any(grad for _, grad in seen)
    assert torch.allclose(result, torch.full_like(noise, -1.0))


def test_progress_counts_the_steps():
    told = []
    sample(
        lambda x, sigma: x,
        torch.zeros(1, 1, 1, 1, 1),
        sigmas(3),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
