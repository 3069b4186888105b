"""diffusers imported for its networks alone, in a process that asks nothing else of it."""

from __future__ import annotations

import sys

import torch

NOT_ASKED_FOR = ("torch._dynamo", "peft", "bitsandbytes", "scipy", "torchvision", "transformers")
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
    marks_uncompiled = torch.compiler.disable
    torch.compiler.disable = _as_it_is  # it would import the compiler, for a process that compiles nothing
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's own sign of what cannot be imported
    try:
        import diffusers.models.autoencoders
        import diffusers.models.transformers  # noqa: F401
    finally:
        torch.compiler.disable = marks_uncompiled
        for name in hidden:
            del sys.modules[name]


def _as_it_is(function=None, recursive=True, **_options):
    """``torch.compiler.disable``, as a decorator with or without brackets."""
    return _as_it_is if function is None else function
