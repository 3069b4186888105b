"""HPSv3's network: Qwen2-VL as in VideoReward, with another head and one token at which it is read (arXiv 2508.03789).

Format of the public file (``HPSv3.safetensors``, MizzenAI/HPSv3): all weights of Qwen2-VL-7B under the names of transformers
before 4.52, the embedding one row longer than the tokenizer for ``<|Reward|>``, and ``rm_head.{0,3,5}``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..backbones.devices import check_dtype, chosen_device
from ..backbones.meta_device import on_meta
from ..backbones.pretrained_folder import folder_config, refuse_code
from ..backbones.weight_files import WeightFiles, configured, open_weights
from ..errors import CheckpointError, WeightsError
from .checkpoint_files import download
from .checkpoint_weights import network_name
from .loading import DTYPES, locate
from .network_config import config_from_shapes
from .qwen2vl_network import Qwen2VLRewardNetwork
from .reward_tokenizer import read_tokenizer
from .vision_language.chat_text import ChatText
from .vision_language.network import fill
from .vision_language.precision import check_bits

REWARD_TOKEN = "<|Reward|>"
WANTED = "MizzenAI/HPSv3 (HPSv3.safetensors)"
BASE = "Qwen/Qwen2-VL-7B-Instruct"
PUBLIC_FILE = "HPSv3.safetensors"
_HEAD_SIZES = (1024, 16)


class Hpsv3Network(Qwen2VLRewardNetwork):
    """Qwen2-VL whose head makes mu and sigma of a hidden state, in float32."""

    def __init__(self, config: dict, vocabulary: int) -> None:
        super().__init__(config, vocabulary, 2)
        wide, narrow = _HEAD_SIZES
        hidden = self.rm_head.in_features
        # The dropout of training keeps its place: the public file counts it.
        self.rm_head = nn.Sequential(  # type: ignore[assignment]
            nn.Linear(hidden, wide),
            nn.ReLU(),
            nn.Dropout(0.05),
            nn.Linear(wide, narrow),
            nn.ReLU(),
            nn.Linear(narrow, 2),
        )

    def rewards(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states [..., hidden] at the reward token -> float32 [..., 2]: mu and sigma."""
        return self.rm_head(hidden.float())


def load_hpsv3(
    source: str | Path,
    *,
    base: Path | None = None,
    dtype: str = "auto",
    bits: str = "auto",
    device: str | None = None,
    allow_download: bool = False,
) -> tuple[Hpsv3Network, ChatText, dict]:
    """Load the network.

    Args:
        source: ``HPSv3.safetensors``; a folder with it, or with ``model.safetensors`` or its shards; a name in ComfyUI's
            ``models/reward_models``; or a hub repository.
        base: folder with Qwen2-VL's tokenizer, where there is none beside the weights.
        dtype, bits, device, allow_download: as of ``load_vision_language``.

    Returns:
        the network, its tokenizer, and what a stored mark depends on.

    Raises:
        CheckpointError: the weights or the tokenizer cannot be found, do not fit each other, or are damaged.
        VideoAlignError: 4 bits without bitsandbytes, or a type that the device does not have.
    """
    check_bits(bits)
    where = chosen_device(device)
    path = locate(source, allow_download)
    folder = path if path.is_dir() else path.parent
    try:
        files = open_weights(folder / PUBLIC_FILE if (path / PUBLIC_FILE).is_file() else path, "model")
        text = _text_beside(folder, base, allow_download)
        kind = DTYPES.get(dtype, torch.bfloat16)
        check_dtype(where, kind, "HPSv3")
        _check_is_hpsv3(files, len(text))
        network = _build(_config(folder, base, files), files, text, kind, bits, where)
    except WeightsError as error:
        raise CheckpointError(f"{error} The judge hpsv3 needs {WANTED}.") from error
    return network, text, {"model": files.identity(), "dtype": str(kind).removeprefix("torch."), "weights": bits}


def _build(
    config: dict, files: WeightFiles, text: ChatText, dtype: torch.dtype, bits: str, device: torch.device
) -> Hpsv3Network:
    with configured(files.name), torch.inference_mode(False):
        with on_meta():
            network = Hpsv3Network(config, len(text))
        fill(network, files, dtype, device, bits, exact=("rm_head.",))
        # The official inference casts the whole network, and with it these tables, to bfloat16.
        network.set_rotary_precision(torch.bfloat16, device)
    network.requires_grad_(False).eval()
    return network


def _check_is_hpsv3(files: WeightFiles, vocabulary: int) -> None:
    shapes = {network_name(name): shape for name, shape in files.shapes.items()}
    if "rm_head.5.weight" not in shapes or "language_model.embed_tokens.weight" not in shapes:
        raise CheckpointError(
            f"{files.name} is not HPSv3: its head rm_head.0, 3, 5 is missing. Give the file of {WANTED}."
        )
    rows = shapes["language_model.embed_tokens.weight"][0]
    if rows != vocabulary:
        raise CheckpointError(
            f"{files.name} has {rows} token embeddings, the tokenizer {vocabulary} tokens with {REWARD_TOKEN}: it is another one than "
            f"that of {BASE}. Give the right folder with --base."
        )


def _config(folder: Path, base: Path | None, files: WeightFiles) -> dict:
    """The ``config.json`` beside the weights or of the base; else that of a released Qwen2-VL of their shapes."""
    for place in filter(None, (folder, base)):
        if (place / "config.json").is_file():
            config = folder_config(place)
            refuse_code(config, str(place / "config.json"))
            if config.get("model_type") == "qwen2_vl":
                return config
    return config_from_shapes({network_name(name): tuple(shape) for name, shape in files.shapes.items()})


def _text_beside(folder: Path, base: Path | None, allow_download: bool) -> ChatText:
    for place in filter(None, (base, folder)):
        tokenizer = read_tokenizer(place)
        if tokenizer is not None:
            return ChatText(tokenizer, (REWARD_TOKEN,))
    fetched = None if base else download(BASE, allow_download, weights=False)
    tokenizer = None if fetched is None else read_tokenizer(fetched)
    if tokenizer is None:
        raise CheckpointError(
            f"{base or folder} has no tokenizer. Put tokenizer.json of {BASE} beside the weights, or give its folder with --base."
        )
    return ChatText(tokenizer, (REWARD_TOKEN,))
