"""Trains the micro DiT: a rectified flow on latents of clips, conditioned on captions that are sometimes left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ...backbones.flow_path import add_noise, shift_sigma, velocity_target
from ...backbones.micro_text import WIDTH, encode_caption
from ...files.atomic_file import replacing
from .orthogonal_momentum import OrthogonalMomentum
from .vae_training import warmup_cosine

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel

MAX_GRADIENT_NORM = 1.0
REPORT_EVERY = 25


@dataclass(frozen=True)
class FlowTraining:
    """Size of the DiT and of its training.

    Attributes:
        heads: attention heads of 128 channels each.
        ffn, blocks: width of the feed-forward layers, number of blocks.
        steps, batch: optimizer steps, clips a step.
        rate: of both optimizers at its peak; warm-up and cosine to a fiftieth.
        shift: noise levels are uniform, then shifted (``flow_path.shift_sigma``). The few large shapes are
            decided at high noise.
        caption_dropout: share of the clips that are trained without their caption.
        average_steps: length of the moving average of the weights, which is what is kept; shorter at the beginning.
        first_clips, clips_per_step: how many clips are drawn from, and by how many that grows each step, so that training
            can begin while clips are still being encoded.
        compiled: let torch compile the blocks, a fifth faster; needs a C++ compiler.
    """

    heads: int = 1
    ffn: int = 512
    blocks: int = 6
    steps: int = 8500
    batch: int = 32
    rate: float = 2.5e-3
    weight_decay: float = 0.01
    shift: float = 3.0
    caption_dropout: float = 0.1
    average_steps: int = 300
    first_clips: int = 500
    clips_per_step: float = 1.6
    compiled: bool = False


def new_dit(training: FlowTraining, seed: int) -> WanTransformer3DModel:
    """A Wan 2.1 T2V transformer of small size; its blocks begin close to the identity and its output is zero."""
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    dit = WanTransformer3DModel(
        num_attention_heads=training.heads, attention_head_dim=128, in_channels=16, out_channels=16, text_dim=WIDTH,
        freq_dim=256, ffn_dim=training.ffn, num_layers=training.blocks, cross_attn_norm=True,
    )  # fmt: skip
    with torch.no_grad():
        for name, module in dit.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                module.bias.zero_()
                if name.startswith("blocks.") and name.endswith(("to_out.0", "net.2")):
                    module.weight *= (2 * training.blocks) ** -0.5
        # Word vectors have a standard deviation of 0.5; modulations begin small and gates at one.
        dit.condition_embedder.text_embedder.linear_1.weight *= 2
        dit.condition_embedder.time_proj.weight *= 0.1
        dit.scale_shift_table.zero_()
        for block in dit.blocks:
            block.scale_shift_table.zero_()
            block.scale_shift_table[:, [2, 5]] = 1
        dit.proj_out.weight.zero_()
    return dit


class LatentPool:
    """Latents and captions of encoded clips, in the order in which they were encoded; grows as files appear."""

    def __init__(self, folder: Path, captions: Callable[[Path], list[str]]):
        """Args: folder of ``latents_*.safetensors``; and what gives the captions of such a file."""
        self.folder = folder
        self.captions_of = captions
        self.files: list[Path] = []
        self.latents = torch.zeros(0)
        self.texts: list[str] = []

    def require(self, clips: int) -> int:
        """Read files until ``clips`` are there, or all; returns how many can be drawn from."""
        from safetensors.torch import load_file

        if len(self.texts) < clips:
            for file in sorted(self.folder.glob("latents_*.safetensors")):
                if file not in self.files:
                    latents = load_file(file)["latents"].float()
                    self.latents = torch.cat([self.latents, latents]) if self.files else latents
                    self.texts += self.captions_of(file)
                    self.files.append(file)
        return min(clips, len(self.texts))


def train_flow(
    state_file: Path,
    dit: WanTransformer3DModel,
    pool: LatentPool,
    training: FlowTraining,
    seed: int,
    save_every: int = 250,
    report: Callable[[str], None] = print,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Train in place; goes on from ``state_file`` where it exists.

    Yields (step, averaged weights) after every saving of the state; the last ones are the result.
    """
    average = {name: tensor.clone() for name, tensor in dit.state_dict().items()}
    optimizers = optimizers_of(dit, training.rate, training.weight_decay)
    step = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        dit.load_state_dict(state["dit"])
        average = state["average"]
        for optimizer, values in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        step = state["step"]
        if step == training.steps:
            yield step, average
    if training.compiled:
        for block in dit.blocks:
            block.compile(dynamic=False)
    total = 0.0
    while step < training.steps:
        factor = warmup_cosine(step, training.steps, floor=0.02)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = training.rate * factor
        clips = pool.require(int(training.first_clips + training.clips_per_step * step))
        total += _flow_step(dit, optimizers, pool, clips, training, np.random.default_rng([seed, step]))
        step += 1
        keep = min(1 - 1 / training.average_steps, step / (step + 10))
        for name, tensor in dit.state_dict().items():
            average[name].lerp_(tensor, 1 - keep)
        if step % REPORT_EVERY == 0:
            report(f"flow step {step}: loss {total / REPORT_EVERY:.4f} on {clips} clips")
            total = 0.0
        if step % save_every == 0 or step == training.steps:
            state = {
                "dit": dit.state_dict(), "average": average, "step": step,
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            }  # fmt: skip
            with replacing(state_file) as part:
                torch.save(state, part)
            yield step, average


def optimizers_of(dit: WanTransformer3DModel, rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """One for all matrices but the output's, Adam for all else."""
    inner = {name for name, value in dit.named_parameters() if value.ndim == 2 and not name.startswith("proj_out.")}
    matrices = [value for name, value in dit.named_parameters() if name in inner]
    others = [value for name, value in dit.named_parameters() if name not in inner]
    return [
        OrthogonalMomentum(matrices, lr=rate, weight_decay=weight_decay),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def text_batch(captions: list[str]) -> Tensor:
    """[B, L, 4096] word vectors. Captions without words are L tokens of zeros: to attention the same as one of them."""
    texts = [encode_caption(caption) for caption in captions]
    length = max(len(text) for text in texts)
    return torch.stack([text if len(text) == length else text[:1].expand(length, -1) for text in texts])


def _flow_step(dit, optimizers, pool: LatentPool, clips: int, training: FlowTraining, rng) -> float:
    chosen = rng.integers(clips, size=training.batch)
    clean = pool.latents[torch.from_numpy(chosen)]
    dropped = rng.random(training.batch) < training.caption_dropout
    captions = ["" if drop else pool.texts[i] for i, drop in zip(chosen, dropped, strict=True)]
    # Stratified over the batch: the same distribution with less variance of the loss.
    u = torch.from_numpy((rng.permutation(training.batch) + rng.random(training.batch)) / training.batch).float()
    sigma = shift_sigma(u, training.shift)
    noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
    made = dit(add_noise(clean, noise, sigma), sigma * 1000, text_batch(captions), return_dict=False)[0]
    loss = F.mse_loss(made, velocity_target(clean, noise))
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(dit.parameters(), MAX_GRADIENT_NORM)
    for optimizer in optimizers:
        optimizer.step()
    return float(loss.detach())
