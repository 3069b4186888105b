"""Load a video autoencoder from a ComfyUI single file or a diffusers folder, or build one at random.

The configuration is derived from the tensors' shapes, or read from the folder, never from a hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import WeightsError
from ..files.json_text import parse_json
from .families import vae_classes
from .meta_device import on_meta
from .vae import VAE, identity_of_weights
from .weight_files import WeightFiles, configured, fill_module, open_weights

_PREFIXES = ("", "vae.", "first_stage_model.")


def load_vae(
    path: Path | str, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", tiling: bool = False
) -> VAE:
    """Load the VAE of any family that is known.

    Args:
        path: a ComfyUI single file (.safetensors; also a checkpoint that holds a VAE under ``vae.``), or a diffusers
            folder: the pipeline's, or its ``vae`` subfolder.
        dtype: of the weights and of the arithmetic.
        tiling: cut big clips into overlapping tiles.

    Raises:
        WeightsError: nothing there, damaged, or not a VAE of a known family.
    """
    path = Path(path)
    with torch.inference_mode(False), torch.no_grad():
        vae = _load_folder(path, dtype) if path.is_dir() else _load_single_file(path, dtype)
    vae.set_tiling(tiling)
    return vae.to(device)


def describe_vae(path: Path | str, dtype: torch.dtype = torch.float32) -> VAE:
    """What ``load_vae`` gives, on the meta device: no tensors are read.

    Raises:
        WeightsError: as ``load_vae``, but for what only the tensors show.
    """
    path = Path(path)
    if path.is_dir():
        kind, config, files = _described_folder(path)
    else:
        found = _found(path)
        kind, config, files = found.kind, found.config, found.files
    with configured(files.name), on_meta():
        vae = kind(kind.build_module(config), files.identity())
    for weight in vae.module.parameters():
        weight.data = weight.data.to(dtype)
    if not path.is_dir():
        kind.adapt(vae.module, files.metadata)
    vae.set_tiling(False)
    return vae


def vae_identity(path: Path | str, dtype: torch.dtype = torch.float32, tiling: bool = False) -> str:
    """What ``load_vae(...).identity`` would be, without reading the tensors.

    Raises:
        WeightsError: nothing there, or damaged.
    """
    path = Path(path)
    if path.is_dir() and not (path / "config.json").is_file():
        path = path / "vae"
    return identity_of_weights(open_weights(path).identity(), dtype, tiling)


def build_vae(diffusers_class: str, config: dict) -> VAE:
    """A VAE with random weights, from a diffusers class name ("AutoencoderKLWan", ...) and its configuration."""
    kinds = {known.diffusers_class: known for known in vae_classes()}
    if diffusers_class not in kinds:
        raise WeightsError(f"there is no VAE '{diffusers_class}'; choose from {', '.join(kinds)}.")
    kind = kinds[diffusers_class]
    return kind(kind.build_module(config))


def _load_folder(path: Path, dtype: torch.dtype) -> VAE:
    kind, config, files = _described_folder(path)
    return _filled(kind, config, {name: files.read(name, dtype) for name in files.shapes}, files)


def _described_folder(path: Path) -> tuple[type[VAE], dict, WeightFiles]:
    folder = path if (path / "config.json").is_file() else path / "vae"
    try:
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path} holds no VAE: neither config.json nor vae/config.json is there. Give a diffusers folder or a ComfyUI "
            "VAE file."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / 'config.json'} cannot be read ({error}).") from error
    kinds = {known.diffusers_class: known for known in vae_classes()}
    if config.get("_class_name") not in kinds:
        raise WeightsError(f"{folder} holds a '{config.get('_class_name')}'; supported are {', '.join(kinds)}.")
    return kinds[config["_class_name"]], config, open_weights(folder)


@dataclass(frozen=True)
class _SingleFile:
    """What a single file holds: its class and configuration, and its tensors under the prefix that they have."""

    files: WeightFiles
    kind: type[VAE]
    config: dict
    prefix: str
    shapes: dict[str, tuple[int, ...]]


def _found(path: Path) -> _SingleFile:
    files = open_weights(path)
    for prefix in reversed(_PREFIXES):
        shapes = {key[len(prefix) :]: shape for key, shape in files.shapes.items() if key.startswith(prefix)}
        kind = next((known for known in vae_classes() if known.recognises(shapes)), None)
        if kind is not None:
            break
    else:
        titles = ", ".join(known.title for known in vae_classes())
        raise WeightsError(
            f"{path} is not a VAE that is supported ({titles} in ComfyUI's naming). "
            "Give the VAE file that you use in ComfyUI, or a diffusers folder."
        )
    return _SingleFile(files, kind, kind.config_of(shapes, files.metadata), prefix, shapes)


def _load_single_file(path: Path, dtype: torch.dtype) -> VAE:
    found = _found(path)
    files, kind, config, prefix, shapes = found.files, found.kind, found.config, found.prefix, found.shapes
    with configured(files.name), on_meta():
        module = kind.build_module(config)
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    names = kind.file_names(module, shapes)
    state = {name: kind.from_original(files.read(prefix + key, dtype), expected[name]) for name, key in names.items()}
    used = set(names.values())
    unused = [name for name in shapes if name not in used and not kind.may_ignore(name)]
    if unused:
        raise WeightsError(
            f"{path}: {len(unused)} tensors are not known ({', '.join(unused[:3])}); the file is of a variant that is not "
            "supported."
        )
    vae = _filled(kind, config, state, files)
    kind.adapt(vae.module, files.metadata)
    return vae


def _filled(kind: type[VAE], config: dict, state: dict[str, Tensor], files: WeightFiles) -> VAE:
    with configured(files.name), on_meta():
        module = kind.build_module(config)
    fill_module(module, state, files.name)
    return kind(module, files.identity())
