"""The optimizer of the micro video model."""

import pytest
import torch

from videoalign.micro.video.orthogonal_momentum import OrthogonalMomentum, orthogonalised


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_singular_values_come_close_to_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonalised(matrix)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.5 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    cosine = (made * (u @ v)).sum() / (made.norm() * (u @ v).norm())
    assert cosine > 0.97


def test_a_step_has_the_size_of_adams():
    weight = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = OrthogonalMomentum([weight], lr=0.01)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    assert weight.detach().square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.2)


def test_it_finds_a_matrix_that_is_badly_scaled():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 6, generator=generator) * torch.tensor([10.0, 3.0, 1.0, 0.3, 0.1, 0.03])
    truth = torch.randn(4, 6, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(4, 6))
    optimizer = OrthogonalMomentum([weight], lr=0.5)
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * (1 - step / 300)
        weight.grad = None
        ((inputs @ weight.T - inputs @ truth.T) ** 2).mean().backward()
        optimizer.step()
    assert (weight - truth).abs().max() < 0.05
