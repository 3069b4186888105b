"""A video diffusion transformer with one face for all families: velocity, features, blocks, and names of its layers.

Velocities are those of the rectified flow in ``flow_path.py``. Latents are [B, C, T, H, W] in the normalised space of the
sampler. The time that a network is told is always sigma.
"""

from __future__ import annotations

import contextlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..errors import VideoAlignError
from .conditioning import Conditioning, ConditioningError, collate
from .family import Family
from .latent_format import LatentFormat
from .sampling_defaults import Distilled, SamplingDefaults

__all__ = ["Backbone", "Conditioning", "OriginalRows", "collate"]

OriginalRows = list[tuple[str, tuple[int, int] | None]]
"""Where the rows of a layer's weight lie in the original network, in the order of the layer's rows: pairs of an original
name and a range [start, stop) of that layer's rows (None: all of them)."""


class Backbone(ABC):
    """One family of networks; a subclass a family. Its weights are frozen until somebody says otherwise.

    ``features`` stops a forward pass before the output head by an exception from a hook, which works for any network whose
    head begins with ``norm_out``, so that no family needs a second forward pass.

    Attributes:
        family: facts that are known without the network, its name among them.
        module: the diffusers transformer. peft's layers, gradient checkpointing and offloading may be put on it.
        config: builds ``module`` again (``build_backbone(name, config)``); plain JSON.
        latent_format: what it samples.
        sampling: its authors' sampling defaults.
        total_blocks: blocks of the checkpoint, of which ``len(blocks)`` are built.
    """

    family: ClassVar[Family]
    diffusers_class: ClassVar[str]  # what config.json of a folder calls the network
    block_lists: ClassVar[dict[str, str]]  # attribute of the module -> the config's count, in the order of evaluation
    distilled: ClassVar[Mapping[str, Distilled]] = {}
    optional_image: ClassVar[tuple[str, ...]] = ()  # entries of an image that the networks can do without
    ignored: ClassVar[str] = "(?!)"  # pattern of tensors that files or folders have and the network does not read

    def __init__(
        self, module: nn.Module, config: Mapping[str, Any], sampling: SamplingDefaults | None = None,
        total_blocks: int | None = None,
    ) -> None:  # fmt: skip
        self.module = module.eval().requires_grad_(False)
        self.config = dict(config)
        self.latent_format = self.latent_format_of(config)
        self.sampling = sampling or self.sampling_of(config)
        self.total_blocks = total_blocks or len(self.blocks)

    @property
    def name(self) -> str:
        """The family's: ``wan``."""
        return self.family.name

    # -- what a family says about itself --------------------------------------------------------------------------------
    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether the tensors of a ComfyUI file (names without prefix -> shapes) are of this family."""

    @classmethod
    @abstractmethod
    def config_from(cls, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """The diffusers config of a ComfyUI file, from the shapes of its tensors (under ``original_name``'s names).

        Raises:
            KeyError: a tensor that every member of the family has is missing.
            VideoAlignError: a variant that is not supported.
        """

    @classmethod
    def config_of_pipeline(cls, pipeline: str) -> dict[str, Any]:
        """What the class name in a diffusers folder's model_index.json adds to the network's config."""
        return {}

    @classmethod
    def original_name(cls, name: str) -> str:
        """A tensor's name in a file -> its name in ComfyUI's network, where ComfyUI renames while loading."""
        return name

    @classmethod
    @abstractmethod
    def original_rows(cls, name: str, config: Mapping[str, Any]) -> OriginalRows:
        """Where a module (or bare parameter) of the diffusers network lies in the original one."""

    @classmethod
    @abstractmethod
    def latent_format_of(cls, config: Mapping[str, Any]) -> LatentFormat:
        """What a network of this config samples; one of ``family.latent_formats``.

        Raises:
            VideoAlignError: latents that no member of the family has, or a variant that is not supported.
        """

    @classmethod
    @abstractmethod
    def sampling_of(cls, config: Mapping[str, Any]) -> SamplingDefaults:
        """How the authors of a network of this config sample from it."""

    def sampling_as(self, distilled: str | None = None) -> SamplingDefaults:
        """The sampling defaults; as a distilled network's where ``distilled`` names one of the family's.

        Raises:
            VideoAlignError: the family has none of that name.
        """
        if distilled is None:
            return self.sampling
        if distilled not in self.distilled:
            known = ", ".join(f"{name} ({one.about})" for name, one in self.distilled.items()) or "none"
            raise VideoAlignError(
                f"There is no distilled setting {distilled!r} for {self.family.title}; known are: {known}. Others are given by sampling.steps, shift "
                "and guidance_scale."
            )
        return self.sampling.changed(**self.distilled[distilled].settings)

    @property
    def patch(self) -> tuple[int, int, int]:
        """Latent elements along time, height and width that make one token."""
        return self.config["patch_size_t"], self.config["patch_size"], self.config["patch_size"]

    @abstractmethod
    def _call(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """The network's velocity; arguments are checked, and in the network's type."""

    @property
    @abstractmethod
    def _input_weight(self) -> Tensor:
        """A weight that keeps the computing type when others are quantised or stored in fp8."""

    # -- building --------------------------------------------------------------------------------------------------------
    @classmethod
    def build_module(cls, config: Mapping[str, Any]) -> nn.Module:
        """A network with random weights (under ``meta_device.on_meta``: without)."""
        transformer = cls.network_class()
        accepted = inspect.signature(transformer.__init__).parameters
        return transformer(**{key: value for key, value in config.items() if key in accepted})

    @classmethod
    def network_class(cls) -> type[nn.Module]:
        """The class of ``module``, whose arguments are ``config``: diffusers' ``diffusers_class``.

        Raises:
            VideoAlignError: the installed diffusers does not have it.
        """
        import diffusers

        try:
            return getattr(diffusers, cls.diffusers_class)
        except AttributeError:
            raise VideoAlignError(
                f"{cls.family.title} needs {cls.diffusers_class}, which diffusers {diffusers.__version__} does not have. "
                "Update it: pip install -U diffusers"
            ) from None

    @classmethod
    def with_defaults(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config with what the network's class assumes where it says nothing, as plain JSON."""
        parameters = inspect.signature(cls.network_class().__init__).parameters.values()
        defaults = {entry.name: entry.default for entry in parameters if entry.default is not entry.empty}
        return json.loads(json.dumps({**defaults, **config}))

    @classmethod
    def truncated(cls, config: Mapping[str, Any], num_blocks: int | None) -> dict[str, Any]:
        """The config of the first ``num_blocks`` blocks.

        Raises:
            VideoAlignError: fewer than one, or more than there are.
        """
        config = dict(config)
        total = cls.count_blocks(config)
        if num_blocks is None:
            return config
        if not 1 <= num_blocks <= total:
            raise VideoAlignError(
                f"num_blocks is {num_blocks}; this {cls.family.name} network has blocks 1 to {total}."
            )
        for count in cls.block_lists.values():
            config[count] = min(config[count], num_blocks)
            num_blocks -= config[count]
        return config

    @classmethod
    def count_blocks(cls, config: Mapping[str, Any]) -> int:
        """Blocks of a network of this config."""
        return sum(config[count] for count in cls.block_lists.values())

    # -- use -------------------------------------------------------------------------------------------------------------
    def velocity(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """noise - x0 as the network sees it.

        Args:
            x_t: [B, C, T, H, W] noisy latents.
            sigma: [B] in [0, 1], 0 clean, 1 noise; the network is told this time.
            conditioning: batched, see ``conditioning.py``.

        Returns:
            [B, C, T, H, W] in the type of ``x_t``. Autograd works, to ``x_t`` too.

        Raises:
            VideoAlignError: shapes that do not fit, a conditioning that lacks something, or only a part of the blocks.
        """
        if len(self.blocks) < self.total_blocks:
            raise VideoAlignError(
                f"Only {len(self.blocks)} of the {self.total_blocks} blocks of this {self.name} network were loaded: it has "
                "features, but no velocity. Load it without num_blocks."
            )
        return self._evaluate(x_t, sigma, conditioning).to(x_t.dtype)

    def features(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """[B, N, D] video tokens after the last built block, in the type of ``x_t``; the output head is not run.

        Arguments and errors as in ``velocity``. N is the number of patches, frame by frame and row by row.
        """
        return self._evaluate(x_t, sigma, conditioning, head=False).to(x_t.dtype)

    def _evaluate(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning, head: bool = True) -> Tensor:
        self._check(x_t, sigma, conditioning)
        device, dtype = x_t.device, self.dtype
        conditioning = {
            key: value.to(
                device,
                dtype if value.is_floating_point() and value.ndim > 1 else None,  # numbers keep their float32
            )
            for key, value in conditioning.items()
        }
        x_t, sigma = x_t.to(dtype), sigma.to(device, torch.float32)
        if head:
            return self._call(x_t, sigma, conditioning)
        with self._stopping_before_head():
            try:
                self._call(x_t, sigma, conditioning)
            except _ReachedHeadError as reached:
                return reached.tokens
        raise RuntimeError(f"{type(self.module).__name__} no longer runs norm_out after its blocks.")

    @contextlib.contextmanager
    def _stopping_before_head(self) -> Iterator[None]:
        def stop(_module: nn.Module, arguments: tuple) -> None:
            raise _ReachedHeadError(arguments[0])

        hook = self.module.norm_out.register_forward_pre_hook(stop)
        try:
            yield
        finally:
            hook.remove()

    def _check(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning) -> None:
        channels = self.latent_format.channels
        if x_t.ndim != 5 or x_t.shape[1] != channels:
            raise VideoAlignError(
                f"{self.name} needs {self.latent_format.name} latents [B, {channels}, T, H, W]; found {list(x_t.shape)}."
            )
        if tuple(sigma.shape) != (len(x_t),):
            raise VideoAlignError(f"sigma must have shape [{len(x_t)}], one a sample; found {list(sigma.shape)}.")
        known = self.family.conditioning
        if unknown := sorted(set(conditioning) - set(known)):
            raise ConditioningError(
                f"A {self.name} network knows nothing of {unknown} in its conditioning; known are {', '.join(known)}."
            )
        for key in self.needs:
            if key not in conditioning:
                raise ConditioningError(
                    f"This {self.name} network needs '{key}' in its conditioning; found {sorted(conditioning)}."
                )
        for key, value in conditioning.items():
            if len(value) != len(x_t):
                raise ConditioningError(f"'{key}' is for {len(value)} samples; there are {len(x_t)} latents.")
        if conditioning["text"].ndim != 3 or conditioning["text"].shape[2] not in self.text_widths:
            raise ConditioningError(
                f"{self.name} needs text [B, L, {self.text_width}]; found {list(conditioning['text'].shape)}. Is it of another text encoder?"
            )
        mask = conditioning.get("text_mask")
        if mask is not None and not mask.bool().any(1).all():
            raise ConditioningError("A text has no token that text_mask leaves; give at least one.")

    @property
    def needs(self) -> tuple[str, ...]:
        """Entries that a conditioning must have."""
        return ("text",)

    @property
    @abstractmethod
    def text_width(self) -> int:
        """D of the text embeddings."""

    @property
    def text_widths(self) -> tuple[int, ...]:
        """Widths that a text may have: ``text_width``, and more where ComfyUI hands on what is another stream's behind it."""
        return (self.text_width,)

    def constants(self, sampling: SamplingDefaults) -> dict[str, Tensor]:
        """Unbatched entries of every conditioning that do not come from the prompt: embedded guidance, frame rate."""
        entries = {}
        if sampling.embedded_guidance is not None:
            entries["guidance"] = torch.tensor(float(sampling.embedded_guidance))
        if "frame_rate" in self.family.conditioning:
            entries["frame_rate"] = torch.tensor(float(sampling.fps))
        return entries

    @property
    def expert_boundary(self) -> float | None:
        """Where two experts share the noise levels: one works at sigma >= this, the other below. None without experts."""
        return None

    def image_refusal(self) -> str | None:
        """Why the entries that this network needs of an image cannot be made of one picture; None where they can.

        Asked of networks that need such entries only (``image_conditioning.IMAGE_ENTRIES``).
        """
        return f"this {self.name} network needs an image, which is not supported"

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in."""
        return self._input_weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._input_weight.device

    def to(self, *arguments: Any, **options: Any) -> Backbone:
        """Move or convert ``module`` as ``torch.nn.Module.to`` does."""
        self.module.to(*arguments, **options)
        return self

    # -- parts -----------------------------------------------------------------------------------------------------------
    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks in the order of evaluation."""
        return [block for attribute in self.block_lists for block in getattr(self.module, attribute)]

    @property
    def head_parameters(self) -> list[nn.Parameter]:
        """What ``features`` does not use: the output head."""
        parameters = [*self.module.norm_out.parameters(), *self.module.proj_out.parameters()]
        table = getattr(self.module, "scale_shift_table", None)
        return parameters if table is None else [*parameters, table]

    @abstractmethod
    def lora_targets(self, ffn: bool = False) -> list[str]:
        """diffusers names of q, k, v and the output of every attention in the blocks; with ``ffn`` the MLPs too."""

    def original_modules(self, name: str) -> OriginalRows:
        """Where a module of ``module`` (by its diffusers name) lies in ComfyUI's network.

        Raises:
            VideoAlignError: there is no such module.
        """
        try:
            self.module.get_submodule(name)
        except AttributeError:
            raise VideoAlignError(f"The {self.name} network has no module '{name}'.") from None
        return self.original_rows(name, self.config)


class _ReachedHeadError(Exception):
    """Ends a forward pass where the head begins."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens


def pad_to_patches(latents: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """Latents [B, C, T, H, W] with T, H, W up to multiples of ``patch``, continued from the other end as ComfyUI does."""
    missing = [-size % multiple for size, multiple in zip(latents.shape[2:], patch, strict=True)]
    if not any(missing):
        return latents
    return nn.functional.pad(latents, (0, missing[2], 0, missing[1], 0, missing[0]), mode="circular")


def concatenated(x_t: Tensor, conditioning: Conditioning, channels: int) -> Tensor:
    """x_t with the image latents behind its channels, where the network's ``channels`` ask for them.

    Raises:
        ConditioningError: they have another shape.
    """
    if x_t.shape[1] == channels:
        return x_t
    image = conditioning["image_latents"]
    expected = [len(x_t), channels - x_t.shape[1], *x_t.shape[2:]]
    if list(image.shape) != expected:
        raise ConditioningError(f"image_latents must have shape {expected}; found {list(image.shape)}.")
    return torch.cat([x_t, image], dim=1)
