"""Resampling Sampler (RGRP)."""

from __future__ import annotations

from ..guidance.resampling.settings import RGRPSettings
from ..reward.weights import RewardWeights
from .comfy_compat import CATEGORY, io, node_schema
from .particle_inputs import count_inputs, last_inputs, reward_inputs, strength_input

_DEFAULT = RGRPSettings()


class ResamplingSampler(io.ComfyNode):
    """A sampler that begins several variations of a clip and goes on with the one that a latent reward likes best."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=["LatSearch", "RGRP", "best of N", "search", "particles", "seed", "prune"],
            node_id="VideoAlignResamplingSampler",
            display_name="Resampling Sampler (RGRP)",
            category=CATEGORY,
            description=(
                "A sampler for SamplerCustomAdvanced that begins several variations of the clip's noise, lets a latent reward model "
                "judge them early, drops the weaker ones and finishes the best. It costs 2 to 3 clips in place of 1. Strength 0 or 1 "
                "particle is euler, bit for bit."
            ),
            inputs=[
                *reward_inputs(),
                strength_input(
                    _DEFAULT.strength, "How sharply the reward decides who goes on. 0: no search, exactly euler."
                ),
                *count_inputs(_DEFAULT, "How often the particles are judged. After the last look one is left."),
                io.Float.Input(
                    "spread",
                    default=_DEFAULT.spread,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How far the noises of the particles differ: 0.1 gives variations of one clip, 1 other clips, as other seeds do.",
                ),
                io.Float.Input(
                    "first_look",
                    default=_DEFAULT.first_look,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Part of the steps before the first look. Earlier is cheaper, later the reward sees more.",
                ),
                io.Float.Input(
                    "last_look",
                    default=_DEFAULT.last_look,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Part of the steps after which one particle is left.",
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
        spread: float,
        first_look: float,
        last_look: float,
        at_once: int,
        weights: RewardWeights | None = None,
    ) -> io.NodeOutput:
        """Make the sampler."""
        from .particle_sampler import ParticleSampler

        used = RewardWeights.of(VQ, MQ, TA) if weights is None else weights
        settings = RGRPSettings(
            used.as_given(), strength, strength_mode, particles, at_once, spread, looks, first_look, last_look
        )
        return io.NodeOutput(ParticleSampler("Resampling Sampler", latent_reward, settings).sampler())
