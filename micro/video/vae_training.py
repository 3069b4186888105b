"""Trains the micro VAE's decoder: pictures first, then short crops of clips, then whole clips. The encoder is computed.

Faults must survive it, or nothing could be learned about them in latent space. A reconstruction error alone would blur
grain away, since its exact pattern does not fit into the latents; so the local strength of detail and of change is
compared as well, and the decoder learns to draw grain of the right strength.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ...backbones.wan_whole_clip import decode_whole
from ...clips.pixels import as_video
from ...files.atomic_file import replacing
from .linear_encoder import LATENT_CHANNELS, components, encode_linear, write_encoder
from .orthogonal_momentum import OrthogonalMomentum

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

CHANGE_WEIGHT = 0.1  # of the absolute error of differences between neighbours, in space and in time
ENERGY_WEIGHT = 0.5  # of the error of the local strength of detail, and of change
COLOUR_WEIGHT = 0.5  # of the error of red - green and blue - green
COLOURED_SHARE = 0.75  # of the crops are placed where colour is; the ground is learned soon enough
DECODER = ("decoder.", "post_quant_conv.")  # names of what is trained
ADAM_BETAS = (0.9, 0.99)
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class VaePhase:
    """One phase of the VAE's training.

    Attributes:
        frames: of each clip, 1 + 4n; a random part of the clip's 17.
        side: of the random crop in pixels, a multiple of 8.
        batch: clips a step.
        steps: optimizer steps.
        rate: of Adam at its peak; it rises over the first twentieth and falls by a cosine to a tenth.
        square_weight: of the square error beside the absolute one. Without it, what is shown least often is ignored for
            long (the median of a picture is its ground); with too much of it, no grain is drawn.
        made_share: of the steps that are on latents that the network made, see ``made_latents``.
    """

    frames: int
    side: int
    batch: int
    steps: int
    rate: float
    square_weight: float = 0.5
    made_share: float = 0.0


def new_vae(base_dim: int, seed: int, frames: np.ndarray) -> AutoencoderKLWan:
    """A Wan 2.1 VAE of a small base width: a finished encoder, and a decoder that begins as one for single pictures.

    What looks back in time starts at zero, the resampling in time at handing on the newest frame; in space the first
    channels find their way through from the first step on. From random weights the colours come late.

    Args:
        frames: [N, T, H, W, 3] uint8 clips, of which ``linear_encoder.components`` are taken.
    """
    from diffusers import AutoencoderKLWan

    torch.manual_seed(seed)
    vae = AutoencoderKLWan(base_dim=base_dim, z_dim=LATENT_CHANNELS, latents_mean=[0.0] * 16, latents_std=[1.0] * 16)
    with torch.no_grad():
        for name, layer in vae.named_modules():
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Conv3d)):
                _start(layer, name)
    write_encoder(vae, components(frames, base_dim))
    return vae


def _start(layer: torch.nn.Conv2d | torch.nn.Conv3d, name: str) -> None:
    """Start values of a layer, in place."""
    weight = layer.weight
    layer.bias.zero_()
    if name.endswith("time_conv"):
        copies = layer.out_channels // layer.in_channels
        weight.mul_(0.3)
        weight[:, :, -1, 0, 0] = torch.eye(layer.in_channels).repeat(copies, 1)
        return
    if weight.ndim == 5:
        weight[:, :, :-1] = 0
        weight = weight[:, :, -1]
    spread = weight[0].numel() ** -0.5
    if name.endswith(("conv1", "to_qkv")):
        weight.normal_(0, spread)
        return
    if name.endswith(("conv2", "proj")):
        weight.normal_(0, 0.3 * spread)
        return
    # Layers on the straight way from clip to latents and back hand on the colour under them.
    weight.normal_(0, 0.2 * spread)
    straight = torch.nn.init.orthogonal_(torch.empty(weight.shape[:2]))
    if weight.shape[-1] == 1:
        weight[:, :, 0, 0] += straight
    else:
        weight[:, :, 1, 1] += straight


class ClipPool:
    """Random crops of rendered clips. Draws are keyed by the step, so a resumed run sees what it would have seen."""

    def __init__(self, frames_files: Sequence[Path], seed: int, made: Sequence[tuple[np.ndarray, Tensor]] = ()):
        """Args: files of [N, T, H, W, 3] uint8, all of one N; a seed; and clips [T, H, W, 3] with latents that the network made of them, in the VAE's own units."""
        self.shards = [np.load(file, mmap_mode="r") for file in frames_files]
        self.seed = seed
        self.made = made

    def crops(self, phase: VaePhase, phase_index: int, step: int) -> tuple[Tensor, Tensor | None]:
        """[batch, 3, frames, side, side] float32 in -1..1, and what they are to be decoded from where that is not their own latents."""
        rng = np.random.default_rng([self.seed, phase_index, step])
        if rng.random() < phase.made_share:
            chosen = [self.made[int(rng.integers(len(self.made)))] for _ in range(phase.batch)]
            return as_video(np.stack([clip for clip, _ in chosen])), torch.stack([latents for _, latents in chosen])
        parts = []
        for _ in range(phase.batch):
            shard = self.shards[int(rng.integers(len(self.shards)))]
            n, t, h, w, _ = shard.shape
            first = int(rng.integers(t - phase.frames + 1))
            clip = shard[int(rng.integers(n))]
            y, x = (int(rng.integers(size - phase.side + 1)) for size in (h, w))
            if rng.random() < COLOURED_SHARE:
                y, x = _coloured_corner(clip[first + int(rng.integers(phase.frames))], phase.side, rng)
            parts.append(clip[first : first + phase.frames, y : y + phase.side, x : x + phase.side])
        return as_video(np.stack(parts)), None


