"""Load a text encoder: the micro one, a ComfyUI file, or a diffusers folder.

Tokenizers come from the file or from a local folder, never from a hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import WeightsError
from ..files.joined_paths import paths_of
from .families import text_encoder_classes
from .fewer_bits import FewerBits, check_fewer_bits
from .micro_text import MicroTextEncoder
from .pretrained_folder import encoder_folder, folder_config
from .text_encoder import TextEncoder, identity_in
from .weight_files import WeightFiles, open_weights

MICRO = "micro"


def load_text_encoder(
    path: Path | str,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    tokenizer: Path | str | None = None,
    bits: FewerBits | None = None,
) -> TextEncoder | MicroTextEncoder:
    """Load a text encoder.

    Args:
        path: "micro"; a ComfyUI file of umt5 or T5 (.safetensors, also fp8 and scaled fp8); two of them, GEMMA+CHECKPOINT for LTX-2, QWEN+BYT5 for HunyuanVideo 1.5;
            or a diffusers folder, the pipeline's or its ``text_encoder`` (its tokenizer folders beside it).
        dtype: of the weights and of the arithmetic; bfloat16 by default.
        tokenizer: folder with tokenizer.json or spiece.model, for files that carry none (T5-XXL). Without it, folders
            beside the file and the tokenizers that come with ComfyUI are looked into.
        bits: keep the matrices of its layers in 8 or 4 bits; in main memory they are in ``dtype`` while it is loaded.

    Raises:
        WeightsError: nothing there, damaged, of another family, or without a tokenizer; the message says what to give.
        VideoAlignError: 4 bits without bitsandbytes.
    """
    if str(path) == MICRO:
        return MicroTextEncoder()
    check_fewer_bits(bits, "A text encoder")
    dtype, place = dtype or torch.bfloat16, "cpu" if bits else device
    with torch.inference_mode(False), torch.no_grad():
        if Path(path).is_dir():
            encoder = _kind_of_folder(path).from_folder(Path(path), dtype, place)
        else:
            files = _opened(path)
            encoder = _kind_of_file(files).from_file(files, dtype, place, tokenizer)
        if bits is not None:
            encoder.keep_in(bits, device)
    return encoder


def text_identity(
    path: Path | str,
    dtype: torch.dtype | None = None,
    tokenizer: Path | str | None = None,
    bits: FewerBits | None = None,
) -> str:
    """What ``load_text_encoder(...).identity`` would be, without loading the weights.

    Raises:
        WeightsError: as ``load_text_encoder``.
    """
    if str(path) == MICRO:
        return MicroTextEncoder.identity
    dtype = dtype or torch.bfloat16
    if Path(path).is_dir():
        return identity_in(_kind_of_folder(path).identity_of_folder(Path(path), dtype), bits)
    files = _opened(path)
    return identity_in(_kind_of_file(files).identity_of_file(files, dtype, tokenizer), bits)


def _opened(path: Path | str) -> WeightFiles:
    """A file, or several as one; of each what is there is checked."""
    several = [file for part in paths_of(path) for file in open_weights(part, "model").paths]
    return WeightFiles(several, str(path)) if len(several) > 1 else open_weights(path)


def _kind_of_folder(path: Path | str) -> type[TextEncoder]:
    name = folder_config(encoder_folder(path)).get("model_type")
    for kind in text_encoder_classes():
        if name in kind.model_types:
            return kind
    titles = [title for kind in text_encoder_classes() for title in kind.titles]
    raise WeightsError(f"{path} holds a text encoder of type '{name}'; supported are {', '.join(titles)}.")


def _kind_of_file(files: WeightFiles) -> type[TextEncoder]:
    for kind in text_encoder_classes():
        if kind.recognises(files.shapes):
            return kind
    kinds = text_encoder_classes()
    titles = [title for kind in kinds for title in kind.file_titles]
    others = [title for kind in kinds if not kind.file_titles for title in kind.titles]
    raise WeightsError(
        f"{files.name} is no text encoder that is known ({_what_it_is(files.shapes)}). As single files {', '.join(titles)} can "
        f"be read; for {', '.join(others)} give a diffusers folder with text_encoder and tokenizer, and text_encoder_2 and "
        "tokenizer_2 where it has two."
    )


def _what_it_is(shapes: Mapping[str, tuple[int, ...]]) -> str:
    if any(name.startswith(("model.layers.", "layers.")) for name in shapes):
        return "it looks like a LLaMA"
    if any(name.startswith(("text_model.", "transformer.text_model.")) for name in shapes):
        return "it looks like CLIP"
    return f"its first tensors are {', '.join(list(shapes)[:3]) or 'none'}"
