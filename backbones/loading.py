"""Load a backbone from a ComfyUI single file or a diffusers folder, whole or its first blocks; or build one at random."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import VideoAlignError, WeightsError
from ..files.json_text import parse_json
from .backbone import Backbone
from .families import backbone_classes, family_names
from .meta_device import on_meta
from .weight_files import WeightFiles, configured, fill_module, open_weights

MOST_BLOCKS = 1000
_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.model.", "net.")
_OTHER_PARTS = ("vae.", "text_encoders.", "first_stage_model.", "cond_stage_model.", "conditioner.", "model_ema.")
_FLOAT_TYPES = {"F64": torch.float32, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def load_backbone(
    path: Path | str,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    num_blocks: int | None = None,
) -> Backbone:
    """A backbone with its weights, frozen, in evaluation mode; its tensors are ordinary ones also under inference mode.

    Args:
        path: a ComfyUI file (.safetensors: fp32, fp16, bf16, fp8, scaled fp8; a checkpoint with other parts too), or a
            diffusers folder, the model's or its ``transformer``'s.
        dtype: of the weights; the file's by default, bfloat16 for fp8 files. What diffusers keeps in float32 stays so.
        device: where to put it.
        num_blocks: build and read only the first so many blocks; the result has features, but no velocity.

    Raises:
        WeightsError: the file is missing, damaged, incomplete, of an unknown family or an unsupported variant; the message
            names it and the reason.
        VideoAlignError: ``num_blocks`` is out of range.
    """
    path = Path(path)
    with torch.inference_mode(False):
        source = _open_folder(path) if path.is_dir() else _open_file(path)
        kind, config = source.kind, source.config
        total = _block_count(source)
        with configured(source.files.name), on_meta():
            config = kind.truncated(config, num_blocks)
            module = kind.build_module(config)
        dtype = dtype or _stored_type(source)
        state = source.state(module, config, dtype, device)
        fill_module(module, state, source.files.name)
        module.to(device)  # what is computed, not read: the positions' tables
        sampling = kind.sampling_of(config).overridden(source.files.metadata, source.files.name)
        return kind(module, config, sampling, total)


def describe_backbone(path: Path | str, whole: bool = False, num_blocks: int = 1) -> Backbone:
    """A backbone without weights, to ask what it needs before anything big is loaded, on the meta device.

    Args:
        whole: all of its blocks, in the place of its first ``num_blocks``.

    Raises:
        WeightsError: as ``load_backbone``; tensors are not read.
    """
    path = Path(path)
    with torch.inference_mode(False):
        source = _open_folder(path) if path.is_dir() else _open_file(path)
        kind, total = source.kind, _block_count(source)
        with configured(source.files.name), on_meta():
            config = source.config if whole else kind.truncated(source.config, num_blocks)
            module = kind.build_module(config)
        store_as(module, _stored_type(source))
        sampling = kind.sampling_of(config).overridden(source.files.metadata, source.files.name)
        return kind(module, config, sampling, total)


def store_as(module: torch.nn.Module, dtype: torch.dtype) -> None:
    """Convert parameters as ``load_backbone`` stores them: what diffusers keeps in float32 stays so."""
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, weight in module.named_parameters():
        weight.data = weight.data.to(torch.float32 if kept.intersection(name.split(".")) else dtype)


def _block_count(source: _Source) -> int:
    """Blocks that the configuration tells; a number that no model has is refused before they are built."""
    with configured(source.files.name):
        total = source.kind.count_blocks(source.config)
        if not isinstance(total, int) or not 0 < total <= MOST_BLOCKS:
            raise ValueError(f"{total} blocks")
    return total


def build_backbone(name: str, config: Mapping[str, Any], num_blocks: int | None = None) -> Backbone:
    """A backbone of a family, by its name (``wan``), with random float32 weights.

    Args:
        config: of the diffusers class, as ``Backbone.config`` has it.
        num_blocks: build only the first so many blocks.

    Raises:
        VideoAlignError: an unknown family, or ``num_blocks`` is out of range.
    """
    families = backbone_classes()
    if name not in families:
        raise VideoAlignError(f"There is no backbone '{name}'; known are {', '.join(families)}.")
    kind = families[name]
    with torch.inference_mode(False):
        whole = kind.with_defaults(config)
        built = kind.truncated(whole, num_blocks)
        return kind(kind.build_module(built), built, total_blocks=kind.count_blocks(whole))


class _Source:
    """An opened checkpoint: its backbone's class, its config, and where the file has its tensors.

    Attributes:
        names: name in the family's original naming (single file) or diffusers' (folder) -> name in the file.
    """

    def __init__(
        self, files: WeightFiles, names: dict[str, str], kind: type[Backbone], config: dict, original: bool
    ) -> None:
        self.files, self.names, self.kind, self.config, self.original = files, names, kind, config, original

    def state(
        self, module: torch.nn.Module, config: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str
    ) -> dict[str, torch.Tensor]:
        """The module's tensors. Whatever the file has for the built blocks must be used."""
        state, used = {}, set()
        self._fused: dict[str, torch.Tensor] = {}
        fp32 = set(getattr(module, "_keep_in_fp32_modules", None) or ())
        for key in module.state_dict():
            pieces = []
            for name, rows in self._original_rows(key, config):
                if name not in self.names:
                    break  # fill_module says what is missing
                used.add(name)
                pieces.append(self._read(name, rows))
            else:
                tensor = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
                kept = torch.float32 if fp32.intersection(key.split(".")) else dtype
                # A copy of its own: no view of a fused tensor, whatever the types are.
                state[key] = tensor.to(device, kept, copy=tensor.untyped_storage().nbytes() != tensor.nbytes)
        self._fused.clear()
        left = [name for name in self.names if name not in used and not self._may_be_left(name, config)]
        if left:
            raise WeightsError(
                f"{self.files.name}: {len(left)} tensors of this {self.kind.family.name} checkpoint are not known "
                f"({', '.join(sorted(left)[:3])}{', ...' if len(left) > 3 else ''}); it is of a variant that is not supported."
            )
        return state

    def _read(self, name: str, rows: tuple[int, int] | None) -> torch.Tensor:
        if rows is None:
            return self.files.read(self.names[name])
        if name not in self._fused:  # its parts follow one another: a few are enough
            if len(self._fused) == 3:
                del self._fused[next(iter(self._fused))]
            self._fused[name] = self.files.read(self.names[name])
        return self._fused[name][slice(*rows)]

    def _original_rows(self, key: str, config: Mapping[str, Any]):
        if not self.original:
            return [(key, None)]
        module, _, leaf = key.rpartition(".")
        if leaf in ("weight", "bias"):
            return [(f"{name}.{leaf}", rows) for name, rows in self.kind.original_rows(module, config)]
        return self.kind.original_rows(key, config)

    def _may_be_left(self, name: str, config: Mapping[str, Any]) -> bool:
        """A block that was not asked for; or what the network leaves unread."""
        for attribute, count in self.kind.block_lists.items():
            list_name = self.kind.original_rows(attribute, self.config)[0][0] if self.original else attribute
            match = re.match(rf"{re.escape(list_name)}\.(\d+)\.", name)
            if match and config[count] <= int(match[1]) < self.config[count]:
                return True
        return re.search(self.kind.ignored, name) is not None


