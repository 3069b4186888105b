"""What *Search Seeds* has measured in mode 'calibrate' since ComfyUI was started: how much of best of N's gain an early look keeps.

Each run measures one prompt and is added to those of the same model, sampler, sigmas, cfg and judge. The state of it lies in ComfyUI's output
folder as ``videoalign/calibrations/KEY.json``.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..reward.search.calibration import Calibration, calibrate
from .content_key import content_key, model_key

if TYPE_CHECKING:
    from ..reward.search.seed_search import Look
    from .seed_takes import SeedSampling

FOLDER = Path("videoalign") / "calibrations"
_looks: dict[str, dict[str, list[Look]]] = {}
_lock = threading.Lock()


def measured(looks: list[Look], sampling: SeedSampling, judge: Any, prompt: str, output: Path) -> str:
    """Add a prompt's takes, write the file, and tell what is known by now.

    Args:
        looks: every take at every look and at its end.
        judge: PreviewMarks or LatentMarks.
        output: ComfyUI's output folder.

    Raises:
        VideoAlignError: fewer than two takes were judged.
    """
    stages = sampling.stages
    about = {
        "model": [type(stage.guider.model_patcher.model).__name__ for stage in stages],
        "sampler": [stage.sampler_name for stage in stages],
        "steps": [stage.steps for stage in stages],
        "cfg": [getattr(stage.guider, "cfg", None) for stage in stages],
        "judge": judge.handle.name,
    }
    models = [[model_key(stage.guider.model_patcher), stage.sigmas] for stage in stages]
    steps = tuple(sorted({look.step for look in looks}))
    key = content_key(models, about, judge.key(), steps)
    with _lock:
        known = _looks.setdefault(key, {}) | {prompt: looks}
        found = calibrate(known, sampling.steps, about)
        _looks[key] = known
    file = output / FOLDER / f"{key}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    found.write(file)
    return "\n".join([*_told(found), f"Written to {FOLDER.as_posix()}/{file.name} in the output folder."])


def _told(found: Calibration) -> list[str]:
    chosen = found.chosen()
    prompts = f"{found.prompts} prompt{'' if found.prompts == 1 else 's'} since ComfyUI was started"
    return [
        f"Calibration, {prompts}: {found.sentence(chosen)}. Set look_after to {chosen.step}.",
        *(f"step {one.step}  Spearman {one.spearman}  Pearson {one.pearson}  share of the gain {one.share}" for one in found.worth),
        *filter(None, [found.caution()]),
    ]  # fmt: skip
