"""Checkpoints with random weights that the official code and ours load alike: base model, configuration, weights and tokenizer."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from synthetic_checkpoint import (
    SHIPPED,
    SHIPPED_TINY,
    Sizes,
    official_shapes,
    random_weight,
    write_released_checkpoint,
)

BASE = SHIPPED / "base"
_HEAD, _VISION_HEAD = 128, 80  # channels, in all released sizes


@dataclass(frozen=True)
class Case:
    """A checkpoint to compare with; ``sizes`` None: the shipped one."""

    title: str
    sizes: Sizes | None = None


SIZES = {
    "tiny": Case("The shipped random checkpoint of 0.43 million weights"),
    "265m": Case(
        "16 + 16 layers, 640 and 768 wide, 265 million random weights",
        Sizes(layers=16, hidden=768, intermediate=4096, vocabulary=1217, depth=16, embed=640, mlp=2560),
    ),
}


def write_checkpoint(folder: Path, case: Case) -> Path:
    """Write the folder ``checkpoint`` beside ``base``, in float32's configuration; what is finished stays. Returns it."""
    checkpoint, base = folder / "checkpoint", folder / "base"
    if (folder / "finished").exists():
        return checkpoint
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(BASE, base)
    if case.sizes is None:
        shutil.copytree(SHIPPED_TINY, checkpoint)
    else:
        write_released_checkpoint(checkpoint, case.sizes)
        _write_base(base, case.sizes)
    config = json.loads((checkpoint / "model_config.json").read_text(encoding="utf-8"))
    config["model_config"] |= {"model_name_or_path": str(base.resolve()), "torch_dtype": "float32"}
    (checkpoint / "model_config.json").write_text(json.dumps(config, indent=4), encoding="utf-8")
    (folder / "finished").touch()
    return checkpoint


def _write_base(base: Path, sizes: Sizes) -> None:
    """Configuration and weights of the model that the checkpoint was trained from; the checkpoint replaces all of these."""
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config |= {
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.hidden // _HEAD,
        "num_key_value_heads": sizes.keys // _HEAD,
        "vocab_size": sizes.vocabulary,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    }
    config["vision_config"] |= {
        "depth": sizes.depth,
        "embed_dim": sizes.embed,
        "hidden_size": sizes.hidden,
        "num_heads": sizes.embed // _VISION_HEAD,
        "mlp_ratio": sizes.mlp // sizes.embed,
    }
    (base / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for name, shape in official_shapes(sizes).items():
        if "lora_" not in name and not name.endswith(("rm_head.weight", "lm_head.weight")):
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            weights[plain] = random_weight(name, shape, generator)
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
