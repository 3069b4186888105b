"""The micro VAE's encoder: principal components of 8 x 8 pixels and four frames, written as the weights of a Wan 2.1 encoder.

A latent code that is trained freely gives an edge another value for each colour, ground and place; one that is nearly linear
in the pixels is easier to learn for a small network. Wan's encoder takes such components step by step: its layers that make a
clip smaller are linear, and its residual blocks and attention do nothing when their last layers are zero. The first frame of a
clip is not seen by the layers that join frames in time, so components are split into those of the mean over time, which the
first frame has too, and those of changes, which are zero there: the first frame is coded as four frames that stand still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ...clips.pixels import as_video

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

LATENT_CHANNELS = 16

# The encoder ends in a norm and SiLU, which are not linear. So each component comes to it twice, as OFFSET + z and OFFSET - z
# with z of standard deviation 1: the norm then hardly depends on z, SiLU has no curvature where it is reached (its inflection
# is at 2.4), and the difference of both is proportional to z, within 2 % at one and 9 % at four standard deviations.
OFFSET = 8.0
INFLECTION = 2.4
LOG_VARIANCE = -12.0  # of the latents: they are exact


@dataclass(frozen=True)
class Components:
    """Projections of each step; rows are orthonormal, but those of ``static`` and ``change``, whose outputs have a standard deviation of 1.

    Attributes:
        pixels: [c0, 12] of the colours of 2 x 2 pixels, ordered (channel, y, x).
        means: [m, c0 * 4] of 2 x 2 of those.
        steps: [c1 - m, m] of half the difference of two frames' ``means``.
        static: [s, m * 4] of 2 x 2 means of two frames.
        moves: [d, (c1 - m) * 4] of 2 x 2 ``steps``.
        change: [16 - s, s + 2 d] of half the difference of two pairs' ``static``, and the first and second pairs' ``moves``.
    """

    pixels: Tensor
    means: Tensor
    steps: Tensor
    static: Tensor
    moves: Tensor
    change: Tensor


def components(frames: np.ndarray, base_dim: int, means: int | None = None, static: int | None = None) -> Components:
    """Find the projections.

    Args:
        frames: [N, 1 + 4n, H, W, 3] uint8 clips; H and W are multiples of 8.
        base_dim: base width of the VAE; 8 holds eight numbers for 2 x 2 pixels, 16 for 4 x 4 and two frames, 32 for 8 x 8.
        means: how many of those 16 are means of the two frames; and
        static: how many of the 16 latents are means of four frames.
    """
    means, static = means or int(1.375 * base_dim), static or LATENT_CHANNELS * 5 // 8
    video = as_video(frames).transpose(1, 2)[:, 1:]  # [N, 4n, 3, H, W]
    pixels = _principal(_joined(video), base_dim)
    small = _joined(_joined(video) @ pixels.T, 1)
    means_of = _principal(small, means)
    small = small @ means_of.T
    first, second = small[:, 0::2], small[:, 1::2]
    steps_of = _principal((second - first) / 2, 2 * base_dim - means)
    pair_mean, pair_step = _joined((first + second) / 2, 1), _joined((second - first) / 2 @ steps_of.T, 1)
    static_of, moves_of = _principal(pair_mean, static), _principal(pair_step, 4 * base_dim - 2 * static)
    rest, moves = pair_mean @ static_of.T, pair_step @ moves_of.T
    mean = (rest[:, 0::2] + rest[:, 1::2]) / 2
    static_of = static_of / _deviation(mean)[:, None]
    # Weighted as their share of the pixels' energy: half a difference of two pairs stands for four frames, a pair's for two.
    changes = [(rest[:, 1::2] - rest[:, 0::2]) / 2 * 2**0.5, moves[:, 0::2], moves[:, 1::2]]
    weighted = torch.cat(changes, dim=-1)
    change_of = _principal(weighted, LATENT_CHANNELS - static)
    change_of = change_of / _deviation(weighted @ change_of.T)[:, None]
    change_of[:, :static] *= 2**0.5 * _deviation(mean)  # of the scaled ``static``
    return Components(pixels, means_of, steps_of, static_of, moves_of, change_of)


def _joined(x: Tensor, last: int = 0) -> Tensor:
    """[N, T, C, H, W], or with channels last, to [N, T, H / 2, W / 2, C * 4], ordered (channel, y, x)."""
    if last:
        x = x.permute(0, 1, 4, 2, 3)
    n, t, c, h, w = x.shape
    return x.view(n, t, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4, 6).reshape(n, t, h // 2, w // 2, c * 4)


def _principal(x: Tensor, count: int) -> Tensor:
    """[count, C] orthonormal directions that hold most of the square of [..., C]; the mean is not taken off."""
    flat = x.flatten(0, -2).double()
    _, vectors = torch.linalg.eigh(flat.T @ flat)
    return vectors.flip(1)[:, :count].T.float().contiguous()


def _deviation(x: Tensor) -> Tensor:
    return x.flatten(0, -2).std(dim=0)


@torch.no_grad()
def write_encoder(vae: AutoencoderKLWan, found: Components) -> None:
    """Make the encoder compute the components, in place; ``quant_conv``'s means have a standard deviation of about 1.

    The decoder is left as it is.
    """
    encoder = vae.encoder
    for parameter in [*encoder.parameters(), *vae.quant_conv.parameters()]:
        parameter.zero_()
    for name, gamma in encoder.named_parameters():
        if name.endswith("gamma"):
            gamma.fill_(1)
    m, c1 = len(found.means), len(found.means) + len(found.steps)
    s, d = len(found.static), len(found.moves)
    _pass_on(encoder.conv_in.weight, 3)
    samplers = [block for block in encoder.down_blocks if hasattr(block, "resample")]
    for block in encoder.down_blocks:
        if not hasattr(block, "resample") and not isinstance(block.conv_shortcut, torch.nn.Identity):
            _pass_on(block.conv_shortcut.weight, block.conv_shortcut.in_channels)
    _write_square(samplers[0], found.pixels, 0, 0)
    _write_square(samplers[1], found.means, 0, 0)
    time = samplers[1].time_conv.weight
    time[:m, :m, 1:, 0, 0] = torch.eye(m)[..., None] / 2
    time[m:c1, :m, 1, 0, 0], time[m:c1, :m, 2, 0, 0] = -found.steps / 2, found.steps / 2

    # From here on: OFFSET + z, OFFSET - z for each latent. In front of the last layer in time the places of the changes hold ``moves``.
    _write_square(samplers[2], found.static, 0, 0)
    _write_square(samplers[2], -found.static, s, 0)
    _write_square(samplers[2], found.moves, 2 * s, m)
    samplers[2].resample[1].bias.fill_(OFFSET)
    time, bias = samplers[2].time_conv.weight, samplers[2].time_conv.bias
    time[: 2 * s, : 2 * s, 1:, 0, 0] = torch.eye(2 * s)[..., None] / 2
    difference, first, second = found.change.split([s, d, d], dim=1)
    for at, sign in ((2 * s, 1), (s + LATENT_CHANNELS, -1)):
        rows = slice(at, at + LATENT_CHANNELS - s)
        time[rows, :s, 1, 0, 0], time[rows, :s, 2, 0, 0] = -sign * difference / 2, sign * difference / 2
        time[rows, 2 * s : 2 * s + d, 1, 0, 0], time[rows, 2 * s : 2 * s + d, 2, 0, 0] = sign * first, sign * second
        bias[rows] = OFFSET * (1 - sign * (first.sum(1) + second.sum(1)))
    encoder.norm_out.gamma.fill_(INFLECTION)
    places = [(i, i + s) for i in range(s)] + [(s + i, s + i + LATENT_CHANNELS - s) for i in range(s, LATENT_CHANNELS)]
    slope = 2 * INFLECTION / OFFSET * _silu_slope(INFLECTION)
    for latent, (plus, minus) in enumerate(places):
        encoder.conv_out.weight[latent, plus, -1, 1, 1] = 1 / slope
        encoder.conv_out.weight[latent, minus, -1, 1, 1] = -1 / slope
    vae.quant_conv.weight[:LATENT_CHANNELS, :LATENT_CHANNELS, 0, 0, 0] = torch.eye(LATENT_CHANNELS)
    vae.quant_conv.bias[LATENT_CHANNELS:] = LOG_VARIANCE


def _silu_slope(x: float) -> float:
    chance = torch.sigmoid(torch.tensor(x))
    return float(chance * (1 + x * (1 - chance)))


def _pass_on(weight: Tensor, channels: int) -> None:
    """Let a causal convolution hand on its first channels."""
    middle = weight.shape[-1] // 2
    weight[:channels, :channels, -1, middle, middle] = torch.eye(channels)


def _write_square(sampler, projection: Tensor, row: int, column: int) -> None:
    """Write [rows, columns * 4] into a layer that halves the picture, from ``row`` and the input channel ``column`` on."""
    layer = sampler.resample[1]
    square = projection.view(len(projection), -1, 2, 2)
    layer.weight[row : row + len(square), column : column + square.shape[1], :2, :2] = square


@torch.no_grad()
def encode_linear(vae: AutoencoderKLWan, video: Tensor) -> Tensor:
    """What ``encode_whole`` gives as the mean for an encoder of ``write_encoder``, without the layers that do nothing: some thirty times faster.

    Args:
        video: [B, 3, 1 + 4n, H, W] in -1..1.

    Returns:
        [B, 16, 1 + n, H / 8, W / 8], in the VAE's own units.
    """
    encoder = vae.encoder
    batch = len(video)
    x = video.transpose(1, 2).flatten(0, 1)
    for block in encoder.down_blocks:
        if not hasattr(block, "resample"):
            continue
        layer = block.resample[1]
        x = F.conv2d(x, layer.weight[:, : x.shape[1], :2, :2], layer.bias, stride=2)
        if block.mode == "downsample3d":
            x = x.unflatten(0, (batch, -1))
            first, time = x[:, :1], block.time_conv
            pairs = torch.cat([x[:, 1::2], x[:, 2::2]], dim=2)
            weight = time.weight[:, :, 1:, 0, 0].transpose(1, 2).flatten(1)[:, :, None, None]
            later = F.conv2d(pairs.flatten(0, 1), weight, time.bias).unflatten(0, (batch, -1))
            x = torch.cat([first, later], dim=1).flatten(0, 1)
    x = F.silu(F.normalize(x, dim=1) * x.shape[1] ** 0.5 * encoder.norm_out.gamma.view(1, -1, 1, 1))
    x = F.conv2d(x, encoder.conv_out.weight[:, :, -1, 1, 1][:, :, None, None], encoder.conv_out.bias)
    mean = F.conv2d(x, vae.quant_conv.weight[:LATENT_CHANNELS, :, 0], vae.quant_conv.bias[:LATENT_CHANNELS])
    return mean.unflatten(0, (batch, -1)).transpose(1, 2)
