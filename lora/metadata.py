"""What a LoRA file says about itself: Stability's modelspec, kohya's ``ss_`` fields, and the ``videoalign.`` fields."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..files.json_text import parse_json

if TYPE_CHECKING:
    from ..backbones.family import Family

PREFIX = "videoalign."


@dataclass(frozen=True)
class LoraMetadata:
    """What is known about a training run. None is left out of the file.

    Attributes:
        title: shown by tools that list models; the file's name by default.
        base_model: which model it was trained on, e.g. ``wan2.2-t2v-a14b``; the latent format's name by default.
        method: name of the loss, such as ``dpo``.
        beta: Flow-DPO's, as it was with ``reduction``.
        reduction: ``mean`` or ``sum`` over a clip's latent elements (500 by mean is 2.4e-4 by sum for Wan at 480p).
        data_hash: of the pairs or clips trained on.
        scores_before, scores_after: name -> mean score, of the same prompts and seeds without and with the LoRA.
        sigma_range: the noise levels trained on, within [0, 1].
        expert: ``high_noise`` or ``low_noise`` for Wan 2.2 A14B.
        resolution: ``WIDTHxHEIGHT`` of the training clips.
        extra: further fields; written under ``videoalign.`` unless the key has a prefix of its own.
    """

    title: str | None = None
    base_model: str | None = None
    method: str | None = None
    beta: float | None = None
    reduction: str | None = None
    data_hash: str | None = None
    scores_before: dict[str, float] | None = None
    scores_after: dict[str, float] | None = None
    sigma_range: tuple[float, float] | None = None
    expert: str | None = None
    resolution: str | None = None
    steps: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    description: str | None = None
    author: str | None = None
    license: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def to_strings(
    metadata: LoraMetadata, family: Family, base_model: str, name: str, ranks: list[int], alphas: list[float]
) -> dict[str, str]:
    """The file's metadata. ``ss_network_dim`` and ``_alpha`` are as trained: those of one layer, not of a fused stack."""
    base = metadata.base_model or base_model
    low, high = metadata.sigma_range or (0.0, 1.0)
    known: dict[str, Any] = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{base}/lora",
        "modelspec.implementation": family.implementation,
        "modelspec.title": metadata.title or name,
        "modelspec.description": metadata.description,
        "modelspec.author": metadata.author,
        "modelspec.license": metadata.license,
        "modelspec.date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "modelspec.resolution": metadata.resolution,
        "modelspec.timestep_range": f"{round(low * 1000)},{round(high * 1000)}",
        "ss_network_module": "networks.lora",
        "ss_network_dim": max(ranks),
        "ss_network_alpha": f"{alphas[ranks.index(max(ranks))]:g}",
        "ss_base_model_version": base,
        "ss_output_name": name,
        "ss_steps": metadata.steps,
        "ss_learning_rate": metadata.learning_rate,
        "ss_seed": metadata.seed,
    }
    entries = {PREFIX + key: value for key, value in asdict(metadata).items() if key != "extra"}
    entries |= {
        key if "." in key or key.startswith("ss_") else PREFIX + key: value for key, value in metadata.extra.items()
    }
    return {key: _text(value) for key, value in {**known, **entries}.items() if value is not None}


def from_strings(strings: dict[str, str]) -> LoraMetadata:
    """What one of our files says; fields that it lacks are None. Other tools' files give an empty one."""
    kinds = {entry.name: entry.type for entry in fields(LoraMetadata) if entry.name != "extra"}
    texts = {key.removeprefix(PREFIX): text for key, text in strings.items() if key.startswith(PREFIX)}
    entries = {key: text if str(kinds.get(key)).startswith("str") else _value(text) for key, text in texts.items()}
    values = {key: value for key, value in entries.items() if key in kinds}
    if isinstance(values.get("sigma_range"), list):
        values["sigma_range"] = tuple(values["sigma_range"])
    return LoraMetadata(**values, extra={key: value for key, value in entries.items() if key not in kinds})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except json.JSONDecodeError:
        return text
