"""One call of one sampler with a guided model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import GuidanceError
from ..guidance.flow_nrg import GuidedRun
from .comfy_compat import model_management
from .guidance_trace import RECORDS
from .nested_latents import Shapes, video_part
from .run_records import RunRecord
from .sampling_path import in_flow, path_of

if TYPE_CHECKING:
    import torch

    from ..guidance.trace import TracePoint
    from .comfy_compat import ModelPatcher
    from .guided_model import Steering

# At this noise level, of the flow, every guider has asked what hangs on the model. Some leave the first steps to themselves
# (CFG-Zero's zero init, above 0.998 in ComfyUI-LTXVideo).
_ALL_HAVE_ASKED = 0.9


class SamplerCall:
    """A sampler's call: its run, told live and kept by the samples that it gives.

    Args:
        steering: of the guidance node.
        patcher: the model that samples.
        noise, latent_image: [B, C, T, H, W], the noise that is added and the latent that it is added to; [B, 1, N] where
            several streams are packed.
        sigmas: the schedule.
        seed: of the noise.
        shapes: of the streams, where the sampler tells them.

    Attributes:
        run: what guidance does in this call.
        shapes: as given.
        x_t: the latent of the evaluation that is going on, as the sampler gave it; None before the first one.
        asked: whether the guider has asked for guidance.
    """

    def __init__(
        self,
        steering: Steering,
        patcher: ModelPatcher,
        noise,
        latent_image,
        sigmas,
        seed: int | None,
        shapes: Shapes | None = None,
    ) -> None:
        self.steering, self.patcher, self.seed, self.shapes = steering, patcher, seed, shapes
        self.sigmas = tuple(sigmas.tolist())
        self.sampling = patcher.get_model_object("model_sampling")
        self.path = path_of(self.sampling)
        self.before: RunRecord | None = None
        self.begins_late = False
        if not video_part(noise, shapes).any():  # a latent that is still noisy is sampled on
            known = RECORDS.find(steering.trace.steered_by, video_part(latent_image, shapes))
            self.before = known if known is not None and known.can_go_on(self.sigmas) else None
            # Some schedules begin a rounding below the largest noise level.
            self.begins_late = self.before is None and self.sigmas[0] < float(self.sampling.sigma_max) * (1 - 1e-3)
        parts = self.before.parts() if self.before else []
        self._passed = sum(len(part.sigmas) - 1 for part in parts)
        self._earlier = steering.trace.points_of(self.before) if self.before else []
        self._number = steering.live.next_run(steering.trace.node)
        self.run: GuidedRun = steering.guidance.begin(in_flow(self.sigmas, self.path), self._tell)
        self.x_t: torch.Tensor | None = None
        self.asked = False

    def sample(self, execute, callback) -> torch.Tensor:
        """Sample; ``execute(callback)`` is the sampler. Returns its samples.

        Raises:
            GuidanceError: the guider never asked for guidance.
        """
        trace, live = self.steering.trace, self.steering.live
        last = {}

        def seen(step, x0, *rest):
            last["x0"] = x0
            if callback is not None:
                callback(step, x0, *rest)

        live.begin(trace.node, self._number, self.seed, self._passed + len(self.sigmas) - 1, self._earlier)
        ended = "failed"
        try:
            samples = execute(seen)
            self._check_asked(self.sigmas[:-1])
            ended = "done"
        except model_management.InterruptProcessingException:
            ended = "stopped"
            raise
        finally:
            live.end(trace.node, self._number, ended)
        points = tuple(self.run.trace.points)
        record = RunRecord(self._number, self.seed, self.sigmas, points, self.before, self.begins_late)
        RECORDS.keep(trace.steered_by, video_part(samples, self.shapes), record)
        if "x0" in last:  # what SamplerCustomAdvanced gives as denoised_output
            video = video_part(last["x0"], self.shapes).cpu()
            RECORDS.keep(trace.steered_by, self.patcher.model.process_latent_out(video), record)
        return samples

    def evaluated(self, sigma: float) -> None:
        """After an evaluation of the guider.

        Raises:
            GuidanceError: it does not ask for guidance.
        """
        if in_flow([sigma], self.path)[0] <= _ALL_HAVE_ASKED:
            self._check_asked([sigma])

    def _check_asked(self, sigmas: Iterable[float]) -> None:
        if self.asked or not self.steering.guidance.settings.strength:
            return
        if any(self.steering.guides(self.sampling, sigma) for sigma in sigmas):
            raise GuidanceError(
                "The guider of this sampler never asks the model for guidance, so Reward Guidance can do nothing (Dual Model CFG "
                "Guider at CFG 1 is such a one). Use Basic Guider or CFG Guider, or set the strength to 0."
            )

    def _tell(self, index: int, point: TracePoint) -> None:
        trace = self.steering.trace
        shown = trace.shown(point, self._passed)
        self.steering.live.point(trace.node, self._number, len(self._earlier) + index, shown)
