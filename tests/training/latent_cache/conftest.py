"""Small clips, a tiny VAE, and counting encoders."""

import pytest
from small_clips import PROMPTS, clip_row, write_clip

from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.training.latent_cache import Encoders


@pytest.fixture(scope="session")
def tiny_vae():
    from tiny_vaes import tiny_wan21

    return tiny_wan21()


@pytest.fixture
def rows(tmp_path):
    """Two pairs, of two prompts."""
    clips = [write_clip(tmp_path / f"{number}.mp4", number) for number in range(4)]
    return [
        clip_row(PROMPTS[0], (clips[0], clips[1]), "pairs.jsonl, row 1"),
        clip_row(PROMPTS[1], (clips[2], clips[3]), "pairs.jsonl, row 2"),
    ]


class CountingVAE:
    """Wraps a VAE's encode."""

    def __init__(self, vae, monkeypatch):
        self.calls, inner = 0, vae.encode

        def encode(video):
            self.calls += 1
            return inner(video)

        monkeypatch.setattr(vae, "encode", encode)


@pytest.fixture
def encoded_clips(tiny_vae, monkeypatch):
    """Counts the clips that the tiny VAE encodes."""
    return CountingVAE(tiny_vae, monkeypatch)


@pytest.fixture
def encoders(tiny_vae):
    return Encoders(tiny_vae, MicroTextEncoder())
