"""Weights of particles, and who of them goes on; seeded."""

from __future__ import annotations

import numpy as np
import torch


def softmax(log_weights: np.ndarray) -> np.ndarray:
    """Weights with sum 1 from logarithms of weights."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def effective_size(weights: np.ndarray) -> float:
    """1 / sum w^2 of weights with sum 1: as many equal ones tell as much (Kong, Liu and Wong 1994)."""
    return float(1 / np.square(weights).sum())


def with_replacement(weights: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """As many independent draws as there are weights: indices, sorted."""
    uniform = torch.rand(len(weights), generator=generator, dtype=torch.float64).numpy()
    return np.sort(_inverse(weights, uniform))


def systematic(weights: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """As many draws as there are weights, from one uniform number: index i comes floor(N w_i) or so many and one times, N w_i on average.

    Equal weights give each index once.
    """
    count = len(weights)
    start = torch.rand(1, generator=generator, dtype=torch.float64).item()
    if np.all(weights == weights[0]):
        return np.arange(count)
    return _inverse(weights, (start + np.arange(count)) / count)


def one(weights: np.ndarray, generator: torch.Generator) -> int:
    """An index, drawn by weight."""
    return int(_inverse(weights, torch.rand(1, generator=generator, dtype=torch.float64).numpy())[0])


def _inverse(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Where uniform numbers in [0, 1) fall among the weights laid end to end."""
    ends = np.cumsum(weights)
    return np.minimum(np.searchsorted(ends / ends[-1], uniform, side="right"), len(weights) - 1)
