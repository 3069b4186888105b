"""The method that goes with the settings."""

from __future__ import annotations

from torch import Tensor

from .feynman_kac import feynman_kac
from .particles import Outcome, Run
from .rgrp import rgrp
from .settings import FeynmanKacSettings, ParticleSettings, RGRPSettings


def sample_particles(run: Run, x: Tensor, noise: Tensor, settings: ParticleSettings) -> Outcome:
    """Sample with particles; see ``rgrp`` and ``feynman_kac``."""
    if isinstance(settings, RGRPSettings):
        return rgrp(run, x, noise, settings)
    if isinstance(settings, FeynmanKacSettings):
        return feynman_kac(run, x, noise, settings)
    raise TypeError(f"{type(settings).__name__} names no method")
