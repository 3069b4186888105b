"""A ModelPatcher for plain torch modules."""

from __future__ import annotations

import torch

from .comfy_compat import ModelPatcher


class WholeModelPatcher(ModelPatcher):
    """Moves its model to the GPU and back as a whole, and keeps its weights ordinary tensors.

    ComfyUI loads a part of a model when memory is short, and streams the rest in through layers of its own kind. A model of
    plain torch layers has none of these: loaded in part, its weights would be on two devices. So ComfyUI may load all of it
    or unload all of it.

    ComfyUI moves models while nodes run, under inference mode, and a tensor made there can never take part in autograd.
    These are moved outside of it: what has gone and come back still has gradients.
    """

    def load(self, device_to=None, lowvram_model_memory=0, force_patch_weights=False, full_load=False):
        """As ModelPatcher's, always complete."""
        with torch.inference_mode(False):
            return super().load(device_to, lowvram_model_memory, force_patch_weights, full_load=True)

    def unpatch_model(self, device_to=None, unpatch_weights=True):
        """As ModelPatcher's."""
        with torch.inference_mode(False):
            return super().unpatch_model(device_to, unpatch_weights)

    def partially_unload(self, device_to, memory_to_free=0, force_patch_weights=False):
        """Frees nothing, after which ComfyUI unloads the model altogether."""
        return 0
