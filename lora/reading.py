"""Read a LoRA of any common key style into the weights of a backbone's layers, to continue from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..backbones.experts import EXPERTS, expert_of
from ..errors import LoraFileError, listed
from ..files.json_text import parse_object
from ..files.tensor_file import load_tensors
from .adapters import LoraWeights
from .alphas import RecordedAlphas
from .fused import split
from .key_styles import parse_key
from .leftovers import described, is_of_second_expert
from .metadata import PREFIX
from .module_names import ModuleNames
from .writing import STACKED

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone

_NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")


def load_lora(
    path: Path | str,
    backbone: Backbone,
    ignore_unmatched: bool = False,
    note: Callable[[str], None] | None = None,
    expert: str | None = None,
) -> dict[str, LoraWeights]:
    """The LoRA's weights in float32 by diffusers module name. Ranks and alphas may differ from module to module.

    A missing alpha is what the file records elsewhere (``alphas``), else the rank, as every loader takes it. A fused layer's
    adapter is split into those of its parts: exactly where B is block-diagonal, else each part gets all of A.

    Args:
        path: a safetensors file, or the folder where peft or diffusers wrote one.
        ignore_unmatched: leave out tensors that fit no layer of the backbone, where some fit.
        note: told, in a sentence, what was assumed or left out; printed on standard error by default.
        expert: ``high_noise`` or ``low_noise``: which of Wan 2.2's experts the backbone is. Of a file of diffusers' that holds
            LoRAs of both (``transformer``, ``transformer_2``) that one's is read; one of the other expert is refused.

    Raises:
        LoraFileError: the file cannot be read, has tensors that are no LoRA of a linear layer of this backbone (they are
            listed), of another size, or with values that are not finite.
    """
    note = note or (lambda text: print(text, file=sys.stderr))
    path = lora_file(path)
    metadata, tensors = load_tensors(path, LoraFileError)
    _check_expert(path, metadata, expert)
    tensors, component = _of_expert(path, tensors, expert, ignore_unmatched)
    names = ModuleNames(backbone)
    adapters, unmatched = _by_module(path, tensors, names)
    if unmatched and not (ignore_unmatched and adapters):
        raise LoraFileError(
            f"{path}: {len(unmatched)} of {len(tensors)} tensors fit no linear layer of {names.family.name}: {listed(unmatched)}"
            f"{described(unmatched)}. Only plain LoRA of linear layers can be converted or continued from. {_remedy(unmatched, adapters)}"
        )
    if not adapters:
        raise LoraFileError(f"{path} holds no LoRA ({len(tensors)} tensors).")
    if unmatched:
        note(
            f"{path}: {len(unmatched)} of {len(tensors)} tensors fit no linear layer of {names.family.name} and are left out: "
            f"{listed(unmatched)}{described(unmatched)}."
        )
    alphas = RecordedAlphas(path, metadata, tensors, component)
    unknown: list[str] = []
    try:
        stacked = parse_object(metadata.get(STACKED, "{}"))
    except ValueError as error:
        raise LoraFileError(f"{path} is damaged: its metadata's '{STACKED}' cannot be read ({error}).") from None
    weights: dict[str, LoraWeights] = {}
    for (module, original), adapter_tensors in adapters.items():
        parts = names.parts[module] if original else {module: [(0, names.features[module][1])]}
        lora = _adapter(path, module, adapter_tensors, alphas, unknown)
        first = next(iter(parts))
        _check(path, module, lora, names.features[first][0], max(stop for rows in parts.values() for _, stop in rows))
        whole = len(parts) == 1 and len(parts[first]) == 1
        layers = {first: lora} if whole else split(lora, parts, stacked.get(module))
        twice = [name for name in layers if name in weights]
        if twice:
            raise LoraFileError(f"{path} has {listed(twice)} twice, under different names. Keep one of them.")
        weights |= layers
    if unknown:
        note(
            f"{path} tells no alpha of {len(unknown)} of {len(adapters)} layers; it is taken to be the rank, a scale of 1. Where the trainer "
            "used another one, the strength is wrong by that factor."
        )
    if not weights:
        raise LoraFileError(f"{path} holds a LoRA whose B is zero everywhere: there is nothing to continue from.")
    return weights


def lora_file(path: Path | str) -> Path:
    """The safetensors file at ``path``; in a folder the one that peft or diffusers wrote there.

    Raises:
        LoraFileError: there is none.
    """
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        for name in _NAMES:
            if (path / name).is_file():
                return path / name
        raise LoraFileError(f"{path} is a folder without {' or '.join(_NAMES)}. Name the LoRA's file.")
    if not path.exists():
        raise LoraFileError(f"{path} does not exist. Check the path.")
    return path


def _check_expert(path: Path, metadata: dict[str, str], expert: str | None) -> None:
    """Refuse a LoRA that says, by its metadata or its name, that it is of the other expert."""
    told = metadata.get(f"{PREFIX}expert") or expert_of(path)
    if expert is not None and told in EXPERTS and told != expert:
        raise LoraFileError(
            f"{path} is a LoRA of Wan 2.2's {told} expert, and the model is the {expert} one. Give the LoRA of the same expert; where "
            "the name of a file is wrong, rename it."
        )


def _of_expert(
    path: Path, tensors: dict[str, torch.Tensor], expert: str | None, ignore_unmatched: bool
) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of one of two experts under the names of a single network, and what diffusers calls that network."""
    first, second = "transformer", "transformer_2"
    low = {key.replace(second, first, 1): tensor for key, tensor in tensors.items() if is_of_second_expert(key)}
    high = {key: tensor for key, tensor in tensors.items() if not is_of_second_expert(key)}
    if not low:
        return tensors, first
    if expert is None and high:
        if ignore_unmatched:
            return tensors, first
        raise LoraFileError(
            f"{path} holds LoRAs of both experts of Wan 2.2: {len(high)} tensors of {first}, the high-noise one, and {len(low)} of "
            f"{second}, the low-noise one. Say whose is wanted: --expert of videoalign lora convert, model.expert of a training."
        )
    if expert == "high_noise" and not high:
        raise LoraFileError(
            f"{path} holds a LoRA of {second} alone, Wan 2.2's low-noise expert; not of the high-noise one."
        )
    return (high, first) if expert == "high_noise" else (low, second)


