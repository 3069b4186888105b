"""Settings for a model and a size of GPU, named ``MODEL-NNgb``, or ``micro``; their table is ``presets.toml``."""

from __future__ import annotations

import difflib
import re
import sys
from functools import cache
from pathlib import Path

from ...backbones.micro_files import MICRO_NETWORK, MICRO_VAE

TABLE = Path(__file__).with_suffix(".toml")
COUNTED = "counted"
"""In the table: no option, but what the preset needs."""
SIZES = (12, 16, 24, 80)  # gigabytes of GPUs that have a preset of every model
SAME = {
    "wan2.2-a14b": "wan2.1-14b"
}  # the networks of its two experts have the size of Wan 2.1's, and one is trained at a time


def preset_names() -> list[str]:
    """The names that ``--preset`` takes."""
    models = {_model_and_size(name)[0] for name in _table() if name != "micro"}
    return sorted(["micro", *(f"{model}-{size}gb" for model in [*models, *SAME] for size in SIZES)])


def preset_values(name: str) -> dict:
    """The options that a preset sets, where they differ from the defaults.

    Raises:
        ValueError: there is no such preset; the message lists what there is.
    """
    names = preset_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise ValueError(f"there is no preset '{name}'{hint}; known are {', '.join(names)}")
    return {key: value for key, value in _entry(name).items() if key != COUNTED}


def preset_memory(name: str) -> dict[str, float]:
    """What a preset was counted to need, see the table: GB by part, and tokens; nothing for ``micro``."""
    return _entry(name).get(COUNTED, {})


def preset_model(name: str) -> dict[str, str]:
    """Options of ``[model]`` that a preset knows where no network is given: the embedded one's for ``micro``, none for others."""
    if name != "micro":
        return {}
    network, vae = str(MICRO_NETWORK), str(MICRO_VAE)
    return {"transformer": network, "vae": vae, "text_encoder": "micro", "name": "videoalign-micro"}


def _entry(name: str) -> dict:
    if name == "micro":
        return _table()[name]
    model, size = _model_and_size(name)
    model = SAME.get(model, model)
    sizes = [gb for other, gb in map(_model_and_size, set(_table()) - {"micro"}) if other == model and gb <= size]
    return _table()[f"{model}-{max(sizes)}gb"]


def _model_and_size(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.+)-(\d+)gb", name)
    return match[1], int(match[2])


@cache
def _table() -> dict[str, dict]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))
