"""Reward guidance: time a step and peak memory, guided against unguided, in one run.

    python benchmarks/guidance_cost.py                     # the micro model as it is shipped: some seconds on a CPU
    python benchmarks/guidance_cost.py --size 1.3b --layers 8 --blocks 4 --frames 9 --width 128 --height 128 --repeats 3
    python benchmarks/guidance_cost.py --size 14b --reward-size 1.3b --device cuda --dtype bfloat16
    python benchmarks/guidance_cost.py --size 14b --reward-size 1.3b --layers 1 --frames 17 --width 256 --height 256

Wan 1.3b and 14b have random weights, as the micro model has where its embedded file is missing. All rows are measured in
turn, --repeats times, after one round that is not counted: fastest, median and slowest in CPU seconds of all threads (for a
machine that is busy with something else) and by the clock. "overhead" is what guidance takes within the guided
steps. "plain" is what it can be compared with: forward and backward of the trunk's blocks alone, to their tokens, with
frozen weights, written out.

With --layers below the model's own number the trunk has fewer blocks in proportion (or --blocks). What a layer and a block
take beyond the same without any is then added for the missing ones: "scaled". A longer clip is extrapolated: seconds of a layer, a
block and the rest as measured, by the operations that are counted (attention grows with the square of the tokens) and by the
tokens. That is no measurement.

Aims: overhead at most 1.25 of plain for the micro model, 1.1 with the trunk of a 1.3b; a 1.3b reward on a 14b generator below
15 % of a CFG step.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from peak_memory import Measured
from results_section import Section, benchmark_parser
from timing import COLUMNS, Stopwatch, Times
from wan_sizes import CLIP, CLIP_TOKENS, SIZES, depth, network

from videoalign.backbones.backbone import Backbone
from videoalign.backbones.micro_files import MICRO_NETWORK
from videoalign.backbones.sampling import guided_velocity, sample
from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import RAW, GuidanceSettings
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.heads import HeadConfig
from videoalign.reward.latent.latent_reward import LatentReward

HEADING = "What reward guidance costs"
SHARE_COLUMNS = ("CPU, fastest", "median", "clock, fastest", "median")
SIGMA, CFG_SCALE = 0.6, 5.0
ONCE, CFG, GUIDED = "unguided step without CFG", "unguided step with CFG", "guided step with CFG"
OVERHEAD, OVERHEAD_0 = "overhead", "  the same without trunk blocks"
HEADS, HEADS_ONE_BY_ONE, ONE_HEAD = "heads there and back", "  one by one, the plain way", "  one of three with weight"
PLAIN, ONCE_0 = "plain forward + backward of the trunk blocks", "unguided step without CFG, without layers"
ROWS = (ONCE, CFG, GUIDED, OVERHEAD, OVERHEAD_0, PLAIN, ONCE_0, HEADS, HEADS_ONE_BY_ONE, ONE_HEAD)


def main() -> None:
    """Measure everything and print the section."""
    parser = benchmark_parser(__doc__, repeats=10)
    parser.add_argument("--size", choices=SIZES, default="micro", help="the generator")
    parser.add_argument("--reward-size", choices=SIZES, help="whose first blocks the latent reward has; as --size")
    parser.add_argument("--layers", type=int, help="of the generator; all 6, 30 or 40 by default")
    parser.add_argument("--blocks", type=int, help="of the trunk; 3 of 6, 8 of 30, 11 of 40 by default")
    parser.add_argument("--frames", type=int, help="17 for the micro model, else 81")
    parser.add_argument("--width", type=int, help="64 for the micro model, else 832")
    parser.add_argument("--height", type=int, help="64 for the micro model, else 480")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    options = parser.parse_args()
    options.reward_size = options.reward_size or options.size
    size, reward_size = SIZES[options.size], SIZES[options.reward_size]
    layers = size.layers if options.layers is None else options.layers
    if not 1 <= layers <= size.layers:
        parser.error(f"--layers {layers}: Wan {options.size} has 1 to {size.layers}.")
    blocks = options.blocks
    if blocks is None:
        blocks = max(1, round(reward_size.trunk * layers / size.layers))
    if not 1 <= blocks <= reward_size.layers:
        parser.error(f"--blocks {blocks}: Wan {options.reward_size} has 1 to {reward_size.layers}.")
    given = options.frames, options.width, options.height
    clip = tuple(value or default for value, default in zip(given, size.clip, strict=True))

    torch.manual_seed(0)
    models = (
        "the micro model" if options.size == "micro" else f"Wan {options.size}, reward on Wan {options.reward_size}"
    )
    with Section(f"{HEADING}: {models}", options, libraries=("torch", "diffusers")) as section:
        report(section, Run(options, layers, blocks, clip), options, layers, clip)


def report(section: Section, run: Run, options: argparse.Namespace, layers: int, clip: tuple[int, ...]) -> None:
    """Tables of times and shares, measured and scaled to the whole models, then memory."""
    size, reward_size, blocks = SIZES[options.size], SIZES[options.reward_size], run.blocks
    section.paragraph(
        f"Wan {options.size}, {layers} of {size.layers} layers; reward on Wan {options.reward_size}, {blocks} trunk blocks; "
        f"{clip[0]} frames of {clip[1]}x{clip[2]}, {run.tokens} tokens, {size.text} of text; {options.device}, {options.dtype}; "
        f"weights {run.weights}; {options.repeats} repeats."
    )
    measured = run.times(options.repeats)
    section.table("", *(column.replace(" s,", " ms,") for column in COLUMNS))
    for name, taken in measured.items():
        section.row(name.strip(), *taken.cells(scale=1e3))
    times = {name: np.array([*taken.cpu[:2], *taken.clock[:2]]) for name, taken in measured.items()}
    check = 1e3 * (times[GUIDED] - times[CFG])
    section.row("guided - unguided (to check the overhead)", *check[:2], "", *check[2:], "")

    section.table(f"with {layers} layers, {blocks} trunk blocks, as measured", *SHARE_COLUMNS)
    show_shares(section, times[OVERHEAD], times[PLAIN], times[CFG], times[ONCE])
    trunk, of_plain, of_cfg = blocks, times[OVERHEAD] / times[PLAIN], times[OVERHEAD] / times[CFG]
    if layers < size.layers:
        trunk = max(blocks, reward_size.trunk)
        a_layer, a_block = (times[ONCE] - times[ONCE_0]) / layers, (times[OVERHEAD] - times[OVERHEAD_0]) / blocks
        more = size.layers - layers
        overhead, plain = times[OVERHEAD] + (trunk - blocks) * a_block, times[PLAIN] * trunk / blocks
        section.table(f"scaled to {size.layers} layers, {trunk} trunk blocks", *SHARE_COLUMNS)
        cfg = times[CFG] + 2 * more * a_layer
        show_shares(section, overhead, plain, cfg, times[ONCE] + more * a_layer)
        of_plain, of_cfg = overhead / plain, overhead / cfg
    together, alone = (times[name] / times[HEADS_ONE_BY_ONE] for name in (HEADS, ONE_HEAD))
    section.note(
        f"Heads together take {together[0]:.2f} of one by one in fastest CPU seconds, {together[2]:.2f} by the clock; with one "
        f"of three that has a weight {alone[0]:.2f} and {alone[2]:.2f}."
    )
    kind = "in fastest CPU seconds" + (", scaled" if layers < size.layers else "")
    section.aim(f"overhead / plain {kind}", of_plain[0], at_most=1.25 if options.reward_size == "micro" else 1.1)
    if (options.size, options.reward_size) == ("14b", "1.3b"):
        section.aim(f"overhead / CFG step {kind}", of_cfg[0], at_most=0.15, form=".1%")
    if options.size != "micro":
        show_longer(section, run, {name: taken[0] for name, taken in times.items()}, options, layers)
    run.show_memory(section, trunk)


def show_longer(
    section: Section, run: Run, fastest: dict[str, float], options: argparse.Namespace, layers: int
) -> None:
    """The whole models at this clip's length and at the one that a Wan is made for, from fastest CPU seconds: extrapolated."""
    size, reward_size = SIZES[options.size], SIZES[options.reward_size]
    trunk, tokens = max(run.blocks, reward_size.trunk), run.tokens
    a_layer = (fastest[ONCE] - fastest[ONCE_0]) / layers / size.operations(tokens)
    there_and_back = reward_size.operations(tokens, backward=True)
    a_block = (fastest[OVERHEAD] - fastest[OVERHEAD_0]) / run.blocks / there_and_back
    a_plain_block = fastest[PLAIN] / run.blocks / there_and_back
    section.table(
        f"extrapolated by counted operations: {size.layers} layers, {trunk} trunk blocks",
        *("tokens", "overhead / plain", "of a CFG step", "counted operations of a CFG step"),
    )
    for name, count in (("this clip", tokens), (f"{CLIP[0]} frames of {CLIP[1]}x{CLIP[2]}", CLIP_TOKENS)):
        longer, work = count / tokens, trunk * reward_size.operations(count, backward=True)
        whole = 2 * size.layers * size.operations(count)
        overhead = longer * fastest[OVERHEAD_0] + work * a_block
        cfg = 2 * longer * fastest[ONCE_0] + whole * a_layer
        section.row(
            name, count, f"{overhead / (work * a_plain_block):.2f}", f"{overhead / cfg:.1%}", f"{work / whole:.1%}"
        )


