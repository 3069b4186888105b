"""An optimizer for small transformers: momentum whose matrices are made orthogonal before each step (Muon).

Every direction of a weight matrix learns at the same speed, where Adam follows few. On the micro DiT this takes about
half as many steps. Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

# Of the odd quintics that drive singular values towards 1, one a round: each is the best approximation of 1 on the interval
# that the one before leaves, the first on 0.003 to 1, as N. Amsel et al. describe it ("The Polar Express", 2025).
_COEFFICIENTS = (
    (8.3837, -24.7659, 18.3571), (4.0434, -3.0114, 0.5695), (3.5056, -2.6267, 0.5257), (2.4901, -1.8343, 0.4368),
)  # fmt: skip
_ADAM_SCALE = 0.2  # root mean square of an element of Adam's typical step, in units of its rate


class OrthogonalMomentum(torch.optim.Optimizer):
    """Muon for matrices; the step's elements are of the size of Adam's, so that both can share a learning rate."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        """Args: parameters of two or more dimensions, those after the first counting as one; ``lr`` as one would give Adam; decoupled ``weight_decay``."""
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        """Update every matrix that has a gradient. ``closure`` is not supported."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                average = state["momentum"]
                average.lerp_(matrix.grad, 1 - group["momentum"])
                direction = orthogonalised(matrix.grad.lerp(average, group["momentum"]).flatten(1))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                scale = _ADAM_SCALE * max(direction.shape) ** 0.5
                matrix.add_(direction.view_as(matrix), alpha=-group["lr"] * scale)


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns, roughly: singular values end up between 0.8 and 1.2, very small ones below."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    square = x @ x.T
    bound = square.norm() * 1.01 + 1e-14  # the fourth powers' sum: no singular value is above its root
    x, square = x / bound**0.5, square / bound
    x = _rounds_of_squares(x, square) if x.shape[1] > 2 * len(x) else _rounds(x, square)
    return x.T if tall else x


def _rounds(x: Tensor, square: Tensor) -> Tensor:
    for number, (a, b, c) in enumerate(_COEFFICIENTS):
        if number:
            square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


def _rounds_of_squares(x: Tensor, square: Tensor) -> Tensor:
    """The same for a wide matrix, which is multiplied once only: all polynomials of ``square`` commute."""
    factor = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for a, b, c in _COEFFICIENTS:
        polynomial = torch.addmm(square, square, square, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        factor = polynomial @ factor
        square = polynomial @ square @ polynomial
    return factor @ x
