"""An optimizer for small transformers: momentum whose matrices are made orthogonal before each step (Muon).

Every direction of a weight matrix learns at the same speed, where Adam follows few. On the micro DiT this takes about
half as many steps. Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that drives singular values towards 1 in few rounds
_ROUNDS = 5
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
    """The nearest matrix with orthonormal rows or columns, roughly: singular values end up between 0.7 and 1.2."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
