"""What ComfyUI's stock LoRA loader makes of a file, told from its header: which weights it changes, and which keys are lost.

Of a stem's tensors (``comfyui_keys``) the loader makes a patch of one weight: a LoRA where B (``lora_up``) is there, a LoHa, LoKr,
GLoRA, OFT or BOFT, a difference, or a weight in its place. Of several patches of one weight the last one counts. Tensors that
no patch takes have no effect. Where the first tensor of a LoRA, LoHa or GLoRA is there and another one is missing, the loader fails
with a KeyError, and nothing of the file is applied. A patch of a tensor that no layer holds (Wan's ``blocks.N.modulation``, LTX-Video's
``scale_shift_table``) is taken without a word, and never added: ComfyUI 0.30 patches the tensors of layers alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .comfyui_keys import Network, Shape

_LORA = (  # (B, A) in the order in which they are looked for
    (".lora_up.weight", ".lora_down.weight"),
    ("_lora.up.weight", "_lora.down.weight"),
    (".lora_B.weight", ".lora_A.weight"),
    (".lora.up.weight", ".lora.down.weight"),
    (".lora_B", ".lora_A"),
    (".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
    (".lora_B.default.weight", ".lora_A.default.weight"),
)
_LOHA = (".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b")
_LOHA_CONVOLUTION = (".hada_t1", ".hada_t2")
_LOKR = (".lokr_w1", ".lokr_w2", ".lokr_w1_a", ".lokr_w1_b", ".lokr_t2", ".lokr_w2_a", ".lokr_w2_b")
_GLORA = (".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight")
_OTHERS = (
    ".alpha", ".dora_scale", ".lora_mid.weight", ".reshape_weight", ".oft_blocks", ".rescale", ".w_norm", ".b_norm", ".diff",
    ".diff_b", ".set_weight",
)  # fmt: skip
_SUFFIXES = sorted(
    (*(name for pair in _LORA for name in pair), *_LOHA, *_LOHA_CONVOLUTION, *_LOKR, *_GLORA, *_OTHERS),
    key=len,
    reverse=True,
)
# VideoX-Fun writes two underscores. The loader repairs that in files that have this key, and in no others.
_WAN_FUN, _WAN_FUN_PREFIX = "lora_unet__blocks_0_cross_attn_k.lora_down.weight", "lora_unet__"
_OF_LAYERS = (".weight", ".bias", ".scale")


class Patch(NamedTuple):
    """What a weight is changed by.

    Attributes:
        kind: ``LoRA``, ``DoRA``, ``LoHa``, ..., ``difference``, ``replacement``.
        keys: of the file.
        fault: why ComfyUI does not make the change (sizes that do not fit are in its log while it samples), or None.
    """

    kind: str
    keys: tuple[str, ...]
    fault: str | None = None


@dataclass(frozen=True)
class Loading:
    """What the loader does with a file.

    Attributes:
        patches: tensor of ComfyUI's network (without ``diffusion_model.``) -> what changes it.
        doubled: tensors with several patches, of which the last counts.
        failure: why the loader fails and applies nothing; None where it does not.
    """

    patches: dict[str, Patch] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    failure: str | None = None

    @property
    def applied(self) -> set[str]:
        """The keys that have an effect."""
        return {key for patch in self.patches.values() if patch.fault is None for key in patch.keys}


class _IncompleteError(Exception):
    """A tensor that the loader takes for granted is missing."""


def foretell(shapes: Mapping[str, Shape], network: Network) -> Loading:
    """What ComfyUI's loader does.

    Args:
        shapes: key of the LoRA file -> shape.
        network: that it is loaded into.
    """
    patches: dict[str, Patch] = {}
    names: dict[str, str] = {}  # a name with underscores for dots -> the name under which its patch is kept
    doubled: list[str] = []
    stems = stems_of(shapes)
    for stem in sorted(stems, key=_order):
        target = network.target(stem)
        if target is None:
            continue
        try:
            for tensor, patch in _patches(stem, stems[stem], target, shapes, network):
                tensor = names.setdefault(tensor.replace(".", "_"), tensor)
                if tensor in patches:
                    doubled.append(tensor)
                patches[tensor] = patch
        except _IncompleteError as error:
            return Loading(failure=str(error))
    return Loading(patches, doubled)


def stems_of(keys: Mapping[str, Shape]) -> dict[str, dict[str, str]]:
    """Stem (after the loader's repair) -> ending -> key, of the endings that the loader knows."""
    repaired = _WAN_FUN in keys
    stems: dict[str, dict[str, str]] = {}
    for key in keys:
        suffix = next((suffix for suffix in _SUFFIXES if key.endswith(suffix)), None)
        if suffix is not None:
            stem = key.removesuffix(suffix)
            if repaired and stem.startswith(_WAN_FUN_PREFIX):
                stem = "lora_unet_" + stem.removeprefix(_WAN_FUN_PREFIX)
            stems.setdefault(stem, {})[suffix] = key
    return stems


def kind_of(parts: Mapping[str, str], shapes: Mapping[str, Shape]) -> str | None:
    """The kind of adapter that a stem's tensors (ending -> key) are, whole or not; None where they are none."""
    kinds = {"LoRA": {name for pair in _LORA for name in pair}, "LoHa": _LOHA, "LoKr": _LOKR, "GLoRA": _GLORA}
    kind = next((name for name, suffixes in kinds.items() if parts.keys() & set(suffixes)), None)
    if ".oft_blocks" in parts:
        kind = _rotation(shapes[parts[".oft_blocks"]])
    return None if kind is None else _with_magnitude(kind, parts)


def _order(stem: str) -> int:
    """The loader's order where several stems mean one weight."""
    return 0 if stem.startswith("lora_unet_") else 1 if stem.startswith("diffusion_model.") else 2


def _patches(
    stem: str, parts: dict[str, str], target: str, shapes: Mapping[str, Shape], network: Network
) -> Iterator[tuple[str, Patch]]:
    """The patches that a stem's tensors make, in the loader's order."""
    for kind, suffixes, fault in _adapters(stem, parts, shapes, network.shape(target)):
        keys = tuple(parts[suffix] for suffix in (*suffixes, ".alpha", ".dora_scale") if suffix in parts)
        yield target, Patch(_with_magnitude(kind, parts), keys, fault)
    bias = target.removesuffix(".weight") + ".bias" if target.endswith(".weight") else None
    for suffix, tensor, kind in (
        (".w_norm", target, "difference"),
        (".b_norm" if ".w_norm" in parts else "", bias, "difference"),
        (".diff", target, "difference"),
        (".diff_b", bias, "difference"),
        (".set_weight", target, "replacement"),
    ):
        if suffix in parts and tensor is not None and network.has(tensor):
            found, expected = shapes[parts[suffix]], network.shape(tensor)
            fault = None
            if not tensor.endswith(_OF_LAYERS):
                fault = "ComfyUI changes no tensor of this kind"
            elif kind == "difference" and expected is not None and tuple(found) != tuple(expected):
                fault = _sizes(found, expected)
            yield tensor, Patch(kind, (parts[suffix],), fault)


def _adapters(
    stem: str, parts: dict[str, str], shapes: Mapping[str, Shape], goal: Shape | None
) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """Kind, endings and fault of the adapters among a stem's tensors; ``goal`` is the weight's shape.

    Raises:
        _IncompleteError: the loader fails with these.
    """

    def shape(suffix: str) -> Shape:
        return shapes[parts[suffix]]

    def whole(first: str, *others: str) -> None:
        missing = [suffix for suffix in others if suffix not in parts]
        if missing:
            raise _IncompleteError(f"{parts[first]} has no {stem}{missing[0]} beside it")

    if (pair := next((pair for pair in _LORA if pair[0] in parts), None)) is not None:
        whole(*pair)
        further = (".lora_mid.weight",) if pair == _LORA[0] and ".lora_mid.weight" in parts else ()
        resized = (".reshape_weight",) if ".reshape_weight" in parts else ()
        fault = None if further or resized else _product_fault(shape(pair[0]), shape(pair[1]), goal)
        yield "LoRA", (*pair, *further, *resized), fault
    if _LOHA[0] in parts:
        whole(*_LOHA)
        convolution = _LOHA_CONVOLUTION if _LOHA_CONVOLUTION[0] in parts else ()
        if convolution:
            whole(*convolution)
        yield "LoHa", (*_LOHA, *convolution), None if convolution else _product_fault(*map(shape, _LOHA[:2]), goal)
    if any(suffix in parts for suffix in (".lokr_w1", ".lokr_w2", ".lokr_w1_a", ".lokr_w2_a")):
        for factor in (".lokr_w1", ".lokr_w2"):
            if factor not in parts:
                whole(next(suffix for suffix in _LOKR if suffix in parts), f"{factor}_a", f"{factor}_b")
        yield "LoKr", tuple(suffix for suffix in _LOKR if suffix in parts), _kronecker_fault(parts, shapes, goal)
    if _GLORA[0] in parts:
        whole(*_GLORA)
        yield "GLoRA", _GLORA, None
    if ".oft_blocks" in parts and len(shape(".oft_blocks")) in (3, 4):
        yield _rotation(shape(".oft_blocks")), (".oft_blocks", ".rescale"), None


def _product_fault(up: Shape, down: Shape, goal: Shape | None) -> str | None:
    """Why the product of two matrices cannot be added to a weight."""
    if len(up) < 2 or len(down) < 2 or math.prod(up[1:]) != down[0]:
        return f"{list(up)} and {list(down)} cannot be multiplied"
    found = (up[0], math.prod(down[1:]))
    return _sizes(found, goal) if goal is not None and math.prod(found) != math.prod(goal) else None


def _kronecker_fault(parts: dict[str, str], shapes: Mapping[str, Shape], goal: Shape | None) -> str | None:
    """Why a LoKr's factors cannot be added to a weight."""
    elements = 1
    for factor in (".lokr_w1", ".lokr_w2"):
        if factor in parts:
            elements *= math.prod(shapes[parts[factor]])
        else:
            elements *= shapes[parts[f"{factor}_a"]][0] * math.prod(shapes[parts[f"{factor}_b"]][1:])
    if ".lokr_t2" in parts or goal is None or elements == math.prod(goal):
        return None
    return f"its {elements} elements do not fit the model's weight of {list(goal)}"


def _sizes(found: Shape, expected: Shape) -> str:
    return f"its size {list(found)} is not that of the model's weight, {list(expected)}"


def _rotation(blocks: Shape) -> str:
    return "BOFT" if len(blocks) == 4 else "OFT"


def _with_magnitude(kind: str, parts: Mapping[str, str]) -> str:
    if ".dora_scale" not in parts:
        return kind
    return "DoRA" if kind == "LoRA" else f"{kind} with DoRA"
