"""Steering Sampler (Feynman-Kac)."""

from __future__ import annotations

from ..guidance.resampling.settings import PICKS, POTENTIALS, RESAMPLING, FeynmanKacSettings
from ..reward.weights import RewardWeights
from .comfy_compat import CATEGORY, io, node_schema
from .particle_inputs import count_inputs, last_inputs, reward_inputs, strength_input

_DEFAULT = FeynmanKacSettings()


class SteeringSampler(io.ComfyNode):
    """A stochastic sampler with particles that a latent reward weighs on the way."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=[
                "FK steering",
                "Feynman-Kac",
                "SMC",
                "sequential Monte Carlo",
                "particles",
                "tilt",
                "best of N",
            ],
            node_id="VideoAlignSteeringSampler",
            display_name="Steering Sampler (Feynman-Kac)",
            category=CATEGORY,
            description=(
                "A stochastic sampler for SamplerCustomAdvanced with several particles for each clip. A latent reward model weighs them on the way; "
                "where few of them count, those are copied and part again by the sampler's noise. It costs as many clips as there are "
                "particles. Strength 0 or 1 particle is the stochastic sampler alone, bit for bit."
            ),
            inputs=[
                *reward_inputs(),
                strength_input(
                    _DEFAULT.strength,
                    "How much the reward tilts what is sampled (lambda). 0: not at all, with 1 particle.",
                ),
                *count_inputs(_DEFAULT, "How often the particles are judged, evenly, the last time at the end."),
                io.Combo.Input(
                    "potential",
                    options=list(POTENTIALS),
                    default=_DEFAULT.potential,
                    tooltip=(
                        "What weighs at a look. diff: what the reward has gained since the last look. max: the most it was. add: the sum. The "
                        "end corrects all three to the final reward; max and add decide earlier."
                    ),
                ),
                io.Combo.Input(
                    "resample",
                    options=list(RESAMPLING),
                    default=_DEFAULT.resampling,
                    tooltip="When particles are drawn anew by their weights: when few count (effective sample size below half), or at each look.",
                ),
                io.Float.Input(
                    "eta",
                    default=_DEFAULT.eta,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Noise of the sampler. 0: none, as euler, and copies stay copies. 1: as much as it takes to forget the first noise.",
                ),
                io.Combo.Input(
                    "pick",
                    options=list(PICKS),
                    default=_DEFAULT.pick,
                    tooltip="Which particle is the clip. best: that of the highest final reward. drawn: one by weight, a fair sample of the tilt.",
                ),
                *last_inputs(),
            ],
            outputs=[io.Sampler.Output("sampler", display_name="SAMPLER", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(
        cls,
        latent_reward,
        VQ: float,  # noqa: N803 - the dimensions' names
        MQ: float,  # noqa: N803
        TA: float,  # noqa: N803
        strength_mode: str,
        strength: float,
        particles: int,
        looks: int,
        potential: str,
        resample: str,
        eta: float,
        pick: str,
        at_once: int,
        weights: RewardWeights | None = None,
    ) -> io.NodeOutput:
        """Make the sampler."""
        from .particle_sampler import ParticleSampler

        used = RewardWeights.of(VQ, MQ, TA) if weights is None else weights
        settings = FeynmanKacSettings(
            used.as_given(), strength, strength_mode, particles, at_once, potential, looks, resample, eta, pick
        )
        return io.NodeOutput(ParticleSampler("Steering Sampler", latent_reward, settings).sampler())
