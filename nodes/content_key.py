"""Whether what comes along a node's wires is what came before, as far as that can be known. Nothing here imports ComfyUI.

Numbers, texts and tensors count by content. Of everything else, such as a network or a patch of another pack, only the very
object that came before counts as the same: an equal one that was made anew gives another key, never a wrong one the old key.
"""

from __future__ import annotations

import hashlib
import types
import uuid
import weakref
from typing import Any

from .nested_latents import is_nested, parts

_tokens: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
_MADE_ANEW = "uuid"  # of a conditioning, whenever a guider takes it
# The model is told by itself; the others are what a sampler left behind.
_NOT_OF_A_GUIDER = frozenset({"model_patcher", "model_options", "loaded_models", "inner_model", "conds"})


def content_key(*values: Any) -> str:
    """A digest; equal for what is the same."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, values)
    return digest.hexdigest()


def guider_key(guider: Any) -> str:
    """Of a GUIDER: its model and patches, its conditionings and numbers."""
    numbers = {name: value for name, value in vars(guider).items() if name not in _NOT_OF_A_GUIDER}
    return content_key(type(guider), numbers, model_key(guider.model_patcher))


def model_key(model: Any) -> str:
    """Of a MODEL: which network, weights' patches, options, and what hangs on it."""
    names = ("object_patches", "model_options", "wrappers", "callbacks", "injections", "hook_patches", "attachments")
    return content_key(model.model, str(model.patches_uuid), {name: getattr(model, name, None) for name in names})


def _feed(digest: Any, value: Any) -> None:
    digest.update(f"<{type(value).__name__}>".encode())
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, uuid.UUID)):
        digest.update(repr(value).encode())
    elif is_nested(value):
        _feed(digest, parts(value))
    elif hasattr(value, "detach") and hasattr(value, "dtype"):
        _feed_tensor(digest, value)
    elif isinstance(value, dict):
        for name in sorted(value, key=repr):
            if name != _MADE_ANEW:
                _feed(digest, name)
                _feed(digest, value[name])
    elif isinstance(value, (set, frozenset)):
        for name in sorted(map(content_key, value)):
            digest.update(name.encode())
    elif isinstance(value, (list, tuple)):
        digest.update(str(len(value)).encode())
        for one in value:
            _feed(digest, one)
    elif isinstance(value, type):
        digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    elif isinstance(value, types.MethodType):
        _feed(digest, [value.__func__, value.__self__])
    elif type(value).__name__.startswith("COND") and hasattr(value, "cond"):  # comfy.conds: made anew for each sampling
        _feed(digest, value.cond)
    else:
        digest.update(_token(value).encode())


def _feed_tensor(digest: Any, value: Any) -> None:
    import torch

    digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
    digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def _token(value: Any) -> str:
    """A name for this object and no other, for as long as it lives."""
    try:
        return _tokens.setdefault(value, uuid.uuid4().hex)
    except TypeError:  # no weak reference can be had: never the same again
        return uuid.uuid4().hex
