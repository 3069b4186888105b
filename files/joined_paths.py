"""Several files that make one part of a model, given as one option: ``GEMMA.safetensors+CHECKPOINT.safetensors``."""

from __future__ import annotations

from pathlib import Path

_BETWEEN = "+"


def paths_of(value: Path | str) -> list[Path]:
    """The files or folders that an option names: one, or several with ``+`` between them; they need not be there.

    What is there under the whole text is one path.
    """
    path = Path(value)
    if _BETWEEN not in str(value) or path.exists():
        return [path]
    return [Path(part) for part in str(value).split(_BETWEEN) if part]
