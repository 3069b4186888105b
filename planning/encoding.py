"""What encoding and decoding take: VAEs counted on their real shapes without content, text encoders by their weights."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from ..backbones.fewer_bits import FORMS, FewerBits
from ..backbones.pretrained_folder import encoder_folder
from ..backbones.stored_weights import kept_bytes
from ..backbones.text_loading import MICRO
from ..backbones.vae import VAE
from ..backbones.vae_loading import describe_vae
from ..backbones.weight_files import WeightFiles, open_weights
from ..errors import WeightsError
from ..files.joined_paths import paths_of
from .counting import Count, with_between, without_content

_HALF, _WHOLE = 2, 4  # bytes of a weight of the encoder of captions on an accelerator, and of images
_FURTHER = "text_encoder_2"  # HunyuanVideo's CLIP
# In LTX-2's checkpoint; and HunyuanVideo 1.5's second encoder, a T5.
_OF_THE_TEXT = r"text_embedding_projection|video_embeddings_connector|^(encoder|shared)\."
_LAYERS = r"(^|\.)(layers|block)\.\d+\.(?!.*_bias\.).*weight$"  # of the numbered layers of a T5 or a language model


@dataclass(frozen=True)
class Coded:
    """A clip that goes through a VAE.

    Attributes:
        weights: bytes of the VAE's.
        activations: most bytes beside them, the result included.
        operations: of the clip.
    """

    weights: int
    activations: int
    operations: int


@dataclass(frozen=True)
class Encoding:
    """What encodes clips, captions and images before a training, one after the other; bytes.

    Attributes:
        text, image: weights of these encoders, in 16 bits and in float32; 0 where there is none.
        vae: its weights, in float32.
        clip: what it makes of a clip.
        cache: of what is kept on the disk.
        operations: of all clips.
    """

    text: float
    vae: float
    clip: float
    image: float
    cache: float
    operations: float

    @property
    def needed(self) -> float:
        """Most on the device at once."""
        return max(self.text, self.vae + with_between(self.clip), self.image)


def count_encoding(
    vae: Path | str, text_encoder: Path | str, image_encoder: Path | str | None, size: tuple[int, int, int],
    clips: int, latents: tuple[int, int, int, int], captions: int, caption: tuple[int, int],
    text_bits: FewerBits | None = None,
) -> Encoding:  # fmt: skip
    """What encoding a training's rows takes.

    Args:
        size: frames, height and width of a clip.
        clips, captions: how many there are.
        latents: [C, T, H, W] of a clip.
        caption: [L, D] of a caption, at most.
        text_bits: in which the matrices of the text encoder's layers are kept.

    Raises:
        WeightsError: a file is missing, damaged, or something else.
    """
    coded = count_vae(describe_vae(vae), size, "encode")
    elements = clips * math.prod(latents) + captions * math.prod(caption)
    return Encoding(
        text=text_encoder_bytes(text_encoder, text_bits),
        vae=coded.weights,
        clip=coded.activations,
        image=0 if image_encoder is None else image_encoder_bytes(image_encoder),
        cache=2 * elements,  # float16
        operations=clips * coded.operations,
    )


def count_vae(vae: VAE, size: tuple[int, int, int], way: Literal["encode", "decode"], batch: int = 1) -> Coded:
    """Count one clip's way through a VAE.

    Args:
        vae: on the meta device, see ``describe_vae``; it is of no use afterwards.
        size: frames, height and width of the clip in pixels.
        batch: clips that go through it together.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    frames, height, width = size
    module = vae.module
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        without_content(module)
        vae.mean, vae.std = torch.empty(vae.mean.shape), torch.empty(vae.std.shape)
        shape = (3, frames, height, width) if way == "encode" else vae.latent_format.shape(frames, height, width)
        given = torch.empty(batch, *shape)
        with Count([*module.parameters(), *module.buffers(), vae.mean, vae.std, given]) as count:
            made = vae.encode(given) if way == "encode" else vae.decode(given)
        del made
    weights = sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])
    return Coded(weights, count.peak, count.operations)


def text_encoder_bytes(path: Path | str, bits: FewerBits | None = None) -> int:
    """Bytes of a text encoder's weights in 16 bits, or with its layers' matrices in fewer; of HunyuanVideo's and HunyuanVideo 1.5's both, of LTX-2's with what its checkpoint has of it. What it makes
    of a caption is small beside them.

    Raises:
        WeightsError: it is missing or damaged.
    """
    if str(path) == MICRO:
        return 0
    if len(paths := paths_of(path)) > 1:
        # Behind the encoder another one, or a checkpoint that has the rest of it among much else.
        encoder, *others = (open_weights(one) for one in paths)
        return _text_bytes([encoder], bits) + _HALF * _elements(others, _OF_THE_TEXT)
    if not Path(path).is_dir():
        return _text_bytes([open_weights(path)], bits)
    files = [open_weights(encoder_folder(path), "model")]
    with contextlib.suppress(WeightsError):  # of most families there is one
        files.append(open_weights(encoder_folder(path, _FURTHER), "model"))
    return _text_bytes(files, bits)


def image_encoder_bytes(path: Path | str) -> int:
    """Bytes of an image encoder's weights in float32.

    Raises:
        WeightsError: it is missing or damaged.
    """
    path = Path(path)
    inside = path / "image_encoder"
    return _WHOLE * _elements([open_weights(inside if inside.is_dir() else path, "model")])


def _text_bytes(files: Iterable[WeightFiles], bits: FewerBits | None) -> int:
    """Of these files' tensors, the matrices of numbered layers in ``bits``."""
    files = list(files)
    if bits is None:
        return _HALF * _elements(files)
    kept = [
        one.shapes[name]
        for one in files
        for name in one.shapes
        if len(one.shapes[name]) == 2 and re.search(_LAYERS, name)
    ]
    others = _elements(files) - sum(map(math.prod, kept))
    return _HALF * others + round(sum(kept_bytes(FORMS[bits], *shape, _HALF) for shape in kept))


def _elements(files: Iterable[WeightFiles], names: str = "") -> int:
    return sum(
        math.prod(shape)
        for one in files
        for name, shape in one.shapes.items()
        if (one.types[name] != "U8" or len(shape) == 2) and re.search(names, name)  # else a tokenizer's bytes
    )
