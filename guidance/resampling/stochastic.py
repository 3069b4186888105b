"""A stochastic sampler of a rectified flow with the flow's own marginals.

For every g(sigma) >= 0 the stochastic differential equation, sigma falling,

    dx = v dsigma + g^2 / (2 sigma) x1^ dsigma + g dW,    x1^ = x + (1 - sigma) v = -sigma grad log p(x)

has the marginals of the flow dx = v dsigma (arXiv 2011.13456, section 4.3; for flows arXiv 2401.08740, Eq. 7, and arXiv 2505.05470,
Eq. 9). Here g^2 = eta^2 2 sigma / (1 - sigma), which at eta = 1 is the reverse of the forward process x_t = (1 - t) x0 + t x1 made a
Markov chain, and at eta = 0 no noise.

A plain Euler-Maruyama step cannot be made at sigma = 1, where g is infinite, and adds the variance q (1 - sigma' / sigma) +
q^2 / (4 sigma^2) too much, q = g^2 (sigma - sigma'): clips of few steps stay grainy. The step here holds x0^ and x1^ over the step, which is all
that Euler's step does, and integrates the rest exactly (as DDIM does, arXiv 2010.02502, Eq. 12 and 16):

    x' = (1 - sigma') x0^ + sqrt(sigma'^2 - s^2) x1^ + s n,    s = eta sigma' sqrt(1 - (((1 - sigma) sigma') / ((1 - sigma') sigma))^2)

To first order in sigma - sigma' it is the Euler-Maruyama step.
"""

from __future__ import annotations

import math

from torch import Tensor

from ...backbones.flow_path import velocity_to_x0, velocity_to_x1


def noise_scale(level: float, following: float, eta: float) -> float:
    """s: standard deviation of the noise that a step from ``level`` to ``following`` adds."""
    if following <= 0:
        return 0.0
    kept = (1 - level) * following / ((1 - following) * level) if following < 1 else 1.0
    return eta * following * math.sqrt(max(1 - kept**2, 0.0))


def euler_step(x: Tensor, v: Tensor, level: float, following: float) -> Tensor:
    """x' = x + (sigma' - sigma) v."""
    return x + (following - level) * v


def stochastic_step(x: Tensor, v: Tensor, level: float, following: float, eta: float, noise: Tensor) -> Tensor:
    """x' at noise level ``following`` (see above); without noise to add it is Euler's step, bit for bit.

    Args:
        x: at noise level ``level``.
        v: velocity there.
        noise: standard normal, like x.
    """
    s = noise_scale(level, following, eta)
    if s == 0:
        return euler_step(x, v, level, following)
    clean, own = velocity_to_x0(v, x, level), velocity_to_x1(v, x, level)
    return (1 - following) * clean + math.sqrt(following**2 - s**2) * own + s * noise
