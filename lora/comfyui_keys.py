"""Which tensor of ComfyUI's network a LoRA file's names mean to its stock loader, told from names alone (no torch, no ComfyUI).

The loader asks, for each weight ``diffusion_model.X.weight`` of its network, for tensors whose stem is ``diffusion_model.X`` or
``lora_unet_X`` with underscores, and for each other tensor ``diffusion_model.Y`` for its whole name. For a family whose files
have names of their own (HunyuanVideo) it knows those too, behind ``diffusion_model.`` or ``transformer.``; LTX-Video's weights it
knows without a prefix. Stems that nothing asks for have no effect: a line in the log is all that a user sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..backbones.families import families, family
from .key_styles import split_prefix
from .leftovers import SECOND_EXPERT

Shape = tuple[int, ...]

_OWN_PREFIX = "diffusion_model."
_JOINED_PREFIX = "lora_unet_"
_MODEL_PREFIXES = re.compile(r"^(model\.diffusion_model\.|diffusion_model\.|model\.model\.)")
_NOTES = (".scale_weight", ".weight_scale", ".scale_input", ".input_scale", ".comfy_quant")  # of fp8 files


class Network:
    """The tensors that ComfyUI's network of a family has.

    Args:
        family_name: its name.
        tensors: name (ComfyUI's, without ``diffusion_model.``) -> shape or None, as ``network_tensors`` gives them; by default all that
            the family can have, of shapes unknown.
    """

    def __init__(self, family_name: str, tensors: Mapping[str, Shape | None] | None = None) -> None:
        self.family, self._tensors = family(family_name), tensors
        if tensors is None:
            layers, others = self.family.lora_layers, self.family.lora_others
            self._layers, self._others = re.compile(layers), re.compile(others)
            self._joined_layers = re.compile(layers.replace(r"\.", "_"))
            self._joined_others = re.compile(others.replace(r"\.", "_"))
        else:
            weights = (name.removesuffix(".weight") for name in tensors if name.endswith(".weight"))
            self._joined = {layer.replace(".", "_"): layer for layer in weights}

    def target(self, stem: str) -> str | None:
        """The tensor that is changed by the tensors of a stem; None if nothing asks for it.

        Where no model's tensors were given, that of a stem with underscores keeps these in its name.
        """
        if stem.startswith(_JOINED_PREFIX):
            return self._target_of_joined(stem.removeprefix(_JOINED_PREFIX))
        if stem.startswith(_OWN_PREFIX):
            name = stem.removeprefix(_OWN_PREFIX)
            if self.has(f"{name}.weight"):
                return f"{name}.weight"
            if not name.endswith(".weight") and self.has(name):
                return name
        elif self.family.lora_bare_names and self.has(f"{stem}.weight"):
            return f"{stem}.weight"
        prefix, _, layer = stem.partition(".")
        if self.family.file_names is None or prefix not in ("diffusion_model", "transformer"):
            return None
        own = self.family.file_names.from_lora(layer)
        return f"{own}.weight" if own is not None and self.has(f"{own}.weight") else None

    def has(self, tensor: str) -> bool:
        """Whether the network has a tensor of this name."""
        if self._tensors is not None:
            return tensor in self._tensors
        layer = tensor.removesuffix(".weight")
        if layer != tensor:
            return bool(self._layers.fullmatch(layer) or self._joined_layers.fullmatch(layer))
        return bool(self._others.fullmatch(tensor) or self._joined_others.fullmatch(tensor.replace(".", "_")))

    def shape(self, tensor: str) -> Shape | None:
        """Its shape where that is known."""
        return None if self._tensors is None else self._tensors.get(tensor)

    def _target_of_joined(self, layer: str) -> str | None:
        if self._tensors is None:
            return f"{layer}.weight" if self._joined_layers.fullmatch(layer) else None
        return f"{self._joined[layer]}.weight" if layer in self._joined else None


def family_of(keys: Iterable[str]) -> str | None:
    """The family that a LoRA or a model file is of, from its keys in any naming (also diffusers'); None if unknown."""
    names = [split_prefix(key.removeprefix(SECOND_EXPERT))[1].replace(".", "_") for key in keys]
    for known in families():
        if any(re.match(known.lora_signs, name) for name in names):
            return known.name
    return None


def network_tensors(shapes: Mapping[str, Shape | None], family_name: str | None = None) -> dict[str, Shape | None]:
    """The tensors of a model file under the names of ComfyUI's network, with their shapes.

    Args:
        shapes: name in the file -> shape, None where it is not known.
        family_name: by default told from the names.
    """
    told = family_name or family_of(shapes)
    file_names = None if told is None else family(told).file_names
    tensors = {}
    for key, shape in shapes.items():
        if not key.endswith(_NOTES):
            name = _MODEL_PREFIXES.sub("", key)
            tensors[name if file_names is None else file_names.to_network(name)] = shape
    return tensors
