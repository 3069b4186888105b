"""The frozen matrices of a backbone's blocks in fewer bits, in main memory, or both: see ``backbones.frozen_linear``."""

from __future__ import annotations

from ...backbones.backbone import Backbone
from ...backbones.fewer_bits import keep_in
from ...backbones.frozen_linear import Form


def store_frozen(backbone: Backbone, form: Form, offload: bool) -> None:
    """Replace the linear layers of the blocks by ``FrozenLinear``; before the adapter is put on."""
    for block in backbone.blocks:
        keep_in(block, form, offload)
