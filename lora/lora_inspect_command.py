"""``videoalign lora inspect``: what is in a LoRA file, and what ComfyUI will do with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from ..backbones.families import family, family_names
from ..cli.options import CommandConfig, positional
from ..errors import listed

if TYPE_CHECKING:
    from .inspection import Inspection


class Config(CommandConfig):
    """Show what a LoRA file holds, and what ComfyUI's stock loader does with it. Exit status 1: some of it has no effect.

    Told are ranks, scales (alpha / rank), metadata, kinds (LoRA, DoRA, LoHa, LoKr, GLoRA, OFT, differences of weights), layers
    with a part missing, keys of text encoders, values that are not finite (NaN), and which keys ComfyUI 0.30 applies to the
    model, under its own rules: names of VideoX-Fun, for one, are applied in some files and not in others. Training and lora
    convert use plain LoRA only. No model is loaded; the file is read once.
    """

    file: Path = positional(description="The LoRA (.safetensors).")
    model: Path | None = Field(
        None,
        description="Model file (.safetensors) to hold the keys and their sizes against; by default any of the family.",
    )
    family: str | None = Field(
        None, description=f"Family of the model ({', '.join(family_names())}); by default told from the keys."
    )
    as_json: bool = Field(False, alias="json", description="Print JSON.")
    keys: bool = Field(False, description="List every key without effect, not only the first ones.")

    @field_validator("family")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        return None if name is None else family(name).name


def run(config: Config) -> int:
    """Print the inspection; returns the exit status."""
    from .inspection import inspect_lora

    content = inspect_lora(config.file, config.model, config.family)
    if config.as_json:
        print(json.dumps(content.to_dict(), indent=2))
        return 0 if content.whole else 1
    print(f"{content.file}: {content.megabytes:g} MB, {_counts(content.dtypes)}, family {content.family or 'unknown'}")
    for line in (*_of_the_file(content), *_in_comfyui(content, config)):
        print(f"  {line}")
    if content.partner:
        there = "is there" if Path(content.partner).exists() else "is missing"
        print(f"  one of a pair: {content.partner} {there}")
    for key, value in sorted(content.metadata.items()):
        print(f"  {key}: {value if len(value) <= 200 else value[:200] + '...'}")
    return 0 if content.whole else 1


def _of_the_file(content: Inspection) -> Iterator[str]:
    """What the file holds."""
    if content.modules:
        yield f"{content.modules} layers; rank {_counts(content.ranks)}; scale (alpha/rank) {_counts(content.scales)}"
    if content.prefixes:
        yield f"keys begin with {_counts(content.prefixes)}"
    if content.not_finite:
        yield (
            f"{len(content.not_finite)} tensors hold NaN or infinite values: {listed(content.not_finite)}. Clips made with them come "
            "out black: use an earlier checkpoint of that training"
        )
    others = {kind: count for kind, count in content.kinds.items() if kind != "LoRA"}
    if others:
        yield (
            f"{sum(others.values())} layers are not plain LoRA ({_counts(others, alone=False)}): ComfyUI applies these kinds, training "
            "does not use them"
        )
    if content.incomplete:
        yield f"{len(content.incomplete)} layers have A without B or B without A: {listed(content.incomplete)}"
    if content.alphas_missing:
        yield f"{content.alphas_missing} layers have no alpha tensor: ComfyUI takes alpha = rank there, a scale of 1"
        if content.alphas_recorded:
            yield f"their alpha stands in {content.alphas_recorded}; videoalign lora convert writes it where ComfyUI reads it"
        else:
            yield "nothing else in the file tells it either; the trainer's own setting may have been another one"
    if content.other_keys:
        yield f"{len(content.other_keys)} keys are not of a plain LoRA: {listed(content.other_keys)}"


def _in_comfyui(content: Inspection, config: Config) -> Iterator[str]:
    """What ComfyUI does with it."""
    against = config.model or f"{content.family or 'unknown'} models"
    if content.failure:
        yield f"ComfyUI's loader fails on it, so that nothing is applied: {content.failure}. Get the file again"
        return
    total = content.matched + len(content.unmatched)
    patched = f": {_counts(content.patches, alone=False)} of its tensors" if content.patches else ""
    yield f"ComfyUI applies {content.matched} of {total} keys to {against}{patched}"
    if content.family is None:
        yield "no supported model has these names; name its family with --family"
    if content.doubled:
        yield f"{len(content.doubled)} tensors of the model are changed twice, of which ComfyUI keeps one: {listed(content.doubled)}"
    if content.faulty:
        faults = [f"{tensor} ({fault})" for tensor, fault in content.faulty.items()]
        yield f"{len(faults)} changes cannot be computed; was it made for another model? {listed(faults[:3])}"
    if content.text_encoder:
        yield (
            f"{len(content.text_encoder)} keys are of a text encoder: LoraLoaderModelOnly has no use for them, LoraLoader applies those "
            "that its CLIP knows"
        )
    if content.second_expert:
        yield (
            f"{len(content.second_expert)} keys are of a second network, Wan 2.2's low-noise expert: videoalign lora convert --expert "
            "makes a file of each"
        )
    if content.peft_magnitudes:
        yield (
            f"{len(content.peft_magnitudes)} magnitudes of a DoRA have peft's names, which ComfyUI does not know: it would apply the rest as "
            "a plain LoRA, which is another change"
        )
    if content.unmatched:
        keys = ", ".join(content.unmatched) if config.keys else listed(content.unmatched)
        yield f"without effect there: {keys}"
    if set(content.unmatched) - {*content.text_encoder, *content.other_keys} and not content.faulty:
        yield "videoalign lora convert writes plain LoRAs under names that ComfyUI knows"


def _counts(counts: dict, alone: bool = True) -> str:
    """``{8: 4, 16: 2}`` -> ``8 (4), 16 (2)``; a single value stands alone where it may."""
    if len(counts) == 1 and alone:
        return str(next(iter(counts)))
    return ", ".join(f"{value} ({count})" for value, count in sorted(counts.items(), key=str))
