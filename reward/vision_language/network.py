"""A Qwen-VL network of transformers, from a local folder: its weights are read one tensor at a time.

So a 7B model in 4 bits never takes more main memory than it has in 4 bits and one tensor, and every weight that is missing,
left over, of another shape or not finite is an error. The names in files of different transformers versions are taken as
one (``network_name``).
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...backbones.devices import check_dtype, chosen_device
from ...backbones.meta_device import on_meta
from ...backbones.pretrained_folder import folder_config, refuse_code
from ...backbones.weight_files import WeightFiles, configured, open_weights
from ...errors import CheckpointError, WeightsError
from ...files.json_text import parse_object
from ..checkpoint_weights import network_name
from ..loading import DTYPES, locate
from ..reward_tokenizer import read_tokenizer
from .chat_text import IMAGE_TOKEN, VIDEO_TOKEN, ChatText
from .family import VisionLanguageFamily
from .precision import check_bits, in_fewer_bits

_BLOCK = re.compile(r"language_model\.layers\.\d+")
_HEAD = "lm_head.weight"
_EMBEDDING = "language_model.embed_tokens.weight"


@dataclass(frozen=True)
class VisionLanguageModel:
    """A loaded network with what belongs to it.

    Attributes:
        network: transformers' ``...ForConditionalGeneration``, without gradients.
        family: which one it is.
        text: its tokenizer.
        repetition_penalty: of its ``generation_config.json``; 1.0: none.
        dtype: of the arithmetic.
        fingerprint: what a stored mark depends on of all this, JSON-ready.
    """

    network: nn.Module
    family: VisionLanguageFamily
    text: ChatText
    repetition_penalty: float
    dtype: torch.dtype
    fingerprint: dict

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def arguments(self) -> frozenset[str]:
        """What the network's forward takes: it differs between versions of transformers."""
        return frozenset(inspect.signature(type(self.network).forward).parameters)

    @property
    def vision_config(self) -> Any:
        """Configuration of the vision tower."""
        config: Any = self.network.config
        return config.vision_config

    @property
    def text_config(self) -> Any:
        """Configuration of the language half."""
        config: Any = self.network.config
        return getattr(config, "text_config", config)


def load_vision_language(
    source: str | Path,
    families: tuple[VisionLanguageFamily, ...],
    wanted: str,
    *,
    dtype: str = "auto",
    bits: str = "auto",
    device: str | None = None,
    allow_download: bool = False,
) -> VisionLanguageModel:
    """Load a model, ready to answer.

    Args:
        source: a folder as transformers saves it, the name of one in ComfyUI's ``models/reward_models``, or a hub repository.
        families: those that may stand in the folder.
        wanted: what people should give, for messages.
        dtype: auto: that of most of the weights.
        bits: see ``precision.Bits``; of the linear layers of the language half.
        device: the accelerator when there is one, else the CPU, by default.
        allow_download: permit the hub; without it only its local cache is looked at.

    Raises:
        CheckpointError: it cannot be found, is of another kind, or is damaged.
        VideoAlignError: 4 bits without bitsandbytes, or a type that the device does not have.
    """
    check_bits(bits)
    where = chosen_device(device)
    folder = locate(source, allow_download)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} has no config.json. Give the folder of {wanted}, with all of its files.")
    try:
        config = folder_config(folder)
        refuse_code(config, str(folder / "config.json"))
        family = _family_of(config, families, folder, wanted)
        files = open_weights(folder, "model")
        kind = DTYPES.get(dtype) or _most_common(files)
        check_dtype(where, kind, family.title)
        text = _text_of(folder, config)
        network = build_network(config, files, kind, bits, where)
    except WeightsError as error:
        raise CheckpointError(f"{error} The judge needs {wanted}.") from error
    fingerprint = {"model": files.identity(), "dtype": str(kind).removeprefix("torch."), "weights": bits}
    return VisionLanguageModel(network, family, text, _repetition_penalty(folder), kind, fingerprint)


