"""Both experts of Wan 2.2 A14B in one command: two trainings one after the other, of the same data and with one cache."""

from __future__ import annotations

from ...backbones.experts import EXPERTS, expert_of
from ...errors import VideoAlignError
from .config import FlowConfig


def expert_runs(config: FlowConfig) -> list[FlowConfig]:
    """The trainings that a configuration asks for: itself, or one for each of two experts.

    Of two each has a folder of its own in the output folder, ``high_noise`` and ``low_noise``, and both use the cache of the output
    folder. The first one is that of ``model.transformer``.

    Raises:
        VideoAlignError: it cannot be told which file is which expert, or both are the same.
    """
    other = config.model.other_expert
    if other is None:
        return [config]
    files = (config.model.transformer, other)
    named = [config.model.expert or expert_of(files[0]), expert_of(other)]
    for index in (0, 1):
        if named[index] is None and named[1 - index] is not None:
            named[index] = next(expert for expert in EXPERTS if expert != named[1 - index])
    if named[0] is None or named[0] == named[1]:
        found = "neither name tells" if named[0] is None else f"both are the {named[0]} expert"
        raise VideoAlignError(
            f"model.transformer {files[0]} and model.other_expert {other} must be the two experts, but {found}. "
            "Names have high_noise or low_noise in them, or set model.expert to what model.transformer is."
        )
    cache = config.data.cache or config.output / "cache"
    runs = []
    for file, expert in zip(files, named, strict=True):
        model = config.model.model_copy(update={"transformer": file, "expert": expert, "other_expert": None})
        data = config.data.model_copy(update={"cache": cache})
        runs.append(config.model_copy(update={"output": config.output / str(expert), "model": model, "data": data}))
    return runs
