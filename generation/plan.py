"""What sampling takes: the network's steps and the VAE's decoding, counted at their real size without content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..backbones.backbone import Backbone, Conditioning
from ..backbones.given_frames import FIRST_FRAME
from ..backbones.image_conditioning import image_entries
from ..backbones.loading import describe_backbone, store_as
from ..backbones.sampling import Hook, guided_velocity, sample
from ..backbones.sampling_defaults import SamplingDefaults
from ..backbones.vae_loading import describe_vae
from ..planning.cards import CARDS
from ..planning.counting import GB, Count, with_between, without_content
from ..planning.encoding import Coded, count_vae, image_encoder_bytes, text_encoder_bytes
from ..planning.report import flop, gb
from ..planning.run_plan import Part, RunPlan, Way
from ..reward.latent.gradient_memory import SHARE_FOR_THE_GRADIENT, gradient_bytes
from ..reward.latent.latent_reward import LatentReward
from ..reward.latent.reward_file import describe_latent_reward
from ..reward.settings import EMBEDDED_LATENT_FILE
from ..training.plan.flow_step import conditioning_of, token_count
from .clip_folder import Wanted
from .model_files import MICRO, image_encoder_file, model_files
from .sampling_options import settings_for

if TYPE_CHECKING:
    from .generate_command import Config

_COUNTED_STEPS = 2  # the second begins with what the first has left


@dataclass(frozen=True)
class Sampled:
    """A batch of clips that is sampled.

    Attributes:
        weights: bytes of the network's.
        reward: bytes of the latent reward's, 0 without guidance.
        activations: most bytes beside them.
        step: operations of a step of the batch, with both sides of classifier-free guidance and with reward guidance.
        clips: in the batch.
    """

    weights: int
    reward: int
    activations: int
    step: int
    clips: int


@dataclass(frozen=True)
class ModelCount:
    """A model that makes clips, counted.

    Attributes:
        settings: of the sampling.
        latents: [C, T, H, W] of a clip.
        tokens: that the network sees of it.
        dtype: of the network.
        sampled, decoded: of a batch, and of a clip.
        image: of encoding the image that a clip begins with; None where it begins with none.
        encoders: bytes of the weights of what encodes captions and images.
    """

    settings: SamplingDefaults
    latents: tuple[int, int, int, int]
    tokens: int
    dtype: torch.dtype
    sampled: Sampled
    decoded: Coded
    image: Coded | None
    encoders: int

    @property
    def activations(self) -> float:
        """Most bytes beside the weights."""
        return max(self.sampled.activations, self.decoded.activations, self.image.activations if self.image else 0)

    @property
    def step(self) -> float:
        """Operations of a step of one clip."""
        return self.sampled.step / self.sampled.clips

    @property
    def clip(self) -> float:
        """Operations of a whole clip."""
        image = self.image.operations if self.image else 0
        return self.settings.steps * self.step + self.decoded.operations + image

    @property
    def parts(self) -> tuple[Part, ...]:
        """Of the device's memory; all of it is there from the first clip on."""
        kind = str(self.dtype).removeprefix("torch.")
        told = f"counted on a CPU's operations; sampling {gb(self.sampled.activations)}, decoding {gb(self.decoded.activations)}"
        return (
            Part("network", self.sampled.weights, f"counted; {kind}"),
            Part("VAE", self.decoded.weights, "counted; float32"),
            Part("encoders", self.encoders, "counted; captions in 16 bits"),
            *([Part("latent reward", self.sampled.reward, "counted; 16 bits")] if self.sampled.reward else []),
            Part("activations", self.activations, told),
        )


def plan_generate(config: Config, wanted: Sequence[Wanted]) -> RunPlan:
    """Count what the clips take, whether some of them are there or not. Nothing is loaded, sampled or written.

    Raises:
        VideoAlignError: the model cannot be used; the message names it.
    """
    model = count_model(config, pictured=any(clip.image is not None for clip in wanted))
    settings = model.settings
    prompts = len({(clip.prompt, clip.image) for clip in wanted})
    operations = len(wanted) * model.clip
    return RunPlan(
        head=(f"{len(wanted)} clips of {prompts} prompts.", described_clip(model)),
        at_once=f"{model.sampled.clips} clip{'s' if model.sampled.clips > 1 else ''} at a time",
        parts=model.parts,
        operations=operations,
        operations_said=(
            f"Operations: {flop(model.step)} a step and {flop(model.decoded.operations)} for decoding (counted), {flop(model.clip)} a clip of "
            f"{settings.steps} steps, {flop(operations)} in all; captions are left out.",
        ),
        ways=lambda: sampling_ways(config, model),
        smaller=lambda room: smaller_clips(model, room),
    )


def described_clip(model: ModelCount) -> str:
    """A sentence on a clip and how it is sampled."""
    settings, (channels, *lengths) = model.settings, model.latents
    guided = (
        f"classifier-free guidance {settings.guidance_scale:g}"
        if settings.guidance_scale != 1
        else "no classifier-free guidance"
    )
    return (
        f"A clip: {settings.width}x{settings.height}, {settings.frames} frames at {settings.fps:g} a second; {channels} x "
        f"{' x '.join(map(str, lengths))} latents, {model.tokens} tokens; {settings.steps} steps, {guided}."
    )


