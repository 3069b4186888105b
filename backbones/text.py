"""Text encoders: prompts to what a video model is conditioned on, each family's as its authors and ComfyUI do it.

    umt5-xxl                Wan             512 tokens, zeros after the prompt's own
    T5-XXL                  LTX-Video       the prompt's own tokens
    LLaVA-LLaMA and CLIP-L  HunyuanVideo    LLaMA's tokens behind a fixed instruction, and CLIP's pooled vector
    micro                   micro model     one token a word

Tokenizers come from the file or from a local folder, never from a hub.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from .micro_text import MicroTextEncoder

MICRO = "micro"


class TextEncoder(ABC):
    """Encodes prompts; a subclass a family.

    Attributes:
        identity: names everything that the result depends on, for cache keys.
    """

    identity: str

    @abstractmethod
    def encode(self, prompts: Sequence[str]) -> list[dict[str, Tensor]]:
        """One unbatched conditioning a prompt (see conditioning.py), on the CPU; an empty prompt is allowed."""


def load_text_encoder(
    path: Path | str,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    tokenizer: Path | str | None = None,
) -> TextEncoder | MicroTextEncoder:
    """Load a text encoder.

    Args:
        path: "micro"; a ComfyUI file of umt5 or T5 (.safetensors, also fp8 and scaled fp8); or a diffusers folder, the
            pipeline's or its ``text_encoder`` (its tokenizer folders beside it).
        dtype: of the weights and of the arithmetic; bfloat16 by default.
        tokenizer: folder with tokenizer.json or spiece.model, for files that carry none (T5-XXL). Without it, folders
            beside the file and ComfyUI's own are looked into.

    Raises:
        WeightsError: nothing there, damaged, of another family, or without a tokenizer; the message says what to give.
    """
    if str(path) == MICRO:
        return MicroTextEncoder()
    dtype = dtype or torch.bfloat16
    with torch.inference_mode(False), torch.no_grad():
        if Path(path).is_dir():
            return _family(path).from_folder(Path(path), dtype, device)
        from .text_t5 import T5TextEncoder

        return T5TextEncoder.from_file(path, dtype, device, tokenizer)


def text_identity(path: Path | str, dtype: torch.dtype | None = None, tokenizer: Path | str | None = None) -> str:
    """What ``load_text_encoder(...).identity`` would be, without loading the weights.

    Raises:
        WeightsError: as ``load_text_encoder``.
    """
    if str(path) == MICRO:
        return MicroTextEncoder.identity
    dtype = dtype or torch.bfloat16
    if Path(path).is_dir():
        return _family(path).identity_of_folder(Path(path), dtype)
    from .text_t5 import T5TextEncoder

    return T5TextEncoder.identity_of_file(path, dtype, tokenizer)


def _family(path: Path | str):
    """The class for a diffusers folder."""
    from .text_hunyuan_video import HunyuanVideoTextEncoder
    from .text_t5 import T5TextEncoder

    config = folder_config(encoder_folder(path))
    kind = config.get("model_type")
    for family in (T5TextEncoder, HunyuanVideoTextEncoder):
        if kind in family.model_types:
            return family
    raise WeightsError(
        f"{path} holds a text encoder of type '{kind}'; supported are umt5 (Wan), t5 (LTX-Video) and llama (HunyuanVideo)."
    )


def encoder_folder(path: Path | str, name: str = "text_encoder") -> Path:
    """A pipeline's sub-folder, or the folder itself if it is one.

    Raises:
        WeightsError: there is none.
    """
    path = Path(path)
    if name == "text_encoder" and (path / "config.json").is_file():
        return path
    root = path.parent if (path / "config.json").is_file() else path
    if (root / name / "config.json").is_file():
        return root / name
    raise WeightsError(
        f"{root} has no {name}/config.json. Give a diffusers pipeline folder (with text_encoder and tokenizer in it), or a "
        "ComfyUI file of umt5 or T5."
    )


def folder_config(folder: Path) -> dict:
    """config.json of a folder.

    Raises:
        WeightsError: it is missing or damaged.
    """
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / 'config.json'} cannot be read ({error}).") from error


def refuse_code(config: object, name: str) -> None:
    """Refuse a configuration that could make transformers fetch and run code.

    Where the package kernels is installed, transformers 4.56 to 5.2 download and run an attention implementation that it
    names as ``author/repository`` (CVE-2026-4372); before 5.5 it could allow remote code by itself (CVE-2026-5241).

    Args:
        config: the content of config.json, or a part of it.
        name: what the error calls it.

    Raises:
        WeightsError: one of the two stands in it, at any depth.
    """
    if isinstance(config, list):
        config = dict(enumerate(config))
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        if ("attn_implementation" in str(key) and "/" in str(value)) or (key == "trust_remote_code" and value):
            raise WeightsError(
                f"{name} was refused: {key} = {value!r} could make transformers run code from the internet, which no model "
                "that this program reads needs. Download the folder again from its authors, or remove that line."
            )
        refuse_code(value, name)


def pretrained(kind: type, folder: Path, dtype: torch.dtype) -> Any:
    """The model of transformers' class ``kind`` in a folder, with weights of a type, which was called torch_dtype before 4.56.

    Raises:
        OSError: the folder lacks a file, or one is damaged.
        WeightsError: its configuration could run code.
    """
    refuse_code(folder_config(folder), str(folder / "config.json"))
    import transformers
    from packaging.version import Version

    name = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **{name: dtype})
