"""One step of flow training, counted: the real loss on the real network, forward and backward, with tensors without content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...backbones.backbone import Backbone, Conditioning
from ...backbones.devices import autocast
from ...backbones.given_frames import FIRST_FRAME, first_frame_entry
from ...backbones.loading import store_as
from ...backbones.meta_device import on_meta
from ...planning.counting import Count, without_content
from ..flow.adapter import add_adapter
from ..flow.config import FlowConfig
from ..flow.flow_module import FlowModule
from ..flow.lora_files import DTYPES
from ..flow.method import Method, NoisedClips


@dataclass(frozen=True)
class Matrix:
    """A frozen matrix of a block, which can be kept in fewer bits or in main memory.

    Attributes:
        rows, columns: its shape.
    """

    rows: int
    columns: int

    @property
    def count(self) -> int:
        """Weights."""
        return self.rows * self.columns


@dataclass(frozen=True)
class StepCount:
    """What a training holds and what a step makes.

    Attributes:
        matrices: the linear layers' weights of all blocks.
        matrix_bytes: of one of their weights.
        others: bytes of all other frozen weights.
        trained: trained parameters, in float32.
        activations: most bytes that a forward and backward pass of a micro batch keeps alive, gradients of the trained
            parameters left out.
        operations: of a micro batch's forward and backward passes.
        tokens: that the network sees of one clip.
        samples: in the micro batch.
    """

    matrices: tuple[Matrix, ...]
    matrix_bytes: int
    others: int
    trained: int
    activations: int
    operations: int
    tokens: int
    samples: int


def count_step(
    backbone: Backbone, config: FlowConfig, method: Method, latents: tuple[int, int, int, int], text_tokens: int,
    images: Sequence[str] = (), at_most: bool = False,
) -> StepCount:  # fmt: skip
    """Count a step of a training.

    Args:
        backbone: the whole network, on the meta device; it is changed and of no use afterwards.
        latents: [C, T, H, W] of a clip.
        text_tokens: of a caption.
        images: what the network is told of images though it could do without.
        at_most: count one block of each kind alone, which takes a moment, and as many times that as there are blocks. What is alive
            at any time is a sum of what each block keeps and of what the rest does, so the whole cannot take more.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    samples = config.micro_batch_size
    base = DTYPES["bfloat16" if config.memory.quantised else config.memory.base_dtype]
    store_as(backbone.module, base)
    if config.memory.gradient_checkpointing:
        backbone.module.enable_gradient_checkpointing()
    matrices = _matrices(backbone)
    frozen = sum(weight.nbytes for weight in backbone.module.parameters())
    times = _one_block_of_each_kind(backbone) if at_most else 1
    options = config.lora.model_copy(update={"start": None})
    with on_meta():
        add_adapter(backbone, options, config.seed)
    with FakeTensorMode(allow_non_fake_inputs=True):
        without_content(backbone.module)
        module = FlowModule(backbone, method, config.evaluation.bins, config.data.fps)
        module.train()
        batch = sample_batch(backbone, method, latents, text_tokens, samples, images)
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        with Count([*module.parameters(), *module.buffers(), *_tensors(batch)]) as count:
            half = config.precision == "bfloat16"
            with autocast(torch.device("cpu"), torch.bfloat16, enabled=half):
                loss, _ = method(module, batch)
            loss.mean().backward()
        # The gradients live on to the optimizer; they are told beside the activations, which are gone by then.
        gradients = sum(weight.nbytes for weight in trained)
    return StepCount(
        matrices,
        base.itemsize,
        frozen - sum(one.count for one in matrices) * base.itemsize,
        times * sum(weight.numel() for weight in trained),
        times * max(count.peak - gradients, 0),
        times * count.operations,
        token_count(backbone, latents),
        samples,
    )


def _one_block_of_each_kind(backbone: Backbone) -> int:
    """Drop the other blocks; returns how many there were of the kind that has most."""
    lists = {name: getattr(backbone.module, name) for name in backbone.block_lists}
    for name, blocks in lists.items():
        setattr(backbone.module, name, blocks[:1])
    backbone.total_blocks = len(lists)  # a network of its own, not a part that has no velocity
    return max(map(len, lists.values()))


def _matrices(backbone: Backbone) -> tuple[Matrix, ...]:
    layers = [part for block in backbone.blocks for part in block.modules() if isinstance(part, torch.nn.Linear)]
    return tuple(Matrix(*layer.weight.shape) for layer in layers)


def sample_batch(
    backbone: Backbone, method: Method, latents: tuple[int, int, int, int], text_tokens: int, samples: int,
    images: Sequence[str] = (),
) -> NoisedClips:  # fmt: skip
    """A micro batch of the right shapes, with nothing in it."""

    def clips() -> Tensor:
        return torch.empty(samples, *latents)

    def group(sides: tuple[str, ...], real: NoisedClips | None) -> NoisedClips:
        conditioning = conditioning_of(backbone, latents, text_tokens, samples, images)
        each = torch.empty(samples)
        return NoisedClips(
            {side: clips() for side in sides}, clips(), each, conditioning, each.clone(), each.clone(), real
        )

    return group(method.sides, group(("clip",), None) if method.real_clips else None)


def conditioning_of(
    backbone: Backbone, latents: tuple[int, int, int, int], text_tokens: int, samples: int, images: Sequence[str] = ()
) -> Conditioning:
    """What a network needs, and ``images`` that it is told of besides, of the right shapes, with nothing in it."""
    config, needs = backbone.config, backbone.needs
    entries = {"text": torch.empty(samples, text_tokens, backbone.text_width)}
    if "image_latents" in needs:
        extra = config["in_channels"] - backbone.latent_format.channels
        entries["image_latents"] = torch.empty(samples, extra, *latents[1:])
    if "image_embeds" in needs:
        entries["image_embeds"] = torch.empty(samples, config.get("pos_embed_seq_len") or 257, config["image_dim"])
    if "pooled" in needs:
        entries["pooled"] = torch.empty(samples, config["pooled_projection_dim"])
    if FIRST_FRAME in images:
        entries |= first_frame_entry(samples, latents)
    return entries


def _tensors(batch: NoisedClips) -> list[Tensor]:
    own = [*batch.clips.values(), batch.noise, batch.sigma, *batch.conditioning.values(), batch.weight, batch.target]
    return own + (_tensors(batch.real) if batch.real else [])


def token_count(backbone: Backbone, latents: tuple[int, int, int, int]) -> int:
    """Tokens that the network sees of a clip."""
    return math.prod(-(-size // step) for size, step in zip(latents[1:], backbone.patch, strict=True))
