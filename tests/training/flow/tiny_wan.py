"""A Wan of two narrow blocks with random weights, random latents for it, and a network that computes in float64."""

import torch
from torch import nn

from videoalign.backbones.loading import build_backbone
from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.config import LoraOptions
from videoalign.training.flow.method import NoisedClips

CONFIG = {
    "patch_size": [1, 2, 2], "num_attention_heads": 1, "attention_head_dim": 24, "in_channels": 16, "out_channels": 16,
    "text_dim": 32, "freq_dim": 16, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads", "eps": 1e-6,
}  # fmt: skip
SHAPE = (16, 2, 4, 4)


def tiny_wan(lora=None, seed=0, moved=False):
    """The backbone with its adapter; ``moved``: B is not 0, as after some training."""
    torch.manual_seed(seed)
    backbone = build_backbone("wan", CONFIG)
    if lora is not False:
        add_adapter(backbone, lora or LoraOptions(rank=4, alpha=8), seed=seed)
        if moved:
            with torch.no_grad():
                for name, parameter in backbone.module.named_parameters():
                    if "lora_B" in name:
                        parameter.normal_(0, 0.05)
    return backbone


class Float64Network(nn.Module):
    """A small velocity network with an adapter, all in float64; diffusers computes norms in float32 whatever it is given.

    It mixes channels and positions and knows the level and the prompt, so that no two of them can be confused.
    """

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        channels, self.width = SHAPE[0], 12
        self.inner = nn.Linear(channels + CONFIG["text_dim"] + 1, self.width)
        self.outer = nn.Linear(2 * self.width, channels)
        self.down, self.up = nn.Linear(self.width, 3, bias=False), nn.Linear(3, self.width, bias=False)
        self.double()
        for layer in (self.inner, self.outer):
            layer.requires_grad_(False)

    def _run(self, x_t, sigma, conditioning, adapter):
        x = x_t.movedim(1, -1)
        text = conditioning["text"].mean(1)[:, None, None, None].expand(*x.shape[:-1], -1)
        level = sigma.view(-1, 1, 1, 1, 1).expand(*x.shape[:-1], 1)
        hidden = torch.tanh(self.inner(torch.cat([x, text, level], -1)))
        if adapter:
            hidden = hidden + self.up(torch.tanh(self.down(hidden)))
        mixed = hidden.mean((1, 2, 3), keepdim=True).expand_as(hidden)
        return self.outer(torch.cat([hidden, mixed], -1)).movedim(-1, 1)

    def velocity(self, x_t, sigma, conditioning):
        return self._run(x_t, sigma, conditioning, adapter=True)

    @torch.no_grad()
    def reference(self, x_t, sigma, conditioning):
        return self._run(x_t, sigma, conditioning, adapter=False)


def noised(count=2, sides=("chosen", "rejected"), seed=1, dtype=torch.float32, shape=SHAPE):
    """Random samples: the rejected clip is the chosen one with something added, as real pairs resemble each other."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(count, *shape, generator=generator)
    clips = {
        side: first + 0.5 * place * torch.randn(count, *shape, generator=generator) for place, side in enumerate(sides)
    }
    return NoisedClips(
        clips,
        torch.randn(count, *shape, generator=generator),
        torch.rand(count, generator=generator) * 0.8 + 0.1,
        {"text": torch.randn(count, 3, CONFIG["text_dim"], generator=generator).to(dtype)},
        torch.rand(count, generator=generator) + 0.5,
        torch.ones(count),
    ).to("cpu", dtype)
