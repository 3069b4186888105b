"""The micro VAE as the rest of the project uses a VAE, on whole clips at once: the same numbers, several times faster."""

from __future__ import annotations

from torch import Tensor

from ...backbones.vae import check_clip
from ...backbones.vae_wan import WanVAE
from .whole_clip import decode_whole, encode_whole


class WholeClipVAE(WanVAE):
    """A micro VAE that works on a clip at once instead of four frames at a time."""

    def encode(self, video: Tensor) -> Tensor:
        check_clip(video, self.latent_format)
        return self._scaled(encode_whole(self.module, video)[0].float(), into=True)

    def decode(self, latents: Tensor) -> Tensor:
        return decode_whole(self.module, self._scaled(latents.float(), into=False)).clamp(-1, 1)