def _open_file(path: Path) -> _Source:
    files = open_weights(path)
    prefix = next((prefix for prefix in _PREFIXES if any(key.startswith(prefix) for key in files.shapes)), "")
    kept = {key[len(prefix):]: key for key in files.shapes if key.startswith(prefix)}  # fmt: skip
    if not prefix:
        kept = {name: key for name, key in kept.items() if not name.startswith(_OTHER_PARTS)}
    shapes = {name: files.shapes[key] for name, key in kept.items()}
    kind = next((known for known in backbone_classes().values() if known.recognises(shapes)), None)
    if kind is None:
        raise WeightsError(f"{files.name}: {_what_else(shapes)} Supported are {', '.join(family_names())} networks.")
    names = {kind.original_name(name): key for name, key in kept.items()}
    shapes = {name: files.shapes[key] for name, key in names.items()}
    try:
        config = kind.config_from(shapes, files.metadata)
        kind.latent_format_of(config)
    except WeightsError as error:
        raise WeightsError(f"{files.name}: {error}") from None
    except ValueError as error:
        raise WeightsError(f"{files.name}: its metadata cannot be understood ({error}).") from None
    except KeyError as error:
        raise WeightsError(
            f"{files.name}: it looks like a {kind.family.name} network, but tensor {error} is missing; the file is incomplete."
        ) from None
    return _Source(files, names, kind, config, original=True)


def _what_else(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """A guess at what a file is, when it is no known network."""
    if any(".lora_" in key for key in shapes):
        return "this is a LoRA, not a model."
    if any(key.startswith(("condition_embedder.", "time_text_embed.", "time_embed.emb.")) for key in shapes):
        return "its tensors have diffusers' names. Give the folder that it belongs to, with config.json."
    if any(key.startswith(("decoder.", "encoder.")) for key in shapes):
        return "this looks like a VAE or a text encoder, not a diffusion network."
    return f"no known network has its tensors (the first are {', '.join(list(shapes)[:3]) or 'none'})."


def _open_folder(path: Path) -> _Source:
    folder = path if (path / "config.json").is_file() else path / "transformer"
    if not (folder / "config.json").is_file():
        raise WeightsError(
            f"{path} is not a diffusers model: neither it nor its folder transformer has a config.json. "
            "Give a model folder, its transformer folder, or a .safetensors file."
        )
    try:
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        class_name = config.get("_class_name")
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{folder / 'config.json'} is not a diffusers config ({error}).") from None
    families = {backbone.diffusers_class: backbone for backbone in backbone_classes().values()}
    kind = families.get(class_name)
    if kind is None:
        known = ", ".join(families)
        raise WeightsError(f"{folder / 'config.json'} is of a {class_name}; supported are {known}.")
    files = open_weights(folder)
    index = folder.parent / "model_index.json"
    try:
        pipeline = parse_json(index.read_text(encoding="utf-8")).get("_class_name", "") if index.is_file() else ""
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{index} is damaged ({error}). Download it again.") from None
    described = {key: value for key, value in config.items() if not key.startswith("_")}
    config = kind.config_of_pipeline(pipeline) | described
    config = kind.with_defaults(config)
    try:
        kind.latent_format_of(config)
    except WeightsError as error:
        raise WeightsError(f"{folder / 'config.json'}: {error}") from None
    return _Source(files, {key: key for key in files.shapes}, kind, config, original=False)


def _stored_type(source: _Source) -> torch.dtype:
    """The type of most of the elements; fp8 and whatever else is packed count as bfloat16."""
    counts: dict[torch.dtype, int] = {}
    for key in source.names.values():
        dtype = _FLOAT_TYPES.get(source.files.types[key], torch.bfloat16)
        counts[dtype] = counts.get(dtype, 0) + torch.Size(source.files.shapes[key]).numel()
    return max(counts, key=counts.__getitem__)
