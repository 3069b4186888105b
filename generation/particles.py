"""Sampling with particles (RGRP, Feynman-Kac steering) in the place of the plain sampler, as options of ``videoalign generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ..cli.options import CommandConfig
from ..errors import VideoAlignError
from ..guidance.resampling.settings import FeynmanKacSettings, ParticleSettings, RGRPSettings

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone
    from ..backbones.sampling import Batch, Progress

RGRP, FK = "rgrp", "fk"
SEARCH = RGRPSettings()
STEERING = FeynmanKacSettings()
_OF_RGRP = ("spread", "first_look", "last_look")
_OF_FK = ("potential", "eta", "resample", "pick")


class Resampling(CommandConfig):
    """Several particles of each clip, judged on the way by a latent reward; the better ones go on."""

    latent_reward: str | None = Field(None, description='Latent reward file, or "micro"; unset: no particles.')
    method: Literal["rgrp", "fk"] = Field(
        RGRP,
        description="rgrp: a search that soon keeps the best one (LatSearch). fk: Feynman-Kac steering, all go to the end.",
    )
    VQ: float = Field(0.1, ge=0, description="Weight of visual quality.")
    MQ: float = Field(0.1, ge=0, description="Weight of motion quality.")
    TA: float = Field(0.8, ge=0, description="Weight of text alignment.")
    mode: Literal["unit-free", "raw"] = Field(
        "unit-free", description="unit-free: rewards in standard deviations over clips; raw: as they are."
    )
    strength: float | None = Field(
        None,
        ge=0,
        description=f"lambda, what the reward is multiplied by; {SEARCH.strength:g} by default, {STEERING.strength:g} with fk. 0: the plain sampler.",
    )
    particles: int | None = Field(
        None, ge=1, description=f"Of each clip; {SEARCH.particles} by default, {STEERING.particles} with fk."
    )
    at_once: int = Field(1, ge=1, description="Particles of a clip that are sampled together; 1 takes least memory.")
    looks: int | None = Field(
        None, ge=1, description=f"How often they are judged; {SEARCH.looks} by default, {STEERING.looks} with fk."
    )
    spread: float | None = Field(
        None,
        ge=0,
        le=1,
        description=f"rgrp: how far the particles' noise differs; {SEARCH.spread:g} by default, 1: other seeds.",
    )
    first_look: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"rgrp: share of the steps before the first look; {SEARCH.first_look:g} by default.",
    )
    last_look: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"rgrp: share of the steps after which one is left; {SEARCH.last_look:g} by default.",
    )
    potential: Literal["diff", "max", "add"] | None = Field(
        None, description=f"fk: what of the rewards weighs at a look; {STEERING.potential} by default."
    )
    eta: float | None = Field(
        None, ge=0, le=1, description=f"fk: noise of the stochastic sampler; {STEERING.eta:g} by default."
    )
    resample: Literal["when few count", "at each look"] | None = Field(
        None, description=f"fk: when particles are drawn anew; '{STEERING.resampling}' by default."
    )
    pick: Literal["best", "drawn"] | None = Field(
        None, description=f"fk: the clip is the best particle, or one drawn by weight; {STEERING.pick} by default."
    )

    @model_validator(mode="after")
    def _fits_its_method(self) -> Resampling:
        foreign = _OF_FK if self.method == RGRP else _OF_RGRP
        given = [name for name in foreign if getattr(self, name) is not None]
        if given:
            raise ValueError(f"{', '.join(given)} is not an option of the method {self.method}; leave it out")
        try:
            self.settings()
        except VideoAlignError as error:
            raise ValueError(str(error)) from None
        return self

    def settings(self) -> ParticleSettings:
        """What was chosen, the defaults filled in."""
        given = {
            "strength": self.strength, "particles": self.particles, "looks": self.looks, "spread": self.spread, "first_look": self.first_look,
            "last_look": self.last_look, "potential": self.potential, "eta": self.eta, "resampling": self.resample, "pick": self.pick,
        }  # fmt: skip
        kind = RGRPSettings if self.method == RGRP else FeynmanKacSettings
        return kind(
            {"VQ": self.VQ, "MQ": self.MQ, "TA": self.TA},
            mode=self.mode,
            at_once=self.at_once,
            **{name: value for name, value in given.items() if value is not None},
        )

    def identity(self) -> dict | None:
        """What the clips depend on, with the latent reward by content; None without particles."""
        from dataclasses import asdict

        from .identity import file_key
        from .pipeline import reward_path

        if self.latent_reward is None:
            return None
        chosen = asdict(self.settings())
        del chosen["at_once"]  # changes a clip by no more than a rounding
        return {"latent_reward": file_key(reward_path(self.latent_reward)), "method": self.method, **chosen}

    def described(self) -> str:
        """In words, for the list of clips."""
        chosen = self.settings()
        return f"{self.method} of {chosen.particles} VQ {self.VQ:g} MQ {self.MQ:g} TA {self.TA:g} {self.mode} {chosen.strength:g}"


class ParticleSampler:
    """Samples batches with particles; a ``backbones.sampling.Sampler``.

    A clip depends on its seed, not on its batch.

    Args:
        file: latent reward file, or "micro".

    Attributes:
        clips, evaluations: sampled so far, and how often the network was asked for one of their particles: steps times clips for the
            plain sampler, with each side of classifier-free guidance told once.

    Raises:
        VideoAlignError: the latent reward cannot be read, is for other latents, or was not measured.
    """

    def __init__(self, file: str, settings: ParticleSettings, device: str, backbone: Backbone) -> None:
        from ..guidance.resampling.totals import RewardTotal
        from .pipeline import fitting_reward

        reward = fitting_reward(file, device, backbone)
        self.settings = settings
        self.total = RewardTotal(reward.rewards, settings, reward.calibration)
        self.clips = self.steps = self.evaluations = 0

    def __call__(self, batch: Batch, progress: Progress | None = None):
        """See ``backbones.sampling.Sampler``."""
        from ..backbones.conditioning import rows_of
        from ..guidance.resampling.particles import Run
        from ..guidance.resampling.sampling import sample_particles

        levels = [float(level) for level in batch.levels]

        def predict(x, sigma, rows):
            self.evaluations += len(x)
            return batch.velocity(rows)(x, x.new_full((len(x),), sigma))

        def total(x, sigma, rows):
            told = {name: value.to(x.device) for name, value in rows_of(batch.positive, rows).items()}
            return self.total(x, sigma, told)

        def seen(step, x, clean):
            if progress is not None:
                progress(step, len(levels) - 1)

        run = Run(predict, total, levels, [(seed,) for seed in batch.seeds], self.settings.at_once, seen)
        samples = sample_particles(run, batch.noise, batch.noise, self.settings).samples
        self.clips, self.steps = self.clips + len(batch.seeds), len(levels) - 1
        return samples

    def cost(self) -> float:
        """Runs of the plain sampler that a clip cost, on average."""
        return self.evaluations / max(self.clips * self.steps, 1)