class Run:
    """One configuration: the models, a latent, and what is measured of them."""

    def __init__(self, options: argparse.Namespace, layers: int, blocks: int, clip: tuple[int, int, int]) -> None:
        self.device, self.blocks, self.reward_size = torch.device(options.device), blocks, options.reward_size
        dtype = getattr(torch, options.dtype)
        self.generator = network(options.size, layers, dtype, self.device)
        trunk = network(options.reward_size, blocks, dtype, self.device)
        head = HeadConfig(width=SIZES[options.reward_size].head_width)
        self.reward = LatentReward(trunk, head).to(self.device)
        self.reward.requires_grad_(False).eval()
        self.weights = "embedded" if options.size == "micro" and MICRO_NETWORK.exists() else "random"
        shape = self.generator.latent_format.shape(clip[0], clip[2], clip[1])
        self.tokens = shape[1] * -(-shape[2] // 2) * -(-shape[3] // 2)
        self.x_t = torch.randn(1, *shape, device=self.device)
        length = SIZES[options.size].text
        self.text, empty = ({"text": 0.5 * torch.randn(1, length, 4096, device=self.device)} for _ in range(2))
        self.once = guided_velocity(self.generator.velocity, self.text)
        self.cfg = guided_velocity(self.generator.velocity, self.text, empty, CFG_SCALE)
        self.guidance = FlowNRG(self.reward.rewards, GuidanceSettings(strength=100.0, mode=RAW)).begin()
        conditioned = {"text": self.text["text"].to(dtype)}
        with torch.no_grad():
            self.features = self.reward.tokens(
                self.x_t.to(dtype), torch.tensor([SIGMA], device=self.device), conditioned
            )
        self.plain = plain_trunk(trunk, self.x_t, self.text["text"].to(dtype))

    def step(self, velocity: Callable, hook: Callable | None = None) -> None:
        """One step of the product's own sampling loop."""
        sample(velocity, self.x_t, torch.tensor([SIGMA, SIGMA - 0.02]), hook)

    @torch.no_grad()
    def guide(self) -> None:
        """Guidance alone, for a velocity that is there."""
        self.guidance.hook(self.text)(self.x_t, torch.tensor([SIGMA], device=self.device), self.x_t)

    def heads(self, counted: Sequence[str] = DIMENSIONS, one_by_one: bool = False) -> None:
        """The heads' rewards of tokens that are there, and their gradient to them."""
        tokens, sigma = self.features.clone().requires_grad_(), torch.tensor([SIGMA], device=self.device)
        if one_by_one:
            rewards = torch.stack([self.reward.heads[name](tokens, sigma) for name in DIMENSIONS], 1)
        else:
            rewards = self.reward.rate(tokens, sigma, counted)
        torch.autograd.grad(rewards.sum(), tokens)

    def times(self, repeats: int) -> dict[str, Times]:
        """Times of each row."""
        hook = self.guidance.hook(self.text)
        self.round(Stopwatch(self.wait), hook)  # loads code and sets up buffers
        watch = Stopwatch(self.wait)
        for _ in range(repeats):
            self.round(watch, hook)
        return {name: watch.times[name] for name in ROWS}

    def round(self, watch: Stopwatch, hook: Callable) -> None:
        """Every row once."""
        watch.run(ONCE, self.step, self.once)
        watch.run(CFG, self.step, self.cfg)
        watch.run(GUIDED, self.step, self.cfg, lambda *arguments: watch.run(OVERHEAD, hook, *arguments))
        watch.run(PLAIN, self.plain)
        watch.run(HEADS, self.heads)
        watch.run(HEADS_ONE_BY_ONE, self.heads, DIMENSIONS, True)
        watch.run(ONE_HEAD, self.heads, DIMENSIONS[:1])
        with depth(self.generator, 0), depth(self.reward.trunk, 0):
            watch.run(ONCE_0, self.step, self.once)
            watch.run(OVERHEAD_0, self.guide)

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def show_memory(self, section: Section, trunk: int) -> None:
        """Weights, and peaks above what is in use between the steps."""
        generator, reward = (
            sum(weight.numel() * weight.itemsize for weight in module.parameters()) / 1e6
            for module in (self.generator.module, self.reward)
        )
        unguided = peak(lambda: self.step(self.cfg), self.device) / 1e6
        guided = peak(lambda: self.step(self.cfg, self.guidance.hook(self.text)), self.device) / 1e6
        alone = peak(self.guide, self.device) / 1e6
        section.table("peak memory as measured, MB", "weights", "above them", "in all")
        for name, weights, above in (
            (CFG, generator, unguided),
            (GUIDED, generator + reward, guided),
            ("guidance alone", reward, alone),
        ):
            section.row(name, *(f"{value:.1f}" for value in (weights, above, weights + above)))
        if self.reward_size == "micro":
            return
        size, backbone = SIZES[self.reward_size], self.reward.trunk
        of_text = 2 * size.text * size.width * backbone.dtype.itemsize  # keys and values, whatever the clip's length
        a_token = (kept_bytes(self.plain, backbone) / self.blocks - of_text) / self.tokens
        longer = trunk * (a_token * CLIP_TOKENS + of_text) / 1e9
        section.note(
            f"A trunk block keeps {a_token / 1e3:.1f} KB a token for its backward pass: {longer:.1f} GB for {trunk} blocks and "
            f"{CLIP_TOKENS} tokens, by count."
        )


def plain_trunk(trunk: Backbone, x_t: torch.Tensor, text: torch.Tensor) -> Callable[[], None]:
    """Forward and backward of the trunk's blocks alone, to the tokens that enter the first one."""
    module = trunk.module
    with torch.no_grad():
        tokens = module.patch_embedding(x_t.to(trunk.dtype)).flatten(2).transpose(1, 2).contiguous()
        time_step = torch.full((len(x_t),), 1000 * SIGMA, device=x_t.device)
        _, modulation, text, _ = module.condition_embedder(time_step, text, None)
        modulation, positions = modulation.unflatten(1, (6, -1)), module.rope(x_t)
        upstream = torch.randn_like(tokens)

    def there_and_back() -> None:
        leaf = tokens.clone().requires_grad_()
        hidden = leaf
        for block in module.blocks:
            hidden = block(hidden, text, modulation, positions)
        torch.autograd.grad(hidden, leaf, upstream)

    return there_and_back


def peak(work: Callable[[], None], device: torch.device) -> float:
    """Most bytes in use while ``work`` runs, above what is in use before it. It has run before: buffers are set up."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        rest = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - rest
    if sys.platform == "linux":  # freed tensors leave the process, so that the peak is what is in use
        c_library = ctypes.CDLL(None)
        for parameter in (-1, -3):  # thresholds of trimming and of mapping
            c_library.mallopt(parameter, 1 << 16)
        c_library.malloc_trim(0)
    with Measured() as rest:
        time.sleep(0.01)
    with Measured(0.0005) as busy:
        until = time.perf_counter() + 0.2
        while time.perf_counter() < until:
            work()
    return 1e9 * (busy.private - rest.private)


def kept_bytes(work: Callable[[], None], backbone: Backbone) -> int:
    """What autograd keeps of ``work`` for its backward pass, without the backbone's weights."""
    weights = {weight.untyped_storage().data_ptr() for weight in backbone.module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(kept.values())


def show_shares(section: Section, overhead: np.ndarray, plain: np.ndarray, cfg: np.ndarray, once: np.ndarray) -> None:
    """Ratios in all four measures of time."""
    for name, share, form in (
        ("overhead / plain", overhead / plain, ".2f"),
        ("overhead, of a CFG step", overhead / cfg, ".1%"),
        ("overhead, of a step without CFG", overhead / once, ".1%"),
    ):
        section.row(name, *(f"{value:{form}}" for value in share))


if __name__ == "__main__":
    main()
