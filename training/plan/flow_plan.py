"""The plan of a flow training: its steps, what it fills, and how long it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ...backbones.loading import describe_backbone
from ...files.joined_paths import paths_of
from ..flow.config import FlowConfig
from ..flow.method import Method
from ..flow.run import with_expert_range
from ..flow.task import FlowRows, visible_move
from ..loop.run_length import RunLength, concerns, run_length
from .flow_step import StepCount, count_step
from .memory import Memory, memory_of


@dataclass(frozen=True)
class FlowPlan:
    """What a run will take.

    Attributes:
        summary: what was made of the pairs.
        rows: to train on.
        held_out: rows.
        length: steps and rows in each.
        latents: [C, T, H, W] of a clip.
        step: a counted micro batch.
        memory: of the options as they are.
        encoders: what encodes, with the bytes of its files; it is gone when the training begins.
        cache: bytes of the encoded clips and captions, on disk.
        concerns: why the run may be worth little.
    """

    summary: str
    rows: int
    held_out: int
    length: RunLength
    latents: tuple[int, int, int, int]
    step: StepCount
    memory: Memory
    encoders: tuple[tuple[str, int], ...]
    cache: int
    concerns: tuple[str, ...]

    @property
    def operations(self) -> float:
        """Of the whole training."""
        return self.step.operations / self.step.samples * self.length.batch_size * self.length.steps


def plan_flow(config: FlowConfig, method: Method) -> FlowPlan:
    """Read the pairs, count a step on the network's real shapes, and reckon the rest. Nothing is encoded, loaded or written.

    Raises:
        VideoAlignError: what the training itself would refuse before it encodes.
    """
    network = describe_backbone(config.model.transformer, whole=True)
    config = with_expert_range(config, network)
    rows = FlowRows(config, method)
    length = run_length(config, len(rows.train), config.optimizer.learning_rate, visible_move(config))
    latents = network.latent_format.shape(config.data.frames, config.data.height, config.data.width)
    tokens = network.family.text_tokens
    width = network.text_width
    step = count_step(network, config, method, latents, tokens)
    clips = {clip for row in rows.all for clip in row.clips.values()}
    prompts = {row.prompt for row in rows.all}
    elements = len(clips) * math.prod(latents) + len(prompts) * tokens * width
    encoders = [("VAE", config.model.vae), ("text encoder", config.model.text_encoder)]
    encoders += [("image encoder", config.model.image_encoder)] if config.model.image_encoder else []
    return FlowPlan(
        rows.summary,
        len(rows.train),
        len(rows.held_out),
        length,
        latents,
        step,
        memory_of(step, config.memory, config.optimizer),
        tuple((name, sum(map(_bytes, paths_of(path)))) for name, path in encoders),
        2 * elements,  # float16
        tuple(concerns(config, length, len(rows.train), config.optimizer.learning_rate, visible_move(config))),
    )


def _bytes(path: Path) -> int:
    """Of a weight file, or of those in a folder; 0 where there is none (``micro``)."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*.safetensors")) if path.is_dir() else 0
