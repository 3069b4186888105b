"""Folders of transformers' models, as they lie in a diffusers pipeline: never from a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import WeightsError
from ..files.json_text import parse_json
from ..files.tensor_file import check_finite


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
        return parse_json((folder / "config.json").read_text(encoding="utf-8"))
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
        WeightsError: its configuration could run code, or a weight is not finite.
    """
    refuse_code(folder_config(folder), str(folder / "config.json"))
    import transformers
    from packaging.version import Version

    name = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    model = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **{name: dtype})
    check_finite(folder, dict(model.named_parameters()), WeightsError)
    return model
