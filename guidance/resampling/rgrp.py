"""Reward-guided resampling and pruning, LatSearch's search (arXiv 2603.14526).

N particles begin near one noise and take Euler's steps. At each look a particle's weight is multiplied by its softmax(lambda r) among
those that are left; as many as are left are drawn by weight, with replacement, and each that was drawn goes on once. At the last look the one with
the largest weight goes on alone. After k_1 < ... < k_L of T steps, with n_j particles left after look j (n_L = 1), the model is asked

    N k_1 + n_1 (k_2 - k_1) + ... + n_L (T - k_L)

times: for N = 6 and LatSearch's looks between 2.10 T (one is left after the first look) and 3.10 T (none drops before the last); equal rewards
leave 6 (1 - (5/6)^6) = 4.0 and then 2.7 of them on average, which is 2.6 T.

Beside the paper: the first particle is the clip's own noise, so that with one particle, or lambda = 0, this is the plain sampler.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...backbones.flow_path import generator_of
from ...errors import GuidanceError
from .draws import softmax, with_replacement
from .particles import Look, Outcome, Run, advance, begin, copies, rewards, told
from .settings import RGRPSettings
from .stochastic import euler_step


@torch.no_grad()
def rgrp(run: Run, x: Tensor, noise: Tensor, settings: RGRPSettings) -> Outcome:
    """Sample with the search.

    Args:
        x: [B, C, T, H, W] at the first noise level.
        noise: the noise in x, like x.

    Returns:
        one particle of each row.

    Raises:
        GuidanceError: there is no noise that particles could differ by; or see ``RewardTotal``.
    """
    if settings.count > 1 and not noise.any():
        raise GuidanceError(
            "This sampler begins without noise of its own, as the second of two samplers does, and the particles of RGRP differ by their "
            "first noise. Give the search the first sampler, with noise."
        )
    rows = begin(run, x, noise, settings.count, settings.spread)
    log_weights = [np.zeros(len(row)) for row in rows]
    looks: list[list[Look]] = [[] for _ in rows]
    planned = settings.look_steps(run.steps)
    for step in range(run.steps):
        level, following = run.levels[step], run.levels[step + 1]

        def moved(whose, x, v, on=(level, following)):
            return euler_step(x, v, *on)

        advance(run, rows, step, moved)
        done = step + 1
        if done in planned and any(len(row) > 1 for row in rows):
            for row, seen in enumerate(rewards(run, rows, following)):
                if len(rows[row]) == 1:
                    continue
                log_weights[row] = log_weights[row] + np.log(softmax(settings.strength * seen))
                weights = softmax(log_weights[row])
                if done == planned[-1]:
                    kept = np.array([int(weights.argmax())])
                else:
                    kept = np.unique(with_replacement(weights, generator_of("rgrp", *run.keys[row], done)))
                numbers = tuple(one.number for one in rows[row])
                rows[row], log_weights[row] = copies(rows[row], kept), log_weights[row][kept]
                left = tuple(one.number for one in rows[row])
                looks[row].append(Look(done, numbers, tuple(seen.tolist()), tuple(weights.tolist()), left))
        told(run, rows, done, [int(own.argmax()) for own in log_weights])
    return Outcome(rows, [np.ones(1) for _ in rows], [0] * len(rows), looks)
