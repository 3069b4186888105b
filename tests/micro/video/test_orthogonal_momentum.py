"""The optimizer of the micro video model."""

import pytest
import torch

from videoalign.micro.video.orthogonal_momentum import OrthogonalMomentum, orthogonalised


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_singular_values_come_close_to_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, before, v = torch.linalg.svd(matrix, full_matrices=False)
    values = (u * (orthogonalised(matrix) @ v.T)).sum(0)  # each along its own direction
    # Best approximations on 0.003 to 1 of the bound, four rounds: within 0.199 of 1, and never above.
    inside = before > 0.003 * (before**4).sum() ** 0.25 * 1.01**0.5
    assert inside.sum() >= len(before) - 1
    assert values[inside].min() > 0.8 and values.max() < 1.2
    assert (orthogonalised(matrix) - u * values @ v).norm() < 1e-3 * matrix.norm()


def test_a_step_has_the_size_of_adams():
    weight = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = OrthogonalMomentum([weight], lr=0.01)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    assert weight.detach().square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.2)


RATE, STEPS, MOMENTUM = 0.5, 300, 0.95


def distance_to_a_badly_scaled_matrix(optimizer_of):
    """How far from the truth a linear fit ends whose inputs differ 300-fold in size, the rate falling to 0."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 6, generator=generator) * torch.tensor([10.0, 3.0, 1.0, 0.3, 0.1, 0.03])
    truth = torch.randn(4, 6, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(4, 6))
    optimizer = optimizer_of(weight)
    [group] = optimizer.param_groups
    first = group["lr"]
    for step in range(STEPS):
        group["lr"] = first * (1 - step / STEPS)
        weight.grad = None
        ((inputs @ weight.T - inputs @ truth.T) ** 2).mean().backward()
        optimizer.step()
    return (weight - truth).norm().item()


def test_it_finds_a_matrix_that_is_badly_scaled_as_gradient_descent_does_not():
    """Near the truth the path is chaotic: a gradient rounded otherwise by 6e-8 changes its end by a factor of ten.

    So the bound is how far the momentum can carry the weight past the truth: its last 1 / (1 - momentum) = 20 steps. A step
    has the norm rate * 0.2 * sqrt(6) * sqrt(4) (four singular values near 1; 6 is the longer side), and the last 20 rates
    add up to 0.5 * (1 + ... + 20) / 300 = 0.35: together 0.34. In 60 runs with random roundings it ended at 0.02 to 0.21.
    """
    last = range(1, round(1 / (1 - MOMENTUM)) + 1)
    reach = sum(RATE * step / STEPS for step in last) * 0.2 * 6**0.5 * 4**0.5
    ours = distance_to_a_badly_scaled_matrix(lambda weight: OrthogonalMomentum([weight], lr=RATE, momentum=MOMENTUM))
    assert ours < reach
    # 0.03 is near the largest rate that is stable there, 2 / (largest eigenvalue 50) = 0.04.
    plain = distance_to_a_badly_scaled_matrix(lambda weight: torch.optim.SGD([weight], lr=0.03, momentum=MOMENTUM))
    assert plain > 4 * reach
