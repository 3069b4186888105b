"""Text encoders: prompts to what a video model is conditioned on, each as its authors and ComfyUI do it.

    umt5-xxl                Wan             512 tokens, zeros after the prompt's tokens
    T5-XXL                  LTX-Video       the prompt's tokens alone
    LLaVA-LLaMA and CLIP-L  HunyuanVideo    LLaMA's tokens behind a fixed instruction, and CLIP's pooled vector
    Qwen2.5-VL and ByT5     HunyuanVideo 1.5  Qwen's tokens behind a fixed instruction, and ByT5's of what the prompt quotes
    Gemma 3 12B             LTX-2           1024 tokens: all layers' states of the prompt, projected, and learned registers
    micro                   micro model     one token a word

A subclass (``text_t5.py``, ...) holds the network; ``text_loading.py`` reads one from a file or a folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from .fewer_bits import FORMS, FewerBits, keep_in
from .weight_files import WeightFiles


class TextEncoder(ABC):
    """Encodes prompts.

    Attributes:
        identity: names everything that the result depends on, for cache keys.
        model_types: what config.json of a transformers folder calls its network.
        titles: what messages call it, with the families that it is for, as a folder's; ``file_titles`` as a single file's,
            empty where it is read from folders only.
    """

    identity: str
    model_types: ClassVar[tuple[str, ...]] = ()
    titles: ClassVar[tuple[str, ...]] = ()
    file_titles: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def networks(self) -> Sequence[nn.Module]:
        """What holds its weights."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[nn.Module]:
        """Those parts of it whose matrices can be kept in fewer bits: most of the weights."""

    def keep_in(self, bits: FewerBits, device: torch.device | str) -> None:
        """Keep the layers' matrices in 8 or 4 bits, and move it to a device, layer by layer."""
        for layer in self.layers:
            keep_in(layer.to(device), FORMS[bits])
        for network in self.networks:
            network.to(device)
        self.identity = identity_in(self.identity, bits)

    @abstractmethod
    def encode(self, prompts: Sequence[str]) -> list[dict[str, Tensor]]:
        """One unbatched conditioning a prompt (see conditioning.py), on the CPU; an empty prompt is allowed."""

    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether a ComfyUI file with these tensors is this encoder."""
        return False

    @classmethod
    def from_file(
        cls, files: WeightFiles, dtype: torch.dtype, device: torch.device | str, tokenizer: Path | str | None = None
    ) -> TextEncoder:
        """From a ComfyUI file that ``recognises`` says yes to.

        Raises:
            WeightsError: damaged, or there is no tokenizer for it.
        """
        raise NotImplementedError

    @classmethod
    def identity_of_file(cls, files: WeightFiles, dtype: torch.dtype, tokenizer: Path | str | None = None) -> str:
        """``identity`` of what ``from_file`` gives, without reading the weights."""
        raise NotImplementedError

    @classmethod
    @abstractmethod
    def from_folder(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> TextEncoder:
        """From a diffusers pipeline's folder, whose config names one of ``model_types``.

        Raises:
            WeightsError: a part of it is missing or cannot be read.
        """

    @classmethod
    @abstractmethod
    def identity_of_folder(cls, path: Path, dtype: torch.dtype) -> str:
        """``identity`` of what ``from_folder`` gives, without reading the weights."""


def identity_in(identity: str, bits: FewerBits | None) -> str:
    """The identity of an encoder whose matrices are kept in fewer bits."""
    return identity if bits is None else f"{identity}-{bits}"