def _remedy(unmatched: list[str], adapters: dict) -> str:
    if not adapters:
        return "Was the file made for another model?"
    if described(unmatched):
        return "To use what is left without them, write a file of it with videoalign lora convert --ignore-unmatched."
    return "Was the file made for another model? videoalign lora convert --ignore-unmatched writes a file without them."


def _by_module(
    path: Path, tensors: dict[str, torch.Tensor], names: ModuleNames
) -> tuple[dict[tuple[str, bool], dict[str, torch.Tensor]], list[str]]:
    """(module, is it an original name) -> its tensors, and the keys that fit nothing."""
    adapters: dict[tuple[str, bool], dict[str, torch.Tensor]] = {}
    unmatched = []
    for key, tensor in tensors.items():
        parsed = parse_key(key)
        module = names.find(parsed.module) if parsed else None
        if module is None:
            unmatched.append(key)
            continue
        adapter = adapters.setdefault(module, {})
        if parsed.tensor in adapter:
            raise LoraFileError(
                f"{path} has {parsed.tensor} of {module[0]} twice, the second time as {key}. Keep one of them."
            )
        adapter[parsed.tensor] = tensor
    return adapters, unmatched


def _adapter(
    path: Path, module: str, tensors: dict[str, torch.Tensor], alphas: RecordedAlphas, unknown: list[str]
) -> LoraWeights:
    missing = [name for name in ("A", "B") if name not in tensors]
    if missing:
        raise LoraFileError(
            f"{path}: {' and '.join(missing)} of {module} is missing. The file is damaged: get it again."
        )
    rank = tensors["A"].shape[0]
    alpha = tensors["alpha"].item() if "alpha" in tensors else alphas(module, rank)
    if alpha is None:
        unknown.append(module)
        alpha = rank
    return LoraWeights(tensors["A"].float(), tensors["B"].float(), float(alpha))


def _check(path: Path, module: str, lora: LoraWeights, columns: int, height: int) -> None:
    if lora.A.shape[1:] != (columns,) or lora.B.shape != (height, lora.rank):
        raise LoraFileError(
            f"{path}: {module} has A {tuple(lora.A.shape)} and B {tuple(lora.B.shape)}, this model's layer takes {columns} "
            f"features and gives {height}. The LoRA belongs to a model of another size."
        )
