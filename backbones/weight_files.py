"""The tensors of a safetensors file, or of a folder's shards, read one at a time and made ordinary.

ComfyUI's fp8 files are understood: plain float8 tensors, and scaled ones in both of its forms (`<module>.scale_weight`,
and `<module>.weight_scale` with a `<module>.comfy_quant` note or one in the metadata). So are its NVFP4 files (`nvfp4.py`). What is read is always
an ordinary tensor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from ..errors import VideoAlignError, WeightsError
from ..files.digests import sampled_digest
from ..files.finite import is_finite
from ..files.json_text import parse_json, parse_object
from ..files.safetensors_header import read_header
from ..files.tensor_file import check_finite
from .nvfp4 import from_nvfp4

_SCALES = (".scale_weight", ".weight_scale")
_OF_ALL = ".weight_scale_2"  # NVFP4's
_NOTES = ("scaled_fp8", ".comfy_quant", ".scale_input", ".input_scale", _OF_ALL)
_FLOAT8 = {"float8_e4m3fn": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2}
_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "U8": torch.uint8,
    "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
}  # fmt: skip


class WeightFiles:
    """Names, shapes and tensors of one or several safetensors files.

    Attributes:
        name: what error messages call it.
        shapes: shape of each tensor by its name, as ``read`` gives it; the scales and notes of fp8 and fp4 files are left out.
        types: stored type of each tensor as safetensors names it (``BF16``, ``F8_E4M3``, ...).
        metadata: of the (first) file.

    Raises:
        WeightsError: a file is missing, empty, truncated, or not a safetensors file.
    """

    def __init__(self, paths: Iterable[Path | str], name: str | None = None):
        self.paths = [Path(path) for path in paths]
        self.name = name or str(self.paths[0])
        self.metadata: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._byte_ranges: dict[str, tuple[Path, int, int]] = {}  # the file, and the bytes [start, stop) in it
        for path in self.paths:
            header = read_header(path, WeightsError)
            self.metadata = self.metadata or header.metadata
            for key, entry in header.entries.items():
                if key in self._byte_ranges:
                    raise WeightsError(
                        f"{self.name}: '{key}' is in {self._byte_ranges[key][0].name} and in {path.name}; files of several downloads are "
                        "mixed. Download the folder again."
                    )
                self._byte_ranges[key] = (path, entry.start, entry.stop)
                self._shapes[key], self.types[key] = entry.shape, entry.dtype
        self.shapes = {
            key: (shape[0], 2 * shape[1]) if self._is_nvfp4(key) else shape
            for key, shape in self._shapes.items()
            if not key.endswith((*_SCALES, *_NOTES))
        }

    def read(self, name: str, dtype: torch.dtype | None = None) -> torch.Tensor:
        """One tensor, multiplied by its scales where it has some, in ``dtype`` (as stored if None; fp8 and fp4 as float32).

        Raises:
            WeightsError: it is not in the file, quantised in a form that is not supported, or not finite.
        """
        if name not in self.shapes:
            raise WeightsError(f"{self.name}: tensor '{name}' is missing; the file is incomplete or of another model.")
        tensor = self._stored(name)
        if self._is_nvfp4(name):
            return self._from_nvfp4(name, tensor).to(dtype or torch.float32)
        scale = self._scale_of(name)
        if scale is not None and tensor.dtype == torch.uint8:  # older files hold the bytes
            tensor = tensor.view(_FLOAT8[self._form_of(name.rpartition(".")[0]) or "float8_e4m3fn"])
            check_finite(self.name, {name: tensor}, WeightsError)
        if scale is not None:
            if scale.numel() != 1 and (tensor.ndim == 0 or scale.numel() != len(tensor)):
                raise WeightsError(
                    f"{self.name}: the fp8 scale of '{name}' has {scale.numel()} numbers for a weight of {list(tensor.shape)}; the file "
                    "is damaged or of a form that is not supported."
                )
            tensor = tensor.float() * scale.float().reshape(-1, *[1] * (tensor.ndim - 1) if scale.numel() > 1 else ())
        elif tensor.dtype.itemsize == 1 and tensor.is_floating_point():
            tensor = tensor.float()
        return tensor if dtype is None or not tensor.is_floating_point() else tensor.to(dtype)

    def _is_nvfp4(self, name: str) -> bool:
        """Two numbers a byte; no other form has a second scale."""
        module, _, kind = name.rpartition(".")
        return (
            kind == "weight"
            and module + _OF_ALL in self._byte_ranges
            and self.types[name] == "U8"
            and len(self._shapes[name]) == 2
        )

    def _from_nvfp4(self, name: str, values: torch.Tensor) -> torch.Tensor:
        module = name.rpartition(".")[0]
        try:
            return from_nvfp4(values, self._stored(f"{module}.weight_scale"), self._stored(module + _OF_ALL))
        except (KeyError, ValueError) as error:
            raise WeightsError(
                f"{self.name}: the fp4 scales of '{name}' do not fit it ({error}); the file is damaged or of a form that is not supported."
            ) from None

    def _scale_of(self, name: str) -> torch.Tensor | None:
        module, _, kind = name.rpartition(".")
        if kind != "weight":
            return None
        form = self._form_of(module)
        if form is not None and form not in _FLOAT8:
            raise WeightsError(
                f"{self.name}: '{name}' is quantised as '{form}'; only {', '.join(_FLOAT8)} and nvfp4 (with its scales) can be read. "
                "Use the fp16, bf16 or fp8 file of this model."
            )
        return next((self._stored(module + scale) for scale in _SCALES if module + scale in self._byte_ranges), None)

    def _form_of(self, module: str) -> str | None:
        """The quantisation that ComfyUI's notes tell for a layer: beside its weight, or in the file's metadata."""
        note = f"{module}.comfy_quant"
        try:
            if note in self._byte_ranges:
                return parse_object(bytes(self._stored(note).tolist()).decode()).get("format")
            if "_quantization_metadata" not in self.metadata:
                return None
            layers = parse_object(self.metadata["_quantization_metadata"]).get("layers", {})
            return layers.get(module, {}).get("format")
        except (ValueError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{self.name}: what it says about how '{module}' is quantised cannot be read ({error}); the file is damaged. Download it again."
            ) from None

    def _stored(self, name: str) -> torch.Tensor:
        # Read, not mapped: a map of a whole 28 GB file is refused where memory is short, and dies with a file that changes.
        path, start, stop = self._byte_ranges[name]
        kind = self.types[name]
        if kind not in _TYPES:
            raise WeightsError(f"{self.name}: '{name}' is stored as {kind}; known are {', '.join(_TYPES)}.")
        with torch.inference_mode(False):
            stored = torch.empty(stop - start, dtype=torch.uint8)
            with open(path, "rb") as file:
                file.seek(start)
                read = file.readinto(memoryview(stored.numpy())) if stop > start else 0
            if read != stop - start:
                raise WeightsError(f"{path} ended in the middle of '{name}'; did it change meanwhile? Load it again.")
            if not is_finite(stored.numpy(), kind):
                raise WeightsError(
                    f"{path}: '{name}' holds values that are not finite (NaN or infinite); what is made with it would be black. "
                    "The file is damaged or was converted wrongly: get it again, or use another one."
                )
            return stored.view(_TYPES[kind]).reshape(self._shapes[name])

    def identity(self) -> str:
        """``sampled_digest`` of the files: for cache keys."""
        return sampled_digest(self.paths)


def open_weights(path: Path | str, stem: str = "diffusion_pytorch_model") -> WeightFiles:
    """A single file, or a folder in the layout of diffusers or transformers: ``stem``.safetensors or its shards.

    Raises:
        WeightsError: there is nothing of the kind at ``path``.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix not in (".safetensors", ".sft"):
            raise WeightsError(f"{path} is not a .safetensors file; only those are read. Convert it first.")
        return WeightFiles([path])
    if not path.is_dir():
        what = "is no file but a pipe or a device" if path.exists() else "does not exist"
        raise WeightsError(f"{path} {what}. Give a .safetensors file or a model folder.")
    if (path / f"{stem}.safetensors").is_file():
        return WeightFiles([path / f"{stem}.safetensors"], str(path))
    index = path / f"{stem}.safetensors.index.json"
    if index.is_file():
        return _shards(path, index)
    raise WeightsError(f"{path}: there is neither {stem}.safetensors nor {stem}.safetensors.index.json in this folder.")