def build_network(config: dict, files: WeightFiles, dtype: torch.dtype, bits: str, device: torch.device) -> nn.Module:
    """transformers' network for ``config`` with the weights of ``files``.

    Raises:
        WeightsError: the configuration or the weights are damaged, or do not belong together.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    with configured(files.name), torch.inference_mode(False):
        kind = config["model_type"]
        values = {key: value for key, value in config.items() if key != "model_type"}
        with on_meta():
            network = AutoModelForImageTextToText.from_config(
                AutoConfig.for_model(kind, **values), attn_implementation="sdpa"
            )
        _with_tables(network, device)
        fill(network, files, dtype, device, bits)
    return network.requires_grad_(False).eval()


def fill(
    network: nn.Module,
    files: WeightFiles,
    dtype: torch.dtype,
    device: torch.device,
    bits: str,
    exact: tuple[str, ...] = (),
) -> None:
    """Give a network on the meta device its weights; blocks of the language half go to ``bits`` one by one.

    Args:
        exact: weights whose names begin so are kept in float32.

    Raises:
        WeightsError: a weight is missing, left over, of another shape, or not finite.
    """
    places = {network_name(name): name for name, _ in network.named_parameters(remove_duplicate=False)}
    sources = {network_name(name): name for name in files.shapes}
    shapes = {name: tuple(network.get_parameter(place).shape) for name, place in places.items()}
    tied = _HEAD in places and network.get_parameter(places[_HEAD]) is network.get_parameter(places[_EMBEDDING])
    if tied and _EMBEDDING in sources:
        sources[_HEAD] = sources[_EMBEDDING]
    missing, extra = sorted(places.keys() - sources.keys()), sorted(sources.keys() - places.keys() - {_HEAD})
    if missing or extra:
        found = f"{len(missing)} weights are missing ({', '.join(missing[:3])})" if missing else ""
        left = f"{len(extra)} do not belong to its configuration ({', '.join(extra[:3])})" if extra else ""
        raise WeightsError(f"{files.name}: {' and '.join(filter(None, (found, left)))}. Download it again.")
    embedding: nn.Parameter | None = None
    for name, place in sorted(places.items(), key=lambda pair: (_block_of(pair[0]) or "", pair[0])):
        source = sources[name]
        if tuple(files.shapes[source]) != shapes[name]:
            raise WeightsError(
                f"{files.name}: {source} has shape {list(files.shapes[source])}, its configuration asks for {list(shapes[name])}. "
                "The files are of different models."
            )
        if source == sources[_EMBEDDING] and embedding is not None:
            weight = embedding
        else:
            weight = nn.Parameter(
                files.read(source, torch.float32 if name.startswith(exact) else dtype).to(device), requires_grad=False
            )
        embedding = weight if source == sources[_EMBEDDING] else embedding
        owner, _, leaf = place.rpartition(".")
        setattr(network.get_submodule(owner), leaf, weight)
        block = _block_of(name)
        if block is not None and not any(weight.is_meta for weight in _block(network, places, block).parameters()):
            in_fewer_bits(_block(network, places, block), bits)


def _block_of(name: str) -> str | None:
    match = _BLOCK.match(name)
    return match[0] if match else None


def _block(network: nn.Module, places: dict[str, str], block: str) -> nn.Module:
    """The language half's block of that name, whatever this version of transformers calls its path."""
    inside = next(place for name, place in places.items() if name.startswith(block + "."))
    number = block.rpartition(".")[2]
    return network.get_submodule(inside[: inside.index(f"layers.{number}.") + len(f"layers.{number}")])


def _with_tables(network: nn.Module, device: torch.device) -> None:
    """Make the tables of rotary frequencies, which are in no file, in float32 as transformers does."""
    for name, module in list(network.named_modules()):
        if not any(buffer.is_meta for buffer in module.buffers(recurse=False)):
            continue
        config = getattr(module, "config", None)
        # Older vision towers take half of their table's length twice.
        fresh = type(module)(config) if config is not None else type(module)(2 * module.inv_freq.numel())
        owner, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(owner), leaf, fresh.to(device))


def _family_of(
    config: dict, families: tuple[VisionLanguageFamily, ...], folder: Path, wanted: str
) -> VisionLanguageFamily:
    import transformers
    from packaging.version import Version

    kind = config.get("model_type")
    for family in families:
        if family.model_type != kind:
            continue
        if Version(transformers.__version__) < Version(family.since):
            raise CheckpointError(
                f"{family.title} needs transformers {family.since} or newer; here is {transformers.__version__}. Update it: "
                f"pip install 'transformers>={family.since}'."
            )
        return family
    titles = " or ".join(family.title for family in families)
    raise CheckpointError(f"{folder} holds a model of the kind {kind!r}, not {titles}. Give the folder of {wanted}.")


def _text_of(folder: Path, config: dict) -> ChatText:
    tokenizer = read_tokenizer(folder)
    if tokenizer is None:
        raise CheckpointError(f"{folder} has no tokenizer.json (or vocab.json and merges.txt). Download it whole.")
    text = ChatText(tokenizer)
    for key, token in (("image_token_id", IMAGE_TOKEN), ("video_token_id", VIDEO_TOKEN)):
        if config.get(key, text.id_of(token)) != text.id_of(token):
            raise CheckpointError(
                f"{folder}: {token} is token {text.id_of(token)} of its tokenizer and {config[key]} of its configuration; the files "
                "are of different models. Download it again."
            )
    return text


def _most_common(files: WeightFiles) -> torch.dtype:
    """The type of most weights; float32 arithmetic for types that nothing is computed in."""
    kinds = {"BF16": torch.bfloat16, "F16": torch.float16}
    sizes: dict[str, int] = {}
    for name, shape in files.shapes.items():
        sizes[files.types[name]] = sizes.get(files.types[name], 0) + torch.Size(shape).numel()
    most = max(sizes, key=lambda kind: sizes[kind])
    return torch.bfloat16 if most.startswith("F8") else kinds.get(most, torch.float32)


def _repetition_penalty(folder: Path) -> float:
    """What transformers' ``generate`` would use: that of ``generation_config.json``, 1.0 without one.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / "generation_config.json"
    if not path.is_file():
        return 1.0
    try:
        penalty = float(parse_object(path.read_text(encoding="utf-8")).get("repetition_penalty") or 1.0)
        if not 0 < penalty < 100:
            raise ValueError(f"repetition_penalty is {penalty}")
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}). Download it again.") from None
    return penalty
