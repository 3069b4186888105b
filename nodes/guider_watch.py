"""What a GUIDER's model is asked and answers while it samples. Nothing here imports ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .nested_latents import joined, parts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Seen:
    """What a take is after a step.

    Attributes:
        clean: the clean latent that the step foresaw, in the unit of a LATENT, on the CPU; nested for video with sound.
        asked: (x, sigma, denoised) of the model's last evaluation, in its own unit: [1, C, T, H, W], float, [1, C, T, H, W], video and sound in
            one tensor where there is sound; None where the guider hides it.
        sigma: the noise level after the step.
        conds: the positive conditionings as the model got them.
        sampling: the model's ``model_sampling``.
    """

    clean: Any
    asked: tuple[torch.Tensor, float, torch.Tensor] | None
    sigma: float
    conds: Any
    sampling: Any

    def noisy(self) -> torch.Tensor:
        """[1, C, T, H, W] at ``sigma``, by Euler's step from the last evaluation; see ``asked``."""
        x, sigma, denoised = self.asked
        return x + (self.sigma - sigma) * (x - denoised) / sigma


class GuiderWatch:
    """Counts and keeps what a guider's model is asked.

    Args:
        guider: a copy for one sampler call; its ``predict_noise`` is replaced.

    Attributes:
        evaluated: how often it was asked; classifier-free guidance counts as once.
    """

    def __init__(self, guider: Any) -> None:
        self.guider, self.evaluated = guider, 0
        self._asked: tuple[Any, float, Any] | None = None
        predict = getattr(guider, "predict_noise", None)
        if predict is not None:
            guider.predict_noise = self._watched(predict)

    def _watched(self, predict: Any) -> Any:
        def predict_noise(x, timestep, *rest, **more):
            self.evaluated += 1
            denoised = predict(x, timestep, *rest, **more)
            self._asked = x, float(timestep.flatten()[0]), denoised
            return denoised

        return predict_noise

    def seen(self, x0: Any, sigmas: torch.Tensor, step: int) -> Seen:
        """What a sampler's callback tells of a step.

        Args:
            x0: the clean latent in the model's unit.
            sigmas: of the call.
            step: 0-based.
        """
        patcher = self.guider.model_patcher
        return Seen(
            patcher.model.process_latent_out(x0.cpu()),
            self._asked,
            float(sigmas[min(step + 1, len(sigmas) - 1)]),
            (getattr(self.guider, "conds", None) or {}).get("positive"),
            patcher.get_model_object("model_sampling"),
        )


def no_noise(samples: Any) -> Any:
    """For a latent that is noisy already, as KSamplerAdvanced and DisableNoise give it."""
    import torch

    return joined(samples, [torch.zeros_like(part, device="cpu") for part in parts(samples)])
