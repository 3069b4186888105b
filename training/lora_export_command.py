"""``videoalign lora export``: a checkpoint of a LoRA training -> a LoRA that ComfyUI's stock loader applies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..cli.options import CommandConfig, positional

if TYPE_CHECKING:
    from ..backbones.backbone import Backbone
    from ..lora.adapters import LoraWeights


class Config(CommandConfig):
    """Take the LoRA out of a checkpoint of videoalign train dpo, rwr, sft and others, as it was at that step.

    A run writes lora_newest.safetensors by itself; this is for its other checkpoints, and for those of version 0.1.0.
    """

    checkpoint: Path = positional(
        description="A training_state.pt, the folder that it lies in, or the output folder of the run, for its newest one."
    )
    output: Path = Field(description="File to write.")
    model: Path | None = Field(
        None, description="The model that was trained, where it does not lie any more where the run found it."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field("bfloat16", description="Type of A and B.")
    raw: bool = Field(
        False,
        description="The last step's weights, where the run keeps a moving average (ema), which is taken otherwise.",
    )
    overwrite: bool = Field(False, description="Replace an existing output file.")


def run(config: Config) -> int:
    """Write the LoRA; returns the exit status.

    Raises:
        VideoAlignError: there is no such checkpoint, it holds no LoRA, or the model cannot be read.
    """
    import torch

    from ..backbones.loading import load_backbone
    from ..errors import CheckpointError
    from ..lora.metadata import LoraMetadata
    from ..lora.writing import save_lora
    from .loop.state_files import read_state

    state = read_state(config.checkpoint)
    fingerprint, notes = state["fingerprint"], state.get("notes", {})
    model = fingerprint.get("model", {})
    path = config.model or (Path(model["transformer"]) if model.get("transformer") else None)
    if path is None or "lora" not in fingerprint:
        raise CheckpointError(f"{config.checkpoint} is a checkpoint of another training than of a LoRA.")
    if not path.exists():
        raise CheckpointError(f"The model that was trained, {path}, is not there. Name it with --model.")
    backbone = load_backbone(path, device="meta")  # names and sizes only: no memory for the weights
    average = None if config.raw else state.get("average")
    weights = _adapter(
        state | ({} if average is None else {"weights": average["weights"]}), backbone, config.checkpoint
    )
    noise, optimizer = fingerprint.get("noise", {}), fingerprint.get("optimizer", {})
    metadata = LoraMetadata(
        base_model=model.get("name"),
        method=notes.get("method"),
        sigma_range=(noise.get("sigma_min", 0.0), noise.get("sigma_max", 1.0)),
        expert=model.get("expert"),
        steps=state["step"],
        learning_rate=optimizer.get("learning_rate"),
        seed=fingerprint.get("seed"),
    )
    save_lora(config.output, backbone, weights, metadata, getattr(torch, config.dtype), config.overwrite)
    print(
        f"step {state['step']} of {fingerprint['steps']} -> {config.output}: {len(weights)} layers of {backbone.name}"
        + ("" if average is None else f", the moving average of their weights (ema {fingerprint.get('ema')})")
    )
    return 0


def _adapter(state: dict[str, Any], backbone: Backbone, checkpoint: Path) -> dict[str, LoraWeights]:
    """The trained adapter by the network's own module names."""
    from ..errors import CheckpointError
    from ..lora.adapters import LoraWeights
    from ..lora.reading import load_lora

    options, alphas = state["fingerprint"]["lora"], dict(state.get("notes", {}).get("alphas", {}))
    if not alphas and options.get(
        "start"
    ):  # 0.1.0 noted none; the modules of the LoRA that it began from have their own
        start = load_lora(Path(options["start"]), backbone, expert=state["fingerprint"]["model"].get("expert"))
        alphas = {name: lora.alpha for name, lora in start.items()}
    parts: dict[str, dict[str, Any]] = {}
    for name, tensor in state["weights"].items():
        module, found, rest = name.removeprefix("network.").partition(".lora_")
        if found and rest in ("A.default.weight", "B.default.weight"):
            parts.setdefault(module, {})[rest[0]] = tensor
    weights = {
        module: LoraWeights(both["A"], both["B"], alphas.get(module, float(options["alpha"])))
        for module, both in parts.items()
        if both.keys() == {"A", "B"}
    }
    if not weights or len(weights) < len(parts):
        raise CheckpointError(f"{checkpoint} holds no whole LoRA ({len(weights)} of {len(parts)} layers).")
    return weights
