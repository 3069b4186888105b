"""Inputs that both samplers with particles have."""

from __future__ import annotations

from ..guidance.resampling.settings import ParticleSettings
from ..guidance.settings import RAW, UNIT_FREE
from .comfy_compat import LatentRewardSocket, WeightsSocket, io
from .reward_weights_node import weight_sliders

MODES = (UNIT_FREE, RAW)


def reward_inputs() -> list:
    """The reward, its weights and its unit."""
    return [
        LatentRewardSocket.Input(
            "latent_reward", tooltip="From Load Latent Reward Model; trained for this model's latents."
        ),
        *weight_sliders("Weight of {}. Unit-free strength uses the proportion of the three, raw strength the values."),
        io.Combo.Input(
            "strength_mode",
            options=list(MODES),
            default=UNIT_FREE,
            tooltip=(
                "unit-free: the reward counts in standard deviations over clips, the same for every latent reward model. raw: the reward "
                "as it is."
            ),
        ),
    ]


def strength_input(default: float, tooltip: str):
    """lambda."""
    return io.Float.Input("strength", default=default, min=0.0, max=100000.0, step=0.01, tooltip=tooltip)


def count_inputs(settings: ParticleSettings, looks: str) -> list:
    """How many particles, how often they are judged, how many at once."""
    return [
        io.Int.Input(
            "particles", default=settings.particles, min=1, max=64, tooltip="How many latents of each clip begin."
        ),
        io.Int.Input("looks", default=settings.looks, min=1, max=100, tooltip=looks),
    ]


def last_inputs() -> list:
    """What stands at the end of both nodes."""
    return [
        io.Int.Input(
            "at_once",
            default=1,
            min=1,
            max=64,
            tooltip="So many particles are sampled together: 1 takes the memory of the plain sampler, more are faster if the GPU has room.",
        ),
        WeightsSocket.Input("weights", optional=True, tooltip="From Reward Weights; used in place of the sliders."),
    ]
