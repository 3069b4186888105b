"""diffusers imported for its networks alone, in a process that asks nothing else of it."""

from __future__ import annotations

import sys

NOT_ASKED_FOR = ("peft", "bitsandbytes", "scipy", "torchvision", "transformers")
"""What diffusers imports wherever it is installed, though its networks do not use it: five of seven CPU seconds."""


def import_networks_alone() -> None:
    """Import diffusers' networks, and let it believe meanwhile that ``NOT_ASKED_FOR`` are not installed.

    Only for a process of ours that neither trains nor runs diffusers' own pipelines: diffusers remembers what it believed, and
    refuses its own LoRA loading from then on. Whoever imports one of them later gets it. Where diffusers, or one of them, has
    been imported, nothing is done about it.
    """
    if "diffusers" in sys.modules:
        return
    hidden = [name for name in NOT_ASKED_FOR if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's own sign of what cannot be imported
    try:
        import diffusers.models.autoencoders
        import diffusers.models.transformers  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
