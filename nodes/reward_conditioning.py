"""What the sampler conditions its model on, as the latent reward's conditioning. Nothing here imports ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..backbones.families import family
from ..errors import GuidanceError

if TYPE_CHECKING:
    import torch

    from ..backbones.backbone import Backbone


_REMEDIES = {
    "image_latents": "is for image-to-video: it needs the first picture's latents. Connect start_image and vae of WanImageToVideo (or "
    "the like) in front of this sampler, or choose a latent reward for text-to-video.",
    "image_embeds": "is for image-to-video with CLIP vision, and this sampler's conditioning has none. Connect CLIP Vision Encode to "
    "clip_vision_output of WanImageToVideo, or choose a latent reward without it.",
    "pooled": "needs the pooled CLIP-L embedding: encode the prompt with a DualCLIPLoader that has both text encoders.",
}


def chosen_cond(conds: Sequence[Mapping[str, Any]] | None, sigma: float) -> Mapping[str, Any]:
    """The one positive conditioning that tells the latent reward what the clip should show.

    The reward judges the whole clip by one prompt. Among the conditionings that are active at this noise level (a prompt
    schedule switches them), one without area and mask speaks of the whole clip and is taken before the others, the first
    where there are several.

    Args:
        conds: the sampler's, each with "model_conds" and perhaps "timestep_start", "timestep_end", "area", "mask".
        sigma: noise level, in the sampler's unit.

    Raises:
        GuidanceError: there is none.
    """
    active = [
        cond
        for cond in conds or ()
        if sigma <= cond.get("timestep_start", float("inf")) and sigma >= cond.get("timestep_end", 0.0)
    ]
    if not active:
        raise GuidanceError(
            f"No positive conditioning is active at sigma {sigma:.4f}, so the latent reward cannot judge the clip against its "
            "prompt. Let a conditioning without a time range take part, or end the guidance before."
        )
    return next((cond for cond in active if cond.get("area") is None and cond.get("mask") is None), active[0])


def reward_conditioning(trunk: str, model_conds: Mapping[str, Any], batch: int) -> dict[str, torch.Tensor]:
    """Batched conditioning of a latent reward.

    Args:
        trunk: the family of its trunk, by name.
        model_conds: the chosen conditioning's "model_conds": objects with the value in ``.cond``.
        batch: number of clips.

    Raises:
        GuidanceError: there is no text.
    """
    made = {}
    for entry, name in family(trunk).conditioning.items():
        value = getattr(model_conds.get(name), "cond", None)
        if value is not None:
            made[entry] = _rows(value, batch)
    if "text" not in made:
        raise GuidanceError(
            f"The sampler's conditioning has no text embedding, which a {trunk} latent reward needs. Connect the output of a "
            "text encoder node to the sampler."
        )
    if "text_mask" in made:
        made["text_mask"] = made["text_mask"] != 0
    return made


def check_conditioning(
    reward_name: str, trunk: Backbone, told: Mapping[str, torch.Tensor], own_caption: bool = False
) -> None:
    """Whether a latent reward can judge by what the sampler is told.

    Args:
        told: as ``reward_conditioning`` gives it.
        own_caption: the text comes from the node's CLIP, not from the sampler.

    Raises:
        GuidanceError: something is missing, or the text is another encoder's; with the remedy.
    """
    missing = [entry for entry in trunk.needs if entry not in told]
    if missing:
        entry = missing[0]
        raise GuidanceError(
            f"latent_reward {reward_name!r} {_REMEDIES.get(entry, f'needs {entry!r}, which this sampler is not told.')}"
        )
    width = told["text"].shape[-1]
    if width in trunk.text_widths:
        return
    knows = (
        f"latent_reward {reward_name!r} knows texts of width {trunk.text_width} (the encoder of {trunk.family.title})"
    )
    if own_caption:
        raise GuidanceError(
            f"{knows}; clip gives texts {width} wide. Connect the CLIP of {trunk.family.title} to clip, whatever the sampler's is."
        )
    raise GuidanceError(
        f"{knows}; this sampler's are {width} wide. The model shares its latents with {trunk.family.title}, but has another text "
        f"encoder: connect the CLIP of {trunk.family.title} to clip and the prompt to caption, or choose a latent reward that was "
        "trained on this model."
    )


def _rows(value: Any, batch: int) -> torch.Tensor:
    """One row for each clip: fewer are repeated, as ComfyUI does."""
    import torch

    if not isinstance(value, torch.Tensor):
        return torch.tensor([float(value)]).expand(batch)
    if len(value) == batch:
        return value
    if len(value) == 1:
        return value.expand(batch, *value.shape[1:])
    times = -(-batch // len(value))
    return value.repeat(times, *(1,) * (value.ndim - 1))[:batch]
