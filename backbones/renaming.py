"""Tables of renamed name parts, the form in which each family's ``*_names.py`` writes its names."""

from __future__ import annotations

import re
from collections.abc import Iterable


class Renames:
    """Rules (regular expression, replacement), applied one after the other, each at most once to a name.

    Rules match whole parts of a dotted name: a rule never begins or ends inside a part.
    """

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        self._rules = [(re.compile(rf"(?<![^.]){pattern}(?![^.])"), new) for pattern, new in rules]

    def __call__(self, name: str) -> str:
        """The name with all rules applied."""
        for pattern, new in self._rules:
            name = pattern.sub(new, name, count=1)
        return name


class FileNames:
    """Layers that a family's files call otherwise than ComfyUI's network, which renames them while loading.

    Args:
        parts: (part of a layer's name in the files, in ComfyUI's network, whether ComfyUI's LoRA loader knows the first one
            too). A part may begin inside a dotted part of the name, and ends where one ends.
        tensors: (regular expression, replacement) of whole tensors' names, after the layers have been renamed.
    """

    def __init__(self, parts: Iterable[tuple[str, str, bool]], tensors: Iterable[tuple[str, str]] = ()) -> None:
        parts = list(parts)
        self._to_network = [(re.compile(re.escape(old) + r"(?=\.|$)"), new) for old, new, _ in parts]
        self._in_loras = [(old, new) for old, new, known in parts if known]
        self._tensors = [(re.compile(pattern), new) for pattern, new in tensors]

    def to_network(self, name: str) -> str:
        """A layer's or tensor's name in a file -> in ComfyUI's network; a name that is the network's already stays."""
        for pattern, new in (*self._to_network, *self._tensors):
            name = pattern.sub(new, name)
        return name

    def to_lora(self, layer: str) -> str:
        """A layer of ComfyUI's network -> as LoRA files that follow the family's files call it."""
        for old, new in self._in_loras:
            layer = re.sub(re.escape(new) + "$", old, layer)
        return layer

    def from_lora(self, layer: str) -> str | None:
        """The inverse of ``to_lora``; None for what ``to_lora`` does not give, the network's names among them."""
        original = layer
        for old, new in self._in_loras:
            original = re.sub(re.escape(old) + "$", new, original)
        return original if self.to_lora(original) == layer else None
