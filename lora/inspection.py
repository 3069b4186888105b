"""What is in a LoRA file, and whether ComfyUI will apply it. No torch, no model: the header, and a look at every number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..backbones.experts import EXPERTS
from ..errors import LoraFileError, listed
from ..files.finite import not_finite
from ..files.safetensors_header import Header, read_header
from .alphas import RecordedAlphas
from .comfyui_keys import Network, family_of, network_tensors
from .comfyui_loading import Loading, foretell, kind_of, stems_of
from .key_styles import parse_key
from .leftovers import SECOND_EXPERT, is_of_second_expert, is_of_text_encoder

_WHOLE = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")  # types whose shape is the weight's: not packed
_PEFT_MAGNITUDE = re.compile(r"\.lora_magnitude_vector(\.[\w-]+)?(\.weight)?$")


@dataclass(frozen=True)
class Inspection:
    """A LoRA file's content. ``ranks``, ``scales``: value -> number of modules; a scale is alpha / rank.

    Attributes:
        kinds: kind of adapter (LoRA, DoRA, LoHa, LoKr, GLoRA, OFT, BOFT) -> number of layers in the file.
        modules: layers with a plain LoRA's A.
        patches: kind of change -> number of the model's tensors that ComfyUI changes so.
        matched, unmatched: keys with and without effect on the model in ComfyUI.
        faulty: tensor of the model -> why ComfyUI cannot compute its change.
        doubled: tensors of the model for which the file has several changes; ComfyUI takes one.
        failure: why ComfyUI's loader fails and applies nothing.
        incomplete: layers with A and no B, or B and no A.
        text_encoder: keys of a text encoder's layers.
        second_expert: keys of diffusers' ``transformer_2``, Wan 2.2's low-noise expert.
        peft_magnitudes: keys of a DoRA's magnitudes under peft's names, which ComfyUI does not know.
        not_finite: keys with NaN or infinite values.
    """

    file: str
    megabytes: float
    dtypes: dict[str, int]
    prefixes: dict[str, int]
    family: str | None
    kinds: dict[str, int]
    modules: int
    ranks: dict[int, int]
    scales: dict[float, int]
    alphas_missing: int  # among the tensors
    alphas_recorded: str | None  # where the file tells them instead
    other_keys: list[str]  # not of a plain LoRA
    patches: dict[str, int]
    matched: int
    unmatched: list[str]
    faulty: dict[str, str]
    doubled: list[str]
    failure: str | None
    incomplete: list[str]
    text_encoder: list[str]
    second_expert: list[str]
    peft_magnitudes: list[str]
    not_finite: list[str]
    partner: str | None = None  # the other expert's file
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether ComfyUI applies all of it, and every number is one."""
        return not (self.unmatched or self.doubled or self.failure or self.not_finite)

    def to_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def inspect_lora(path: Path | str, model: Path | str | None = None, family: str | None = None) -> Inspection:
    """Inspect a LoRA.

    Args:
        model: a model file of ComfyUI's whose tensors the keys are held against; by default all that the family has.
        family: of the model, by name; told from the keys by default.

    Raises:
        LoraFileError: a file cannot be read, or holds nothing of a LoRA.
    """
    header = read_header(path, LoraFileError)
    shapes = {key: entry.shape for key, entry in header.entries.items()}
    parsed = {key: parse_key(key) for key in shapes}
    modules: dict[str, dict[str, str]] = {}
    for key, parsed_key in parsed.items():
        if parsed_key:
            modules.setdefault(parsed_key.module, {})[parsed_key.tensor] = key
    kinds = _kinds(modules, shapes)
    loading, family = foretold(shapes, model, family)
    if not kinds and not loading.patches:
        raise LoraFileError(f"{path} holds no LoRA: {listed(shapes)}.")
    adapters = {module: keys for module, keys in modules.items() if "A" in keys}
    alphas = RecordedAlphas(header.path, header.metadata, shapes)
    ranks, scales = _ranks_and_scales(header, adapters, alphas)
    applied = loading.applied
    return Inspection(
        file=str(path),
        megabytes=round(header.size / 1e6, 3),
        dtypes=dict(Counter(entry.dtype for key, entry in header.entries.items() if not key.endswith(".alpha"))),
        prefixes=dict(Counter(parsed_key.prefix or "(none)" for parsed_key in parsed.values() if parsed_key)),
        family=family,
        kinds=kinds,
        modules=len(adapters),
        ranks=ranks,
        scales=scales,
        alphas_missing=sum("alpha" not in keys for keys in adapters.values()),
        alphas_recorded=alphas.source,
        other_keys=[key for key, parsed_key in parsed.items() if parsed_key is None],
        patches=dict(Counter(patch.kind for patch in loading.patches.values() if patch.fault is None)),
        matched=len(applied),
        unmatched=[key for key in shapes if key not in applied],
        faulty={tensor: patch.fault for tensor, patch in loading.patches.items() if patch.fault is not None},
        doubled=loading.doubled,
        failure=loading.failure,
        incomplete=[module for module, keys in modules.items() if ("A" in keys) != ("B" in keys)],
        text_encoder=[key for key in shapes if is_of_text_encoder(key)],
        second_expert=[key for key in shapes if is_of_second_expert(key)],
        peft_magnitudes=[key for key in shapes if _PEFT_MAGNITUDE.search(key)],
        not_finite=list(not_finite(header)),
        partner=_partner(header.path),
        metadata=header.metadata,
    )


