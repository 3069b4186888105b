"""The plan of a latent reward's training, counted on the trunk at its real size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ...backbones.backbone import Backbone
from ...backbones.devices import autocast
from ...backbones.image_conditioning import image_entries
from ...backbones.loading import describe_backbone, store_as
from ...backbones.meta_device import on_meta
from ...planning.counting import without_content
from ...planning.report import encoding_said
from ...planning.run_plan import RunPlan
from ...reward.latent.latent_reward import block_count
from ..latent_reward.config import Config, ModelConfig
from ..latent_reward.pairs import LatentPairBatch, load_pairs
from ..latent_reward.preference import PreferenceStep
from ..latent_reward.trainable import freeze_idle, with_trained_parts
from ..loop.run_length import VISIBLE
from .encoding import encoding_of
from .flow_step import conditioning_of, token_count
from .rewards import PairStep, at_once, changed_ways, count_pass, operations_said, reward_run

_DIMENSIONS = 3


def plan_latent_reward(config: Config) -> RunPlan:
    """Read the pairs and count a step; nothing is encoded, loaded or written.

    Raises:
        VideoAlignError: what the training itself would refuse before it encodes.
    """
    train, held_out = load_pairs(config)
    trunk = described_trunk(config.model)
    image_entries(trunk, str(config.model.trunk), config.data.image_to_video)  # refuses what it cannot be told
    latents = trunk.latent_format.shape(config.data.frames, config.data.height, config.data.width)
    caption = trunk.family.text_tokens, trunk.text_width
    tokens = token_count(trunk, latents)
    blocks = f"{len(trunk.blocks)} of {trunk.total_blocks} blocks"
    step = count_latent_reward(config, trunk, latents, caption[0])
    rate = max(config.optimizer.learning_rate, config.optimizer.head_lr or 0)
    run = reward_run(config, len(train), len(held_out), rate, VISIBLE)
    clips = {clip for pair in (*train, *held_out) for clip in pair.clips.values()}
    prompts = {pair.prompt for pair in (*train, *held_out)}
    encoding = encoding_of(config.model, config.data, len(clips), latents, len(prompts), caption)
    training = step.operations / step.pairs * run.samples
    channels, *lengths = latents
    return RunPlan(
        head=(
            *run.head,
            f"A clip: {config.data.width}x{config.data.height}, {config.data.frames} frames at {config.data.fps:g} a second; "
            f"{channels} x {' x '.join(map(str, lengths))} latents, {tokens} tokens; the trunk is {blocks}"
            + (", trained by LoRA." if config.model.lora else ", trained whole."),
        ),
        at_once=f"{at_once(step.pairs)} ({2 * step.pairs} clips)",
        parts=step.parts,
        operations=training + (encoding.operations if encoding else 0),
        operations_said=(f"{operations_said(step, training)}{encoding_said(encoding, len(clips))}.",),
        encoding=encoding,
        ways=lambda: changed_ways(_LADDER, config, lambda one: _counted(one, latents, caption[0]), step.needed),
        concerns=run.concerns,
    )


def _with_model(config: Config, **options: object) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=options)})


_LADDER = (
    (
        "model.gradient_checkpointing = true",
        lambda config: (
            None if config.model.gradient_checkpointing else _with_model(config, gradient_checkpointing=True)
        ),
    ),
    (
        "precision = bfloat16",
        lambda config: None if config.precision == "bfloat16" else config.model_copy(update={"precision": "bfloat16"}),
    ),
    (
        "micro_batch_size = 1",
        lambda config: None if config.micro_batch_size == 1 else config.model_copy(update={"micro_batch_size": 1}),
    ),
    ("model.lora = true", lambda config: None if config.model.lora else _with_model(config, lora=True)),
)


def described_trunk(model: ModelConfig) -> Backbone:
    """The trunk as ``load_trunk`` gives it, on the meta device."""
    blocks = model.blocks or block_count(describe_backbone(model.trunk).total_blocks, model.block_share)
    trunk = describe_backbone(model.trunk, num_blocks=blocks)
    if not model.lora:
        store_as(trunk.module, torch.float32)
    return trunk


def _counted(config: Config, latents: tuple[int, int, int, int], text_tokens: int) -> PairStep:
    return count_latent_reward(config, described_trunk(config.model), latents, text_tokens)


def count_latent_reward(
    config: Config, trunk: Backbone, latents: tuple[int, int, int, int], text_tokens: int
) -> PairStep:
    """Count a micro batch of pairs of different clips. The loss itself, of three numbers a pair, is left out.

    Args:
        trunk: on the meta device; it is of no use afterwards.
        latents: [C, T, H, W] of a clip.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with on_meta():
        reward = with_trained_parts(config, trunk)
    with FakeTensorMode(allow_non_fake_inputs=True):
        without_content(reward)
        images = image_entries(trunk, str(config.model.trunk), config.data.image_to_video)
        batch = pair_batch(trunk, latents, text_tokens, config.micro_batch_size, config.data.fps, images)
        freeze_idle(reward, batch)
        if config.model.gradient_checkpointing:
            reward.network.enable_gradient_checkpointing()
        module = PreferenceStep(reward, config.loss, config.clean_latents)
        module.train()
        given = [batch.latents, batch.noise, batch.sigma, *batch.conditioning.values()]

        def run() -> torch.Tensor:
            with autocast(torch.device("cpu"), torch.bfloat16, enabled=config.precision == "bfloat16"):
                a, b = module.rewards(batch, config.clean_latents)
            return (a - b).sum()

        return replace(count_pass(module, given, run), pairs=config.micro_batch_size)


def pair_batch(
    trunk: Backbone,
    latents: tuple[int, int, int, int],
    text_tokens: int,
    pairs: int,
    fps: float,
    images: Sequence[str] = (),
) -> LatentPairBatch:
    """Pairs of the right shapes, with nothing in them."""
    clips = 2 * pairs
    constants = trunk.constants(replace(trunk.sampling, fps=fps))
    conditioning = conditioning_of(trunk, latents, text_tokens, clips, images)
    conditioning |= {name: torch.full((clips,), float(value)) for name, value in constants.items()}
    judged = torch.ones(pairs, _DIMENSIONS)
    return LatentPairBatch(
        torch.empty(clips, *latents),
        torch.empty(clips, *latents),
        torch.empty(clips),
        conditioning,
        [],
        None,
        list(range(pairs)),
        list(range(pairs, clips)),
        judged.long(),
        judged,
        judged,
        torch.ones(pairs),
    )
