"""What a frozen trunk makes of clips at fixed noises: computed once, kept beside the latents, and read by every training of heads.

An entry is named by all that it depends on: the clip's latents and caption, the trunk's weights, the noise and its level. The
trunk sees its clips one by one, so that a stored entry is bit for bit what it would be made to now, in whatever batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...backbones.backbone import Conditioning, collate
from ...backbones.devices import autocast
from ...backbones.flow_path import add_noise
from ...files.digests import json_digest
from ...reward.latent.latent_reward import LatentReward
from ..latent_cache.cache import entry_key, features_file, is_whole, read_entry, write_features
from ..latent_cache.planning import Progress

if TYPE_CHECKING:
    from ..latent_cache import LatentCache
    from .pairs import LatentPairData, Seen


@torch.no_grad()
def tokens_alone(reward: LatentReward, latents: Tensor, noise: Tensor, sigma: Tensor, told: Conditioning) -> Tensor:
    """[T, H, W, D], in the trunk's own type, of one clip [C, T, H, W] at noise [C, T, H, W] of level sigma, a number.

    Args:
        told: its conditioning, unbatched.
    """
    device = next(reward.parameters()).device
    level = sigma.reshape(1).to(device)
    x_t = add_noise(latents[None].float().to(device), noise[None].to(device), level)
    conditioning = {name: value.to(device) for name, value in collate([told]).items()}
    with autocast(device, enabled=False):
        return reward.tokens(x_t.to(reward.trunk.dtype), level, conditioning)[0]


class Features:
    """The features of some clips, on disk.

    Args:
        cache: of the clips' latents and captions; features lie in its folder.
        trunk: identity of what made them.
        constants: what the trunk is told besides the caption.
        keep: hold them in memory once they were read.
    """

    def __init__(
        self, cache: LatentCache, trunk: Mapping[str, object], constants: Mapping[str, Tensor], keep: bool = False
    ) -> None:
        self.cache = cache
        told = {name: value.tolist() for name, value in constants.items()}
        self._identity = json_digest([dict(trunk), told])
        self._there: set[str] = set()
        self._kept: dict[str, Tensor] | None = {} if keep else None

    def key(self, seen: Seen) -> str:
        """Name of an entry."""
        noise = seen.noise
        return entry_key(self._identity, *self.cache.keys(seen.clip, seen.prompt), noise.key, noise.sigma)

    def fill(
        self, reward: LatentReward, data: LatentPairData, wanted: Iterable[Seen], progress: Progress | None = None
    ) -> None:
        """Compute what is missing on the device of ``reward``; may be stopped at any moment and called again."""
        entries = {self.key(seen): seen for seen in wanted}
        missing = [key for key in entries if not is_whole(self._file(key))]
        for number, key in enumerate(missing):
            seen = entries[key]
            latents, sigma = data.latents(seen.clip), torch.tensor(seen.noise.sigma, dtype=torch.float32)
            tokens = tokens_alone(reward, latents, seen.noise.drawn(latents.shape), sigma, data.told(seen))
            write_features(self.cache.folder, key, tokens.cpu(), seen.clip)
            if progress is not None:
                progress("computing features", number + 1, len(missing))

    def found(self, wanted: Iterable[Seen]) -> None:
        """Note which of them are there, when all processes have filled in their share."""
        self._there.update(key for key in map(self.key, wanted) if is_whole(self._file(key)))

    def read(self, seen: list[Seen]) -> Tensor | None:
        """[S, T, H, W, D]; None where one is not there.

        Raises:
            VideoAlignError: an entry is damaged.
        """
        keys = [self.key(one) for one in seen]
        if not self._there.issuperset(keys):
            return None
        return torch.stack([self._read(key) for key in keys])

    def _read(self, key: str) -> Tensor:
        if self._kept is None:
            return read_entry(self._file(key))[0]["features"]
        if key not in self._kept:
            self._kept[key] = read_entry(self._file(key))[0]["features"]
        return self._kept[key]

    def _file(self, key: str) -> Path:
        return features_file(self.cache.folder, key)