def foretold(
    shapes: Mapping[str, tuple[int, ...]], model: Path | str | None = None, family: str | None = None
) -> tuple[Loading, str | None]:
    """What ComfyUI's loader does with a file of these keys and shapes, and the family of the model; arguments as above."""
    tensors = None
    if model is not None:
        entries = read_header(model, LoraFileError).entries
        of_model = {key: entry.shape if entry.dtype in _WHOLE else None for key, entry in entries.items()}
        family = family or family_of(of_model)
        tensors = network_tensors(of_model, family)
    family = family or family_of(shapes)
    return (foretell(shapes, Network(family, tensors)) if family else Loading()), family


def _kinds(modules: Mapping[str, Mapping[str, str]], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Kinds of adapters -> layers; also of plain LoRAs under names that ComfyUI does not know."""
    stems = stems_of(shapes)
    kinds = Counter(kind for parts in stems.values() if (kind := kind_of(parts, shapes)) is not None)
    known = {key for parts in stems.values() if kind_of(parts, shapes) is not None for key in parts.values()}
    unknown = sum(any(keys[part] not in known for part in "AB" if part in keys) for keys in modules.values())
    return dict(kinds + Counter({"LoRA": unknown}))


def _ranks_and_scales(
    header: Header, adapters: Mapping[str, Mapping[str, str]], alphas: RecordedAlphas
) -> tuple[dict[int, int], dict[float, int]]:
    second = RecordedAlphas(header.path, header.metadata, header.entries, SECOND_EXPERT.removesuffix("."))
    ranks, scales = Counter(), Counter()
    for module, keys in adapters.items():
        shape = header.entries[keys["A"]].shape
        rank = shape[0] if shape else 0
        if rank < 1:
            raise LoraFileError(f"{header.path}: {keys['A']} has no rows. The file is damaged: get it again.")
        ranks[rank] += 1
        recorded = second if is_of_second_expert(module) else alphas
        alpha = header.number(keys["alpha"]) if "alpha" in keys else recorded(module.removeprefix(SECOND_EXPERT), rank)
        scales[1.0 if alpha is None else round(alpha / rank, 6)] += 1
    return dict(ranks), dict(scales)


def _partner(path: Path) -> str | None:
    for expert, other in (EXPERTS, EXPERTS[::-1]):
        if path.stem.endswith(f"_{expert}"):
            return str(path.with_name(f"{path.stem.removesuffix(expert)}{other}{path.suffix}"))
    return None
