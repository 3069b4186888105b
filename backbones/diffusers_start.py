"""diffusers imported for its networks alone, in a process that asks nothing else of it."""

from __future__ import annotations

import sys
from typing import Any

NOT_ASKED_FOR = ("peft", "bitsandbytes", "scipy", "torchvision", "transformers", "torch._dynamo")
"""What diffusers imports wherever it is installed, though its networks do not use it: six of seven CPU seconds. The last is torch's compiler."""


def import_networks_alone() -> None:
    """Import diffusers' networks, and let it believe meanwhile that ``NOT_ASKED_FOR`` are not installed.

    Only for a process of ours that neither trains, compiles nor runs diffusers' own pipelines: diffusers remembers what it believed, and
    refuses its own LoRA loading from then on, and what its caches and offloading keep from torch's compiler they keep no more. Whoever imports one of them later gets it. Where diffusers, or one of them, has
    been imported, nothing is done about it.
    """
    if "diffusers" in sys.modules:
        return
    import torch

    hidden = [name for name in NOT_ASKED_FOR if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's own sign of what cannot be imported
    disable = torch.compiler.disable
    if "torch._dynamo" in hidden:
        torch.compiler.disable = _left_as_it_is  # a decorator there, which would import the compiler
    try:
        import diffusers.models.autoencoders
        import diffusers.models.transformers  # noqa: F401
    finally:
        torch.compiler.disable = disable
        for name in hidden:
            del sys.modules[name]


def _left_as_it_is(function: Any = None, **options: Any) -> Any:
    """As ``torch.compiler.disable``, with and without options."""
    return _left_as_it_is if function is None else function
