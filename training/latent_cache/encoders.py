"""The VAE, the text encoder and the image encoder of a cache: loaded when something has to be encoded, dropped afterwards."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...backbones.devices import release_memory
from ...backbones.fewer_bits import FewerBits
from ...backbones.image_encoder import ImageEncoder, image_encoder_identity, load_image_encoder
from ...backbones.text_loading import load_text_encoder, text_identity
from ...backbones.vae import VAE
from ...backbones.vae_loading import load_vae, vae_identity
from ...errors import VideoAlignError
from ..loop.same_run import by_content


class Encoders:
    """What encodes clips and captions, or the files it is loaded from.

    Args:
        vae: a ComfyUI file, a diffusers folder, or a loaded VAE.
        text_encoder: likewise, or "micro".
        device: where files are loaded to.
        dtype: of their arithmetic; the VAE's is float32 unless ``vae_dtype`` says otherwise.
        tiling: the VAE cuts big clips into tiles.
        image_encoder: a ComfyUI file or a diffusers folder, for networks that see their image through CLIP.
        text_bits: the matrices of a text encoder that is loaded are kept in 8 or 4 bits.
    """

    def __init__(
        self,
        vae: VAE | Path | str,
        text_encoder: Any,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        vae_dtype: torch.dtype = torch.float32,
        tiling: bool = False,
        image_encoder: Path | str | None = None,
        text_bits: FewerBits | None = None,
    ) -> None:
        self._vae, self._text_encoder = vae, text_encoder
        self._loaded_vae = vae if isinstance(vae, VAE) else None
        self._loaded_text_encoder = None if isinstance(text_encoder, (str, Path)) else text_encoder
        self.device, self.dtype, self.vae_dtype, self.tiling = device, dtype, vae_dtype, tiling
        self._image_encoder, self._loaded_image_encoder = image_encoder, None
        self.text_bits = text_bits

    @property
    def vae_identity(self) -> str:
        """For keys; does not load the weights."""
        if self._loaded_vae is not None:
            return self._loaded_vae.identity
        return vae_identity(self._vae, self.vae_dtype, self.tiling)

    @property
    def text_identity(self) -> str:
        """For keys; does not load the weights."""
        if self._loaded_text_encoder is not None:
            return self._loaded_text_encoder.identity
        return text_identity(self._text_encoder, self.dtype, bits=self.text_bits)

    @property
    def vae(self) -> VAE:
        """The VAE, loaded on first use."""
        if self._loaded_vae is None:
            self._loaded_vae = load_vae(self._vae, self.vae_dtype, self.device, self.tiling)
        return self._loaded_vae

    @property
    def text_encoder(self) -> Any:
        """The text encoder, loaded on first use."""
        if self._loaded_text_encoder is None:
            self._loaded_text_encoder = load_text_encoder(
                self._text_encoder, self.dtype, self.device, bits=self.text_bits
            )
        return self._loaded_text_encoder

    @property
    def image_identity(self) -> str:
        """For keys; does not load the weights.

        Raises:
            VideoAlignError: none was given.
        """
        return image_encoder_identity(self._image_encoder_file)

    @property
    def image_encoder(self) -> ImageEncoder:
        """The image encoder, loaded on first use."""
        if self._loaded_image_encoder is None:
            self._loaded_image_encoder = load_image_encoder(self._image_encoder_file, device=self.device)
        return self._loaded_image_encoder

    def identities(self, image_entries: Sequence[str] = ()) -> dict[str, str]:
        """What encodes clips (``vae``), captions (``text_encoder``) and, where images are seen through CLIP, them."""
        named = {"vae": self.vae_identity, "text_encoder": self.text_identity}
        return named | ({"image_encoder": self.image_identity} if "image_embeds" in image_entries else {})

    def known_identities(self) -> dict[str, str]:
        """Those of ``vae`` and ``text_encoder`` that can be told: whose file is there."""
        named = {"vae": self._vae, "text_encoder": self._text_encoder}
        there = {name for name, one in named.items() if not isinstance(one, (str, Path)) or Path(one).exists()}
        known = {"vae": "vae_identity", "text_encoder": "text_identity"}
        return {name: getattr(self, known[name]) for name in known if name in there}

    def file_digests(self) -> dict[str, str]:
        """Digests of the encoders' files, as a run knows them by; of those that came from files."""
        named = {"vae": self._vae, "text_encoder": self._text_encoder, "image_encoder": self._image_encoder}
        paths = {name: str(one) for name, one in named.items() if isinstance(one, (str, Path))}
        return by_content(paths, paths)

    @property
    def _image_encoder_file(self) -> Path | str:
        if self._image_encoder is None:
            raise VideoAlignError(
                "This network sees its image through CLIP too. Give model.image_encoder = clip_vision_h.safetensors (ComfyUI's "
                "file), or the folder image_encoder of its diffusers pipeline."
            )
        return self._image_encoder

    def release(self) -> None:
        """Forget what was loaded from files; the next use loads it again."""
        self._loaded_vae = self._vae if isinstance(self._vae, VAE) else None
        self._loaded_text_encoder = None if isinstance(self._text_encoder, (str, Path)) else self._text_encoder
        self._loaded_image_encoder = None
        gc.collect()
        release_memory()
