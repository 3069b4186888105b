"""``videoalign lora inspect``: what is in a LoRA file, and what ComfyUI will do with it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, field_validator

from ..backbones.families import family, family_names
from ..cli.options import CommandConfig, positional


class Config(CommandConfig):
    """Show a LoRA's ranks, scales and metadata, and which of its keys ComfyUI's stock loader applies. Exit status 1: not all.

    Reads only the file's header: it takes no time and no memory, whatever the file's size.
    """

    file: Path = positional(description="The LoRA (.safetensors).")
    model: Path | None = Field(None, description="Model file (.safetensors) to hold the keys against.")
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
        return 1 if content.unmatched else 0
    from ..errors import listed

    print(f"{content.file}: {content.megabytes:g} MB, {_counts(content.dtypes)}, family {content.family or 'unknown'}")
    print(f"  {content.modules} layers; rank {_counts(content.ranks)}; scale (alpha/rank) {_counts(content.scales)}")
    print(f"  keys begin with {_counts(content.prefixes)}")
    if content.alphas_missing:
        print(f"  {content.alphas_missing} layers have no alpha tensor: ComfyUI takes alpha = rank there, a scale of 1")
        if content.alphas_recorded:
            print(
                f"  their alpha stands in {content.alphas_recorded}; videoalign lora convert writes it where ComfyUI reads it"
            )
        else:
            print("  nothing else in the file tells it either; the trainer's own setting may have been another one")
    if content.other_keys:
        print(f"  {len(content.other_keys)} keys are not of a plain LoRA: {listed(content.other_keys)}")
    total = content.matched + len(content.unmatched)
    against = config.model or f"{content.family or 'unknown'} models"
    print(f"  ComfyUI applies {content.matched} of {total} keys to {against}")
    if content.unmatched:
        keys = ", ".join(content.unmatched) if config.keys else listed(content.unmatched)
        print(f"  without effect there: {keys}\n  videoalign lora convert writes them under names that ComfyUI knows")
    if content.partner:
        there = "is there" if Path(content.partner).exists() else "is missing"
        print(f"  one of a pair: {content.partner} {there}")
    for key, value in sorted(content.metadata.items()):
        print(f"  {key}: {value if len(value) <= 200 else value[:200] + '...'}")
    return 1 if content.unmatched else 0


def _counts(counts: dict) -> str:
    """``{8: 4, 16: 2}`` -> ``8 (4), 16 (2)``; a single value stands alone."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{value} ({count})" for value, count in sorted(counts.items(), key=str))
