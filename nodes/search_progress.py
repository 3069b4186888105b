"""ComfyUI's progress bar and preview over all takes of a search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..reward.search.plan import cost, replayed_cost
from .comfy_compat import ProgressBar, latent_previewer
from .nested_latents import video_part
from .seed_takes import REPLAY

if TYPE_CHECKING:
    from .seed_search import SearchPlan
    from .seed_takes import SeedSampling, Stage


class SearchProgress:
    """Told of every step of every take; takes that are known from before are steps that are not to be done."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._previewer = latent_previewer(stages[0].guider.model_patcher)
        self._bar: Any = None
        self._done = self._steps = 0

    @contextlib.contextmanager
    def of(self, plan: SearchPlan, sampling: SeedSampling) -> Iterator[None]:
        """For the steps of this plan."""
        self.planned(plan, sampling)
        yield
        self._bar.update_absolute(self._steps, self._steps)

    def planned(self, plan: SearchPlan, sampling: SeedSampling) -> None:
        """So many steps are to be done in all, those that are done included."""
        counted = replayed_cost if sampling.mode == REPLAY else cost
        self._steps = counted(plan.looks, len(plan.seeds), sampling.steps)
        self._bar = ProgressBar(self._steps)

    def step(self, x0: Any) -> None:
        """A step was done; ``x0`` is the clean latent, in the model's unit."""
        self._done = min(self._done + 1, self._steps)
        picture = None
        if self._previewer is not None:
            picture = self._previewer(video_part(x0))
        self._bar.update_absolute(self._done, self._steps, picture)
