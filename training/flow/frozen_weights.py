"""The frozen matrices of a backbone's blocks in fewer bits, in main memory, or both: see ``backbones.frozen_linear``."""

from __future__ import annotations

from torch import nn

from ...backbones.backbone import Backbone
from ...backbones.frozen_linear import Form, FrozenLinear


def store_frozen(backbone: Backbone, form: Form, offload: bool) -> None:
    """Replace the linear layers of the blocks by ``FrozenLinear``; before the adapter is put on."""
    for block in backbone.blocks:
        for name, layer in list(block.named_modules()):
            if type(layer) is nn.Linear:
                parent, _, leaf = name.rpartition(".")
                setattr(block.get_submodule(parent), leaf, FrozenLinear(layer, form, offload))