def count_model(config: Config, pictured: bool = False) -> ModelCount:
    """Count a step of sampling, and decoding.

    Args:
        pictured: the prompts have images.

    Raises:
        VideoAlignError: a file is missing, damaged, or of another model.
    """
    network_file, vae_file, text_file = model_files(config.model, config.vae, config.text_encoder)
    backbone = describe_backbone(network_file, whole=True)
    entries = image_entries(backbone, network_file, pictured)
    dtype = backbone.dtype if config.dtype == "auto" else getattr(torch, config.dtype)
    settings = settings_for(backbone, config.sampling, config.distilled)
    reward = None
    if config.guidance.latent_reward:
        named = config.guidance.latent_reward
        reward = describe_latent_reward(EMBEDDED_LATENT_FILE if named == MICRO else Path(named))
    size = settings.frames, settings.height, settings.width
    images = image_encoder_file(config.model, config.image_encoder) if "image_embeds" in entries else None
    latents = backbone.latent_format.shape(*size)
    return ModelCount(
        settings,
        latents,
        token_count(backbone, latents),
        dtype,
        count_sampling(backbone, settings, dtype, config.batch_size, reward, images=entries),
        count_vae(describe_vae(vae_file), size, "decode"),
        _count_image(vae_file, size, entries),
        text_encoder_bytes(text_file, config.text_encoder_bits) + (image_encoder_bytes(images) if images else 0),
    )


def _count_image(vae_file: str, size: tuple[int, int, int], entries: Sequence[str]) -> Coded | None:
    """Encoding what the network is told of an image by the VAE; a whole clip of it, or the first frame alone."""
    if "image_latents" in entries:
        return count_vae(describe_vae(vae_file), size, "encode")
    return count_vae(describe_vae(vae_file), (1, *size[1:]), "encode") if FIRST_FRAME in entries else None


def count_sampling(
    backbone: Backbone, settings: SamplingDefaults, dtype: torch.dtype, clips: int = 1,
    reward: LatentReward | None = None, text_tokens: int | None = None, images: Sequence[str] = (),
) -> Sampled:  # fmt: skip
    """Count steps of sampling.

    Args:
        backbone, reward: on the meta device; they are of no use afterwards.
        dtype: of the network.
        clips: sampled together.
        text_tokens: of a caption; as many as can be by default.
        images: what the network is told of an image.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    store_as(backbone.module, dtype)
    shape = backbone.latent_format.shape(settings.frames, settings.height, settings.width)
    tokens = text_tokens or backbone.family.text_tokens
    modules = [backbone.module]
    if reward is not None:
        store_as(reward.network, torch.bfloat16 if dtype != torch.float32 else dtype)
        # The same on every card: as on the smallest, where blocks are run twice at first.
        reward.recompute(gradient_bytes(reward, (clips, *shape)) > SHARE_FOR_THE_GRADIENT * CARDS[0].gigabytes * GB)
        modules.append(reward)
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in modules:
            without_content(module)

        def told() -> Conditioning:
            constants = {
                name: torch.full((clips,), float(value)) for name, value in backbone.constants(settings).items()
            }
            return {**conditioning_of(backbone, shape, tokens, clips, images), **constants}

        positive, negative = told(), told() if settings.guidance_scale != 1 else None
        velocity = guided_velocity(backbone.velocity, positive, negative, settings.guidance_scale)
        noise = torch.empty(clips, *shape)
        held = [tensor for module in modules for tensor in [*module.parameters(), *module.buffers()]]
        given = [noise, *positive.values(), *(negative or {}).values()]
        with Count([*held, *given]) as count:
            made = sample(
                velocity, noise, [1.0, 0.5, 0.0], hook=None if reward is None else _climbing(reward, positive)
            )
        del made
    weights = [sum(one.nbytes for one in [*module.parameters(), *module.buffers()]) for module in modules]
    return Sampled(weights[0], sum(weights[1:]), count.peak, count.operations // _COUNTED_STEPS, clips)


def _climbing(reward: LatentReward, conditioning: Conditioning) -> Hook:
    """A hook that takes the reward's gradient, as reward guidance does."""

    def hook(x_t: torch.Tensor, sigma: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            leaf = x_t.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(reward.rewards(leaf, sigma, conditioning).sum(), leaf)
        return velocity + gradient

    return hook


def sampling_ways(config: Config, model: ModelCount) -> list[Way]:
    """Options that need less memory."""
    fixed, found = model.parts, []
    words = []
    sampled, activations = model.sampled.weights, model.activations
    if model.dtype == torch.float32:
        words.append("dtype = bfloat16")
        sampled, activations = sampled / 2, max(activations / 2, model.decoded.activations)
        found.append((", ".join(words), sampled, activations))
    if config.batch_size > 1:
        words.append("batch_size = 1")
        activations = max(activations / config.batch_size, model.decoded.activations)
        found.append((", ".join(words), sampled, activations))
    others = sum(part.size for part in fixed) - model.sampled.weights - model.activations
    return [Way(told, with_between(others + weights + beside)) for told, weights, beside in found]


def smaller_clips(model: ModelCount, room: float) -> str | None:
    """How much smaller a clip would have to be, in words; None where the weights alone are too large."""
    weights = sum(part.size for part in model.parts) - model.activations
    left = room / with_between(1) - weights
    if left <= 0 or not math.isfinite(left):
        return None
    share = f"{100 * left / model.activations:.0f}"
    return f"with clips of {share} % of the size it does (sampling.frames, width, height)"
