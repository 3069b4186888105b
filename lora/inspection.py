"""What is in a LoRA file, and whether ComfyUI will apply it. Reads the header only: no torch, no model."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import LoraFileError, listed
from ..files.safetensors_header import read_header
from .alphas import RecordedAlphas
from .comfyui_folder import EXPERTS
from .comfyui_keys import checkpoint_modules, family_of, matched
from .key_styles import parse_key


@dataclass(frozen=True)
class Inspection:
    """A LoRA file's content. ``ranks``, ``scales``: value -> number of modules; a scale is alpha / rank."""

    file: str
    megabytes: float
    dtypes: dict[str, int]
    prefixes: dict[str, int]
    family: str | None
    modules: int
    ranks: dict[int, int]
    scales: dict[float, int]
    alphas_missing: int  # among the tensors
    alphas_recorded: str | None  # where the file tells them instead
    other_keys: list[str]  # not of a plain LoRA
    matched: int
    unmatched: list[str]
    partner: str | None = None  # the other expert's file
    metadata: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def inspect_lora(path: Path | str, model: Path | str | None = None, family: str | None = None) -> Inspection:
    """Inspect a LoRA.

    Args:
        model: a model file of ComfyUI's whose layers the keys are held against; by default all layers of the family.
        family: of the model, by name; told from the keys by default.

    Raises:
        LoraFileError: a file cannot be read, or holds no LoRA.
    """
    header = read_header(path, LoraFileError)
    parsed = {key: parse_key(key) for key in header.entries}
    modules: dict[str, dict[str, str]] = {}
    for key, parsed_key in parsed.items():
        if parsed_key:
            modules.setdefault(parsed_key.module, {})[parsed_key.tensor] = key
    modules = {module: keys for module, keys in modules.items() if "A" in keys}
    if not modules:
        raise LoraFileError(f"{path} holds no plain LoRA: {listed(header.entries)}.")
    alphas = RecordedAlphas(header.path, header.metadata, header.entries)
    ranks, scales = Counter(), Counter()
    for module, keys in modules.items():
        rank = header.entries[keys["A"]].shape[0]
        ranks[rank] += 1
        alpha = header.number(keys["alpha"]) if "alpha" in keys else alphas(module, rank)
        scales[1.0 if alpha is None else round(alpha / rank, 6)] += 1
    layers = None
    if model is not None:
        names = read_header(model, LoraFileError).entries
        layers, family = checkpoint_modules(names), family or family_of(names)
    family = family or family_of(header.entries)
    applied, ignored = matched(header.entries, family, layers) if family else ([], list(header.entries))
    return Inspection(
        file=str(path),
        megabytes=round(header.size / 1e6, 3),
        dtypes=dict(Counter(entry.dtype for key, entry in header.entries.items() if not key.endswith(".alpha"))),
        prefixes=dict(Counter(parsed_key.prefix or "(none)" for parsed_key in parsed.values() if parsed_key)),
        family=family,
        modules=len(modules),
        ranks=dict(ranks),
        scales=dict(scales),
        alphas_missing=sum("alpha" not in keys for keys in modules.values()),
        alphas_recorded=alphas.source,
        other_keys=[key for key, parsed_key in parsed.items() if parsed_key is None],
        matched=len(applied),
        unmatched=ignored,
        partner=_partner(header.path),
        metadata=header.metadata,
    )


def _partner(path: Path) -> str | None:
    for expert, other in (EXPERTS, EXPERTS[::-1]):
        if path.stem.endswith(f"_{expert}"):
            return str(path.with_name(f"{path.stem.removesuffix(expert)}{other}{path.suffix}"))
    return None