def _shards(path: Path, index: Path) -> WeightFiles:
    """The files that an index lists.

    Raises:
        WeightsError: the index is damaged, names files outside of the folder, or tensors that are not there.
    """
    try:
        places = parse_json(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(places.values()))
        if not shards or any(Path(shard).name != shard for shard in shards):
            raise ValueError("it lists no files of this folder")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(f"{index} is no index of a model's files ({error}). Download it again.") from None
    files = WeightFiles([path / shard for shard in shards], str(path))
    missing = sorted(places.keys() - files.types.keys())
    if missing:
        raise WeightsError(
            f"{path}: {len(missing)} tensors that {index.name} lists are in none of its files ({', '.join(missing[:3])}); the folder "
            "is incomplete. Download it again."
        )
    return files


@contextlib.contextmanager
def configured(name: str) -> Iterator[None]:
    """Around what is built from a configuration that a file tells.

    Raises:
        WeightsError: the configuration is not one: a text where a number belongs, a width of 0.
    """
    try:
        yield
    except VideoAlignError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError, LookupError, ArithmeticError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{name} is damaged, or of a variant that is not supported: its configuration fails ({reason})."
        ) from error


def fill_module(module: torch.nn.Module, state: dict[str, torch.Tensor], name: str) -> None:
    """Give a module that was built on the meta device its tensors; they belong to it from then on.

    Raises:
        WeightsError: a tensor is missing, left over, or of another shape than the module's.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    missing, unused = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unused:
        parts = [f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
                 for keys, what in ((missing, "tensors are missing"), (unused, "are not known")) if keys]  # fmt: skip
        raise WeightsError(f"{name}: {' and '.join(parts)}; the file is damaged or of a variant that is not supported.")
    for key, tensor in state.items():
        if tuple(tensor.shape) != expected[key]:
            raise WeightsError(
                f"{name}: '{key}' has shape {list(tensor.shape)}; expected {list(expected[key])}. "
                "The file is of a variant that is not supported."
            )
    module.load_state_dict(state, assign=True)
    module.requires_grad_(False)
