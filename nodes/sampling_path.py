"""Which path a ComfyUI model samples along, and in which latent space. Nothing here imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backbones.families import comfyui_latent_formats
from ..errors import GuidanceError

FLOW, EXPLODING = "flow", "exploding"
# Parametrisations of comfy.model_sampling by class name, the special ones before those that they derive from.
_NEITHER = ("IMG_TO_IMG_FLOW", "IMG_TO_IMG", "V_PREDICTION_DDPM")
_PATHS = {"CONST": FLOW, "EPS": EXPLODING, "COSMOS_RFLOW": EXPLODING}


def path_of(model_sampling: Any) -> str:
    """``FLOW`` (x_t = (1 - sigma) x0 + sigma n) or ``EXPLODING`` (x = x0 + sigma n: EPS and V models).

    Raises:
        GuidanceError: another one, for which no shift is known.
    """
    kinds = [kind.__name__ for kind in type(model_sampling).__mro__]
    special = [kind for kind in kinds if kind in _NEITHER]
    path = next((_PATHS[kind] for kind in kinds if kind in _PATHS), None)
    scale = getattr(model_sampling, "noise_scale", 1.0)
    if special or path is None or (path == FLOW and scale != 1.0):
        what = special[0] if special else f"a noise scale of {scale}" if path else kinds[1]
        raise GuidanceError(
            f"Reward guidance cannot steer this model: its sampling is of the kind {what}, and the reward's shift is known for "
            "rectified flow (Wan, HunyuanVideo, LTX-Video) and for EPS and V prediction. Take the guidance node out."
        )
    return path


def in_flow(sigmas: Sequence[float], path: str) -> tuple[float, ...]:
    """A schedule as noise levels of the flow, which are what a trace shows."""
    return tuple(sigmas) if path == FLOW else tuple(sigma / (1 + sigma) for sigma in sigmas)


def check_fits(reward_name: str, space: tuple[str, int], latent_format: Any) -> None:
    """The latent reward judges the latents that the model samples.

    Args:
        space: name and channels of the reward's latents.
        latent_format: the ComfyUI model's.

    Raises:
        GuidanceError: it was trained on another latent space.
    """
    kind = type(latent_format).__name__
    known = comfyui_latent_formats().get(kind)
    sampled = kind if known is None else known.name
    # Where sound is nested beside the video, ComfyUI's number is that of the larger of the two (MiniMax H3).
    channels = latent_format.latent_channels if known is None else known.channels
    if (sampled, channels) == space:
        return
    raise GuidanceError(
        f"latent_reward {reward_name!r} was trained on {space[0]} latents ({space[1]} channels); this model samples {sampled} "
        f"latents ({channels} channels). Choose a latent reward model that was trained for {sampled}."
    )