def _coloured_corner(picture: np.ndarray, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Corner of a crop of [H, W, 3] uint8 that holds one of its more colourful pixels: most likely of a shape."""
    chroma = np.ptp(picture.astype(np.int16), axis=-1)
    most = np.flatnonzero(chroma >= np.partition(chroma.ravel(), -100)[-100])
    pixel = np.unravel_index(int(rng.choice(most)), chroma.shape)
    corners = (int(at) - int(rng.integers(side)) for at in pixel)
    y, x = (min(max(corner, 0), size - side) for corner, size in zip(corners, chroma.shape, strict=True))
    return y, x


def reconstruction_loss(made: Tensor, video: Tensor, square_weight: float) -> tuple[Tensor, Tensor]:
    """Charbonnier error of colours and tints, the square error added, and the weighted error of change and of local energies; both [B, 3, T, H, W] in -1..1."""
    difference = made - video
    tint = difference[:, ::2] - difference[:, 1:2]
    error = _distance(difference, square_weight) + COLOUR_WEIGHT * _distance(tint, square_weight)
    structure = torch.zeros(())
    for axis in (-1, -2, -3):
        if made.shape[axis] > 1:
            structure = structure + CHANGE_WEIGHT * (made.diff(dim=axis) - video.diff(dim=axis)).abs().mean()
    for measure in (_detail, _change):
        if measure is _detail or made.shape[2] > 1:
            structure = structure + ENERGY_WEIGHT * (_energy(measure(made)) - _energy(measure(video))).abs().mean()
    return error, structure


def _distance(difference: Tensor, square_weight: float) -> Tensor:
    square = difference.square()
    return square.add(1e-4).sqrt().mean() + square_weight * square.mean()


def _detail(video: Tensor) -> Tensor:
    pictures = video.transpose(1, 2).flatten(0, 1)
    return pictures - F.avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)


def _change(video: Tensor) -> Tensor:
    return video.diff(dim=2).transpose(1, 2).flatten(0, 1)


def _energy(pictures: Tensor) -> Tensor:
    """Root mean square in each square of 8 x 8 pixels."""
    return F.avg_pool2d(pictures.square(), 8).add(1e-4).sqrt()


def train_vae(
    state_file: Path,
    vae: AutoencoderKLWan,
    pool: ClipPool,
    phases: Sequence[VaePhase],
    save_every: int = 100,
    report: Callable[[str], None] = print,
) -> Iterator[tuple[int, int]]:
    """Train the decoder through all phases, in place; goes on from ``state_file`` where it exists.

    Yields (phase, step) after every saving of the state.
    """
    optimizers = _optimizers(vae, phases[0].rate)
    start_phase = start_step = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        vae.load_state_dict(state["vae"])
        for optimizer, values in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        start_phase, start_step = state["phase"], state["step"]
    for index in range(start_phase, len(phases)):
        phase = phases[index]
        means = torch.zeros(3)
        for step in range(start_step if index == start_phase else 0, phase.steps):
            for group in [group for optimizer in optimizers for group in optimizer.param_groups]:
                group["lr"] = phase.rate * warmup_cosine(step, phase.steps)
            values = _vae_step(vae, optimizers, pool.crops(phase, index, step), phase)
            means += torch.tensor(values)
            done = step + 1
            if done % 25 == 0 or done == phase.steps:
                loss, error, psnr = (means / ((done - 1) % 25 + 1)).tolist()
                report(f"vae phase {index} step {done}: loss {loss:.4f} error {error:.4f} psnr {psnr:.2f}")
                means.zero_()
            if done % save_every == 0 or done == phase.steps:
                at = (index, done) if done < phase.steps else (index + 1, 0)
                state = {
                    "vae": vae.state_dict(), "phase": at[0], "step": at[1],
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                }  # fmt: skip
                with replacing(state_file) as part:
                    torch.save(state, part)
                yield index, done


def _optimizers(vae: AutoencoderKLWan, rate: float) -> list[torch.optim.Optimizer]:
    """One for the weights of the convolutions inside, Adam for the first and last layers and all that is no matrix."""
    trained = {name: value for name, value in vae.named_parameters() if name.startswith(DECODER)}
    ends = ("decoder.conv_in.weight", "decoder.conv_out.weight")
    inner = {
        name for name, value in trained.items() if value.ndim >= 4 and name.endswith("weight") and name not in ends
    }
    matrices = [value for name, value in trained.items() if name in inner]
    others = [value for name, value in trained.items() if name not in inner]
    return [OrthogonalMomentum(matrices, lr=rate), torch.optim.Adam(others, lr=rate, betas=ADAM_BETAS)]


def _vae_step(vae, optimizers, drawn: tuple[Tensor, Tensor | None], phase: VaePhase) -> list[float]:
    video, latents = drawn
    made = decode_whole(vae, encode_linear(vae, video) if latents is None else latents)
    error, structure = reconstruction_loss(made, video, phase.square_weight)
    loss = error + structure
    vae.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(vae.parameters(), MAX_GRADIENT_NORM)
    for optimizer in optimizers:
        optimizer.step()
    psnr = -10 * math.log10(max(float((made.detach().clamp(-1, 1) - video).square().mean()) / 4, 1e-10))
    return [float(loss.detach()), float(error.detach()), psnr]


def warmup_cosine(step: int, steps: int, floor: float = 0.1) -> float:
    """Factor of the learning rate: up over the first twentieth of the steps, then down by a cosine to ``floor``."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
