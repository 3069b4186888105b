"""Trains the micro DiT: a rectified flow on latents of clips, conditioned on captions that are sometimes left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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
from .encoding import read_latents
from .orthogonal_momentum import OrthogonalMomentum
from .widening import double

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel

MAX_GRADIENT_NORM = 1.0
REPORT_EVERY = 25


@dataclass(frozen=True)
class FlowStage:
    """A part of the training; the learning rate warms up over its first steps and falls to zero over its last ones.

    Attributes:
        steps: optimizer steps.
        frame_share: share of the steps that are on single latent frames, each with its clip's caption: as many tokens hold
            four times as many pictures. What a circle is, frames teach; the rest are on whole clips.
        doubled: begin with a network of twice the width (``widening``).
        cool_down: steps over which the rate falls to zero at the end.
    """

    steps: int
    frame_share: float = 0.0
    doubled: bool = False
    cool_down: int = 0


STAGES = (
    FlowStage(3000),
    FlowStage(2000, frame_share=0.75, doubled=True),
    FlowStage(6600, frame_share=0.25, cool_down=1400),
)


@dataclass(frozen=True)
class FlowTraining:
    """Size of the DiT and of its training.

    Attributes:
        heads: attention heads of 128 channels each, before any stage that doubles them.
        ffn, blocks: width of the feed-forward layers (doubled with the heads), number of blocks.
        stages: one after another.
        batch, frame_batch: clips, or single latent frames, a step.
        rate: of both optimizers at its peak.
        warm_up: steps, at the beginning of a stage that doubles the network and of the first one.
        shift: noise levels are uniform, then shifted (``flow_path.shift_sigma``).
        focus: share of the levels that are drawn about ``clip_level`` instead, for frames about ``frame_level``. That is
            where shapes are found; a frame shows less through noise than a clip.
        focus_spread: standard deviation of the logits of those levels.
        caption_dropout: share of the clips that are trained without their caption.
        average_steps: length of the moving average of the weights, which is what is kept; shorter at the beginning.
        first_clips, clips_per_step: how many clips are drawn from, and by how many that grows each step, so that training
            can begin while clips are still being encoded.
        compiled: let torch compile the blocks, a fifth faster; needs a C++ compiler.
    """

    heads: int = 1
    ffn: int = 512
    blocks: int = 6
    stages: Sequence[FlowStage] = STAGES
    batch: int = 16
    frame_batch: int = 64
    rate: float = 1.5e-3
    weight_decay: float = 0.01
    warm_up: int = 50
    shift: float = 3.0
    focus: float = 0.6
    clip_level: float = 0.82
    frame_level: float = 0.65
    focus_spread: float = 0.6
    caption_dropout: float = 0.1
    average_steps: int = 100
    first_clips: int = 500
    clips_per_step: float = 8.0
    compiled: bool = False

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> tuple[int, int]:
        """Index of the stage that a step belongs to, and how many steps of it were before."""
        for index, stage in enumerate(self.stages):
            if step < stage.steps:
                return index, step
            step -= stage.steps
        return len(self.stages) - 1, self.stages[-1].steps

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        index, done = self.stage_at(step)
        stage = self.stages[index]
        begins = index == 0 or stage.doubled
        warm = min(1.0, (done + 1) / self.warm_up) if begins and self.warm_up else 1.0
        cool = min(1.0, (stage.steps - done) / stage.cool_down) if stage.cool_down else 1.0
        return self.rate * warm * cool


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

    def __init__(self, folder: Path):
        """Args: folder of the files of ``encoding.write_latents``."""
        self.folder = folder
        self.files: list[Path] = []
        self.latents = torch.zeros(0)
        self.texts: list[str] = []

    def require(self, clips: int) -> int:
        """Read files until ``clips`` are there, or all; returns how many can be drawn from."""
        if len(self.texts) < clips:
            found = [file for file in sorted(self.folder.glob("latents_*.safetensors")) if file not in self.files]
            read = [read_latents(file) for file in found]
            self.latents = torch.cat([*([self.latents] if self.files else []), *(latents for latents, _ in read)])
            self.texts += [text for _, texts in read for text in texts]
            self.files += found
        return min(clips, len(self.texts))


def train_flow(
    state_file: Path,
    dit: WanTransformer3DModel,
    pool: LatentPool,
    training: FlowTraining,
    seed: int,
    save_every: int = 100,
    report: Callable[[str], None] = print,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Train through all stages; goes on from ``state_file`` where it exists.

    Yields (step, averaged weights) after every saving of the state; the last ones are the result.
    """
    average, step, optimizer_states = None, 0, None
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        average, step, optimizer_states = state["average"], state["step"], state["optimizers"]
        for _ in range(_doublings(training, step)):
            dit = double(dit, seed)
        dit.load_state_dict(state["dit"])
        if step == training.steps:
            yield step, average
    optimizers = optimizers_of(dit, training.rate, training.weight_decay)
    if optimizer_states:
        for optimizer, values in zip(optimizers, optimizer_states, strict=True):
            optimizer.load_state_dict(values)
    average = average or _copy(dit)
    _compile(dit, training)
    total, begun = 0.0, step
    while step < training.steps:
        index, done = training.stage_at(step)
        if training.stages[index].doubled and done == 0:
            dit = double(dit, seed)
            optimizers, average = optimizers_of(dit, training.rate, training.weight_decay), _copy(dit)
            _compile(dit, training)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = training.rate_at(step)
        clips = pool.require(int(training.first_clips + training.clips_per_step * step))
        rng = np.random.default_rng([seed, step])
        single = rng.random() < training.stages[index].frame_share
        total += _flow_step(dit, optimizers, pool, clips, training, rng, single)
        step += 1
        keep = min(1 - 1 / training.average_steps, step / (step + 10))
        for name, tensor in dit.state_dict().items():
            average[name].lerp_(tensor, 1 - keep)
        if step % REPORT_EVERY == 0:
            report(f"flow step {step}: loss {total / min(REPORT_EVERY, step - begun):.4f} on {clips} clips")
            total = 0.0
        if step % save_every == 0 or step == training.steps:
            _save(state_file, step, dit.state_dict(), average, [optimizer.state_dict() for optimizer in optimizers])
            yield step, average


