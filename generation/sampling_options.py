"""How clips are sampled: departures from the model's own defaults, as ``generate``, ``search`` and ``align`` take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..cli.options import CommandConfig

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone
    from ..backbones.sampling_defaults import SamplingDefaults


class Sampling(CommandConfig):
    """Departures from the model's own sampling defaults."""

    steps: int | None = Field(None, ge=1, description="Euler steps.")
    shift: float | None = Field(None, gt=0, description="Shift of the noise levels.")
    guidance_scale: float | None = Field(None, ge=0, description="Classifier-free guidance; 1 is none.")
    frames: int | None = Field(None, ge=1, description="Frames of a clip.")
    width: int | None = Field(None, ge=8, description="Pixels.")
    height: int | None = Field(None, ge=8, description="Pixels.")
    fps: float | None = Field(None, gt=0, description="Frames per second.")


def settings_for(backbone: Backbone, options: Sampling, distilled: str | None = None) -> SamplingDefaults:
    """The model's own settings, or a distilled one's, with what the options say in their place.

    Raises:
        VideoAlignError: the model's family has no distilled setting of that name.
    """
    return backbone.sampling_as(distilled).changed(**options.model_dump(exclude_none=True))


def distilled_field() -> Any:
    """The option ``distilled``, of all commands that sample."""
    return Field(
        None,
        description="Sample as a distilled model, in few steps and without classifier-free guidance: lightx2v (Wan's 4-step models and LoRAs), distilled (LTX-Video, LTX-2), fasthunyuan (HunyuanVideo), hunyuan15-cfg (HunyuanVideo 1.5). [sampling] wins over it.",
    )
