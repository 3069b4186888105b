"""Video autoencoders: clips to latents as ComfyUI's sampler sees them, and back.

One subclass per family holds a diffusers module. Weights come from ComfyUI single files or diffusers folders; the
configuration is derived from the tensors' shapes, or read from the folder, never from a hub.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ClipSizeError, WeightsError
from .latent_format import LatentFormat
from .weight_files import WeightFiles, fill_module, open_weights

_FAMILIES = ("vae_wan.WanVAE", "vae_hunyuan_video.HunyuanVideoVAE", "vae_ltx_video.LTXVideoVAE")
_PREFIXES = ("", "vae.", "first_stage_model.")


class VAE:
    """A video autoencoder; subclasses know their family's names, sizes and statistics.

    Attributes:
        module: the diffusers autoencoder, frozen, in evaluation mode.
        latent_format: the latent space.
        mean, std: [C] of the raw latents; normalised = (raw - mean) / std.
        weights: names the weights, for cache keys; None where they come from no file (their bytes are hashed then).
    """

    diffusers_class: str

    def __init__(self, module: nn.Module, weights: str | None = None):
        self.module = module.eval().requires_grad_(False)
        self.weights = weights
        self.latent_format = self.format_of(dict(module.config))
        self.mean, self.std = (values.float() for values in self.statistics())

    # What a family tells.

    @staticmethod
    def recognises(shapes: dict[str, tuple[int, ...]]) -> bool:
        """Whether a single file with these tensors is of this family, in the original (ComfyUI) naming."""
        raise NotImplementedError

    @staticmethod
    def config_of(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str]) -> dict:
        """diffusers configuration of a single file."""
        raise NotImplementedError

    @staticmethod
    def format_of(config: dict) -> LatentFormat:
        """The latent space of a configuration."""
        raise NotImplementedError

    @classmethod
    def original_names(cls, module: nn.Module) -> dict[str, str]:
        """Original (ComfyUI) name of each of diffusers' tensors."""
        raise NotImplementedError

    @classmethod
    def file_names(cls, module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
        """Name in a single file of each of diffusers' tensors."""
        return cls.original_names(module)

    @staticmethod
    def adapt(module: nn.Module, metadata: dict[str, str]) -> None:
        """Settle what a single file determines and diffusers' configuration does not express."""

    @staticmethod
    def may_ignore(name: str) -> bool:
        """Whether a tensor of a single file is known and not needed."""
        return False

    def statistics(self) -> tuple[Tensor, Tensor]:
        """[C] mean and [C] standard deviation of the raw latents."""
        raise NotImplementedError

    def set_tiling(self, tiling: bool) -> None:
        """Encode and decode in overlapping tiles: less memory, slightly different values near the seams."""
        self.module.enable_tiling() if tiling else self.module.disable_tiling()
        self.module.use_slicing = tiling

    def encode_raw(self, video: Tensor) -> Tensor:
        """Mode of the posterior in the VAE's own units."""
        return self.module.encode(video).latent_dist.mode()

    def decode_raw(self, latents: Tensor) -> Tensor:
        """diffusers' decoder on raw latents."""
        return self.module.decode(latents).sample

    # What all share.

    @property
    def tiling(self) -> bool:
        """Whether big clips are cut into tiles."""
        return self.module.use_tiling

    @property
    def identity(self) -> str:
        """Names everything that the latents of a clip depend on, for cache keys."""
        return _identity(self.weights or _digest(self.module), self.dtype, self.tiling)

    @property
    def dtype(self) -> torch.dtype:
        return self.module.dtype

    @property
    def device(self) -> torch.device:
        return self.module.device

    def to(self, device: torch.device | str) -> VAE:
        """Move the weights."""
        self.module.to(device)
        return self

    def encode(self, video: Tensor) -> Tensor:
        """Latents of clips: the mode of the posterior, so that the same clip always gives the same latents.

        Args:
            video: [B, 3, T, H, W] RGB in -1..1; T = 1 + a multiple of the temporal stride, H and W multiples of the
                spatial stride.

        Returns:
            [B, C, T', H', W'] float32, normalised, on the device of ``video``.

        Raises:
            ClipSizeError: the size does not fit; the message names the nearest sizes that do.
        """
        check_clip(video, self.latent_format)
        raw = self.encode_raw(video.to(self.device, self.dtype))
        return self._scaled(raw.float(), into=True).to(video.device)

    def decode(self, latents: Tensor) -> Tensor:
        """[B, 3, T, H, W] float32 clips in -1..1 of normalised latents [B, C, T', H', W'], on their device.

        Raises:
            ClipSizeError: another number of dimensions or channels.
        """
        if latents.ndim != 5 or latents.shape[1] != self.latent_format.channels:
            raise ClipSizeError(
                f"latents of shape {list(latents.shape)} are not {self.latent_format.name} latents; "
                f"expected [B, {self.latent_format.channels}, T, H, W]."
            )
        raw = self._scaled(latents.to(self.device).float(), into=False).to(self.dtype)
        return self.decode_raw(raw).float().clamp(-1, 1).to(latents.device)

    def _scaled(self, latents: Tensor, into: bool) -> Tensor:
        mean, std = (values.to(latents.device).view(1, -1, 1, 1, 1) for values in (self.mean, self.std))
        return (latents - mean) / std if into else latents * std + mean

    def original_state_dict(self) -> dict[str, Tensor]:
        """The weights under the names, and in the shapes, that ComfyUI's VAE loader reads."""
        names = self.original_names(self.module)
        return {names[name]: self.to_original(names[name], tensor) for name, tensor in self.module.state_dict().items()}

    @staticmethod
    def to_original(name: str, tensor: Tensor) -> Tensor:
        """A tensor in the shape of the original file."""
        return tensor

    @staticmethod
    def from_original(tensor: Tensor, shape: torch.Size) -> Tensor:
        """A tensor of the original file in diffusers' shape."""
        return tensor


def load_vae(
    path: Path | str, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", tiling: bool = False
) -> VAE:
    """Load the VAE of Wan 2.1, Wan 2.2 (48 channels), HunyuanVideo or LTX-Video.

    Args:
        path: a ComfyUI single file (.safetensors; also a checkpoint that holds a VAE under ``vae.``), or a diffusers
            folder: the pipeline's, or its ``vae`` subfolder.
        dtype: of the weights and of the arithmetic.
        tiling: cut big clips into overlapping tiles.

    Raises:
        WeightsError: nothing there, damaged, or not a VAE of these families.
    """
    path = Path(path)
    with torch.inference_mode(False), torch.no_grad():
        vae = _load_folder(path, dtype) if path.is_dir() else _load_single_file(path, dtype)
    vae.set_tiling(tiling)
    return vae.to(device)


def vae_identity(path: Path | str, dtype: torch.dtype = torch.float32, tiling: bool = False) -> str:
    """What ``load_vae(...).identity`` would be, without reading the tensors.

    Raises:
        WeightsError: nothing there, or damaged.
    """
    path = Path(path)
    if path.is_dir() and not (path / "config.json").is_file():
        path = path / "vae"
    return _identity(open_weights(path).identity(), dtype, tiling)


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _identity(weights: str, dtype: torch.dtype, tiling: bool) -> str:
    return f"{weights}-{str(dtype).removeprefix('torch.')}{'-tiled' if tiling else ''}"


def build_vae(diffusers_class: str, config: dict) -> VAE:
    """A VAE with random weights, from a diffusers class name ("AutoencoderKLWan", ...) and its configuration."""
    family = next((family for family in _families() if family.diffusers_class == diffusers_class), None)
    if family is None:
        raise WeightsError(
            f"there is no VAE '{diffusers_class}'; choose from {[f.diffusers_class for f in _families()]}."
        )
    return family(_module(family, config))


def check_clip(video: Tensor, latent_format: LatentFormat) -> None:
    """Check that a clip [B, 3, T, H, W] can be encoded.

    Raises:
        ClipSizeError: another number of dimensions or channels, or a size that does not fit the strides.
    """
    if video.ndim != 5 or video.shape[1] != 3:
        raise ClipSizeError(f"a clip must be [B, 3, T, H, W]; got shape {list(video.shape)}.")
    latent_format.shape(*video.shape[2:])


def _families() -> list[type[VAE]]:
    found = []
    for name in _FAMILIES:
        module, _, family = name.partition(".")
        found.append(getattr(importlib.import_module(f".{module}", __package__), family))
    return found


def _module(family: type[VAE], config: dict) -> nn.Module:
    import diffusers

    return getattr(diffusers, family.diffusers_class).from_config(config)


def _load_folder(path: Path, dtype: torch.dtype) -> VAE:
    folder = path if (path / "config.json").is_file() else path / "vae"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path} holds no VAE: neither config.json nor vae/config.json is there. Give a diffusers folder or a ComfyUI "
            "VAE file."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / 'config.json'} cannot be read ({error}).") from error
    family = next((f for f in _families() if f.diffusers_class == config.get("_class_name")), None)
    if family is None:
        raise WeightsError(
            f"{folder} holds a '{config.get('_class_name')}'; supported are {', '.join(f.diffusers_class for f in _families())}."
        )
    files = open_weights(folder)
    return _filled(family, config, {name: files.read(name, dtype) for name in files.shapes}, files)