def begin_flow_from(state_file: Path, weights: dict[str, Tensor], step: int) -> None:
    """Write the state of a run of which nothing is left but the weights after a step: its optimizers begin anew."""
    kept = {name: tensor.float() for name, tensor in weights.items()}
    _save(state_file, step, kept, kept, None)


def _save(
    state_file: Path, step: int, weights: dict[str, Tensor], average: dict[str, Tensor], optimizers: list[dict] | None
) -> None:
    state = {"dit": weights, "average": average, "step": step, "optimizers": optimizers}
    with replacing(state_file) as part:
        torch.save(state, part)


def _doublings(training: FlowTraining, step: int) -> int:
    """How often the network of a state was doubled."""
    index, done = training.stage_at(step)
    return sum(stage.doubled for stage in training.stages[: index + (done > 0)])


def _copy(dit: WanTransformer3DModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in dit.state_dict().items()}


def _compile(dit: WanTransformer3DModel, training: FlowTraining) -> None:
    if training.compiled:
        for block in dit.blocks:
            block.compile(dynamic=False)


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


def noise_levels(rng: np.random.Generator, count: int, training: FlowTraining, single: bool) -> Tensor:
    """[count] noise levels of a batch of clips, or of single frames."""
    # Stratified over the batch: the same distribution with less variance of the loss.
    u = torch.from_numpy((rng.permutation(count) + rng.random(count)) / count).float()
    level = training.frame_level if single else training.clip_level
    about = math.log(level / (1 - level)) + training.focus_spread * rng.standard_normal(count)
    focused = torch.from_numpy(rng.random(count) < training.focus)
    return torch.where(focused, torch.from_numpy(about).float().sigmoid(), shift_sigma(u, training.shift))


def _flow_step(dit, optimizers, pool: LatentPool, clips: int, training: FlowTraining, rng, single: bool) -> float:
    batch = training.frame_batch if single else training.batch
    chosen = rng.integers(clips, size=batch)
    clean = pool.latents[torch.from_numpy(chosen)].float()
    if single:
        frame = torch.from_numpy(rng.integers(clean.shape[2], size=batch))
        clean = clean[torch.arange(batch), :, frame][:, :, None]
    dropped = rng.random(batch) < training.caption_dropout
    captions = ["" if drop else pool.texts[i] for i, drop in zip(chosen, dropped, strict=True)]
    sigma = noise_levels(rng, batch, training, single)
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
