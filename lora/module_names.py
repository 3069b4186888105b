"""Which linear layer of a backbone is called what: in diffusers, in the original network (ComfyUI's names), in LoRA files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import LoraFileError
from .adapters import module_name
from .fused import Rows

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone


class ModuleNames:
    """The linear layers of a backbone.

    Attributes:
        features: diffusers name -> (in, out).
        parts: original name -> {diffusers name: rows}, in the order of the rows; several where the layer is fused.
        height: original name -> its rows.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.family = backbone.family
        self.features = _linear_layers(backbone.module)
        self.parts: dict[str, dict[str, Rows]] = {}
        for name, (_, out) in self.features.items():
            modules = backbone.original_modules(name)
            originals = {original for original, _ in modules}
            if len(originals) != 1:  # the original splits what diffusers fuses: no backbone does
                raise LoraFileError(f"{self.family.name}: {name} lies in {len(originals)} original layers, expected 1.")
            rows = [(0, out) if span is None else tuple(span) for _, span in modules]
            self.parts.setdefault(modules[0][0], {})[name] = rows
        self.parts = {
            original: dict(sorted(parts.items(), key=lambda part: part[1][0])) for original, parts in self.parts.items()
        }
        self.height = {
            original: max(stop for rows in parts.values() for _, stop in rows) for original, parts in self.parts.items()
        }
        self._stems = self._index()

    def find(self, stem: str) -> tuple[str, bool] | None:
        """What a LoRA key's stem (without prefix and suffix) means: (name, is it an original name), None if nothing."""
        return self._stems.get(stem)

    def _index(self) -> dict[str, tuple[str, bool]]:
        stems: dict[str, tuple[str, bool]] = {}
        names = [(name, name, True) for name in self.parts]
        if (file_names := self.family.file_names) is not None:  # LoRA files may follow the model's files
            names += [(alias, name, True) for name in self.parts if (alias := file_names.to_lora(name)) != name]
        names += [(name, name, False) for name in self.features]
        for written, name, original in names:
            for stem in (written, written.replace(".", "_")):
                stems.setdefault(stem, (name, original))
        return stems


def _linear_layers(module) -> dict[str, tuple[int, int]]:
    """Linear layers by name, whatever peft or a quantisation has made of them."""
    features: dict[str, tuple[int, int]] = {}
    for path, layer in module.named_modules():
        name = module_name(path)
        inside = re.search(r"\.(lora_\w+|base_layer)(\.|$)", name)
        if name and not inside and hasattr(layer, "in_features") and hasattr(layer, "out_features"):
            features.setdefault(name, (layer.in_features, layer.out_features))
    return features
