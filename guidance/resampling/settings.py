"""What a person chooses about sampling with particles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import GuidanceError
from ...reward.weights import RewardWeights
from ..settings import UNIT_FREE, GuidanceSettings

DIFFERENCE, MAXIMUM, SUM = "diff", "max", "add"
POTENTIALS = (DIFFERENCE, MAXIMUM, SUM)
WHEN_FEW, ALWAYS = "when few count", "at each look"
RESAMPLING = (WHEN_FEW, ALWAYS)
BEST, DRAWN = "best", "drawn"
PICKS = (BEST, DRAWN)


@dataclass(frozen=True)
class ParticleSettings:
    """What both methods share.

    Attributes:
        weights: of VQ, MQ and TA in the one reward; see ``GuidanceSettings``.
        strength: lambda, 0 or more: what the reward is multiplied by where it decides. 0 samples one particle: the plain sampler.
        mode: ``UNIT_FREE`` counts the reward in its standard deviations over clips, as measured when it was trained; ``RAW``
            takes it as it is.
        particles: of each clip.
        at_once: so many particles of a clip are sampled together. One at a time takes the memory of the plain sampler, more are
            faster where a GPU has room.

    Raises:
        GuidanceError: a value is out of range, or all weights are 0.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: RewardWeights().as_given())
    strength: float = 1.0
    mode: str = UNIT_FREE
    particles: int = 6
    at_once: int = 1

    def __post_init__(self) -> None:
        self._of_guidance()  # weights, strength and mode are guidance's, and so is what may be wrong with them
        for name, value in (("number of particles", self.particles), ("particles at once", self.at_once)):
            if value < 1:
                raise GuidanceError(f"The {name} is {value}; it must be 1 or more.")

    @property
    def count(self) -> int:
        """Particles that are sampled."""
        return self.particles if self.strength else 1

    def look_steps(self, steps: int) -> tuple[int, ...]:
        """After how many of ``steps`` the particles are judged, rising."""
        raise NotImplementedError

    def weight_row(self) -> tuple[float, float, float]:
        """Weights of VQ, MQ, TA in this order, as the mode uses them."""
        return self._of_guidance().weight_row()

    def _of_guidance(self) -> GuidanceSettings:
        return GuidanceSettings(self.weights, self.strength, self.mode)


@dataclass(frozen=True)
class RGRPSettings(ParticleSettings):
    """Of reward-guided resampling and pruning.

    Attributes:
        spread: b in [0, 1]: particles begin with sqrt(1 - b^2) z + b eps, z the clip's own noise. 1 makes them independent.
        looks: how often the particles are judged; after the last look one is left.
        first_look, last_look: after which share of the steps, the others evenly between. LatSearch's steps 10, 15 and 20 of 50,
            counted from 0, are done when 11, 16 and 21 of 50 are.
    """

    spread: float = 0.1
    looks: int = 3
    first_look: float = 0.22
    last_look: float = 0.42

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.spread <= 1:
            raise GuidanceError(f"The spread of the particles' noise is {self.spread}; it must be from 0 to 1.")
        if self.looks < 1:
            raise GuidanceError(f"The particles are to be judged {self.looks} times; it must be 1 or more.")
        if not 0 < self.first_look <= self.last_look <= 1:
            raise GuidanceError(
                f"The first look is to be after {self.first_look:g} of the steps and the last after {self.last_look:g}; give shares "
                "above 0 and up to 1, the smaller one first."
            )

    def look_steps(self, steps: int) -> tuple[int, ...]:
        """See ``ParticleSettings``; fewer where steps are too few to tell looks apart."""
        gap = (self.last_look - self.first_look) / max(self.looks - 1, 1)
        shares = [self.last_look - gap * (self.looks - 1 - index) for index in range(self.looks)]
        return tuple(sorted({min(max(round(share * steps), 1), steps) for share in shares}))


@dataclass(frozen=True)
class FeynmanKacSettings(ParticleSettings):
    """Of Feynman-Kac steering.

    Attributes:
        potential: what of the rewards seen so far weighs at a look: ``DIFFERENCE`` to the last one, their ``MAXIMUM``, their
            ``SUM``.
        looks: how often the particles are judged, evenly, the last time at the end.
        resampling: ``WHEN_FEW``, when the effective sample size is below half the particles, or ``ALWAYS``.
        eta: noise of the stochastic sampler in [0, 1]; see ``stochastic.py``. At 0 copies of a particle stay copies.
        pick: which particle is the clip: the ``BEST`` by its final reward, or one ``DRAWN`` by weight, which is a sample of the
            tilted density.
    """

    strength: float = 4.0
    particles: int = 4
    potential: str = DIFFERENCE
    looks: int = 5
    resampling: str = WHEN_FEW
    eta: float = 1.0
    pick: str = BEST

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, known in (
            ("potential", self.potential, POTENTIALS),
            ("time of resampling", self.resampling, RESAMPLING),
            ("choice of the clip", self.pick, PICKS),
        ):
            if value not in known:
                raise GuidanceError(f"The {name} {value!r} is none of {', '.join(map(repr, known))}.")
        if self.looks < 1:
            raise GuidanceError(f"The particles are to be judged {self.looks} times; it must be 1 or more.")
        if not 0 <= self.eta <= 1:
            raise GuidanceError(f"eta is {self.eta}; it must be from 0 (no noise) to 1.")

    def look_steps(self, steps: int) -> tuple[int, ...]:
        """See ``ParticleSettings``; the last is the end."""
        return tuple(sorted({max(round(steps * (index + 1) / self.looks), 1) for index in range(self.looks)}))
