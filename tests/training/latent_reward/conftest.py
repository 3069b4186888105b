"""Pairs of random latents in which brightness decides, and a tiny Wan to learn it with."""

import hashlib
from pathlib import Path

import pytest
import torch

from videoalign.backbones.loading import build_backbone
from videoalign.preferences.preference_file import PreferencePair, ResolvedPair
from videoalign.training.latent_reward.pairs import LatentPairData

TINY_WAN = {
    "patch_size": [1, 2, 2], "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 16, "out_channels": 16,
    "text_dim": 20, "freq_dim": 16, "ffn_dim": 32, "num_layers": 4,
}  # fmt: skip
SHAPE = (16, 2, 4, 4)


class LatentsInMemory:
    """What training asks of a cache, of tensors that no clip was encoded to."""

    def __init__(self, folder=None):
        self.folder = folder
        self.clips, self.captions = {}, {}

    def latents(self, path):
        return self.clips[path]

    def conditioning(self, caption):
        return self.captions[caption]

    def image(self, path):
        return {}

    def keys(self, path, caption):
        return self.digest(path), caption

    def digest(self, path):
        return hashlib.sha256(self.clips[path].numpy().tobytes()).hexdigest()


@pytest.fixture
def tiny_wan():
    def build(num_blocks=2):
        torch.manual_seed(0)
        return build_backbone("wan", TINY_WAN, num_blocks)

    return build


@pytest.fixture
def bright_pairs():
    """Build pairs of random latents: VQ goes to the brighter clip, MQ to the darker one, TA is a tie."""

    def build(count, seed=0):
        generator = torch.Generator().manual_seed(seed)
        cache, pairs = LatentsInMemory(), []
        for index in range(count):
            prompt, paths = f"prompt {index % 3}", [Path(f"{index}{side}") for side in "ab"]
            cache.captions[prompt] = {"text": torch.full((4, 20), float(index % 3))}
            levels = torch.randn(2, generator=generator)
            for path, level in zip(paths, levels, strict=True):
                cache.clips[path] = torch.randn(SHAPE, generator=generator) * 0.3 + level
            brighter, darker = ("A", "B") if levels[0] > levels[1] else ("B", "A")
            pair = PreferencePair(
                prompt=prompt,
                chosen=str(paths[0]),
                rejected=str(paths[1]),
                labels={"VQ": brighter, "MQ": darker, "TA": "same"},
            )
            pairs.append(ResolvedPair(pair, *paths, f"pair {index}"))
        return LatentPairData(pairs, cache)

    return build