def _load_single_file(path: Path, dtype: torch.dtype) -> VAE:
    files = open_weights(path)
    for prefix in reversed(_PREFIXES):
        shapes = {key[len(prefix) :]: shape for key, shape in files.shapes.items() if key.startswith(prefix)}
        family = next((family for family in _families() if family.recognises(shapes)), None)
        if family is not None:
            break
    else:
        raise WeightsError(
            f"{path} is not a VAE that is supported (Wan 2.1, Wan 2.2, HunyuanVideo, LTX-Video in ComfyUI's naming). "
            "Give the VAE file that you use in ComfyUI, or a diffusers folder."
        )
    config = family.config_of(shapes, files.metadata)
    with torch.device("meta"):
        module = _module(family, config)
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    names = family.file_names(module, shapes)
    state = {name: family.from_original(files.read(prefix + own, dtype), expected[name]) for name, own in names.items()}
    used = set(names.values())
    unused = [name for name in shapes if name not in used and not family.may_ignore(name)]
    if unused:
        raise WeightsError(
            f"{path}: {len(unused)} tensors are not known ({', '.join(unused[:3])}); the file is of a variant that is not "
            "supported."
        )
    vae = _filled(family, config, state, files)
    family.adapt(vae.module, files.metadata)
    return vae


def _filled(family: type[VAE], config: dict, state: dict[str, Tensor], files: WeightFiles) -> VAE:
    with torch.device("meta"):
        module = _module(family, config)
    fill_module(module, state, files.name)
    return family(module, files.identity())
