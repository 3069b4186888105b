"""VideoReward: clips a second at the released size, and equal scores on the CPU and on the GPU."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from synthetic_checkpoint import Sizes, random_video_reward

from videoalign.backbones.meta_device import on_meta

from .case import Bench, Check, Outcome, parameter_bytes

CAPTION = "A red fox runs across a field of snow at dawn."
SMALL = Sizes(layers=2, hidden=128, intermediate=256, keys=128, vocabulary=1220, depth=2, embed=80, mlp=160)
# The released widths; four layers are enough to be wrong in, and a CPU reads a clip by them in seconds.
SHALLOW = Sizes(layers=4, depth=4, vocabulary=4096)
MARGIN = 8


def checks() -> list[Check]:
    """Speed, then agreement."""
    return [
        Check("VideoReward 2B, bfloat16: a clip of 1360x752", 55, speed, planned),
        Check("VideoReward 2B, bfloat16, compiled: a clip of 1360x752", 50, compiled),
        Check("VideoReward: scores of CPU and GPU, float32", 40, agreement),
    ]


def speed(bench: Bench) -> Outcome:
    """Clips through the whole stream; the share of decoding is that of reading the same clips without a model."""
    from videoalign.reward.scoring_stream import Request, accelerator_threads, score_stream

    model = _model(bench)
    count, threads = (32, accelerator_threads()) if bench.real else (2, 1)
    with tempfile.TemporaryDirectory() as name:
        files = _clips(Path(name), count, (41, 752, 1360) if bench.real else (5, 64, 96))
        began = time.perf_counter()
        for file in files[:4]:
            model.prepare(file)
        reading = (time.perf_counter() - began) / len(files[:4])

        def once() -> None:
            for _, result in score_stream(model, [Request(file, (CAPTION,)) for file in files], 4, threads):
                if isinstance(result, Exception):
                    raise result

        seconds, peak = bench.measured(once)
        clip = model.prepare(files[0])
        alone, _ = bench.measured(lambda: model.score_prepared([clip], [(CAPTION,)]), repeats=3)
    facts = {
        "clips a second": count / seconds,
        "the model alone, clips a second": 1 / alone,
        "reading a clip in one thread, s": reading,
        "share of the time that the model works": min(1.0, alone * count / seconds),
        "decode threads": threads,
        "weights, GB": parameter_bytes(model.network) / 1e9,
    }
    return Outcome(seconds / count, peak, model.working_memory(clip), facts)


def _model(bench: Bench):
    """At the released size, drawn where it works."""
    return random_video_reward(
        bench.dtype, str(bench.device), None if bench.real else SMALL, drawn_on=str(bench.device)
    )


def compiled(bench: Bench) -> Outcome:
    """The model alone on one clip, its blocks compiled, beside itself before; and how far the scores went.

    A rehearsal traces the same graphs and leaves the compiler out.
    """
    model, clip = _model(bench), _prepared((10, 308, 588) if bench.real else (4, 56, 84))

    def once():
        return torch.cat([rewards.float() for rewards in model.read(clip, [CAPTION])])

    with torch.no_grad():
        plain, before = bench.measured(once)[0], once()
        began = time.perf_counter()
        model.network.compile_blocks("inductor" if bench.real else "eager")
        once()
        first = time.perf_counter() - began
        seconds, peak = bench.measured(once, repeats=3)
        moved = float((once() - before).abs().max())
    facts = {"compiled / plain": seconds / plain, "the first clip, s": first, "largest change of a raw score": moved}
    # What `score_prepared` allows to sums in another order.
    limit = 0.25 if bench.dtype == torch.bfloat16 else 2e-5
    return Outcome(seconds, peak, None, facts, "" if moved <= limit else f"a score moved by {moved:.2g}")


def planned() -> Outcome:
    """Operations and activations of one clip at the released size, on tensors without content."""
    from synthetic_checkpoint import official_shapes
    from torch._subclasses.fake_tensor import FakeTensorMode

    from videoalign.planning.counting import Count, without_content
    from videoalign.reward.checkpoint_weights import network_name
    from videoalign.reward.network_config import config_from_shapes
    from videoalign.reward.qwen2vl_network import Qwen2VLRewardNetwork

    shapes = {network_name(name): shape for name, shape in official_shapes(Sizes()).items() if "lora_" not in name}
    with on_meta():
        network = Qwen2VLRewardNetwork(config_from_shapes(shapes), Sizes().vocabulary, 1).to(torch.bfloat16)
    grid = (5, 22, 42)
    tokens = grid[0] * grid[1] * grid[2] // 4 + 1000
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        without_content(network)
        network.set_rotary_precision(torch.bfloat16, "cpu")
        patches = torch.empty(grid[0] * grid[1] * grid[2], 1176, dtype=torch.bfloat16)
        with Count([*network.parameters(), *network.buffers()]) as count:
            network.embed_clips([patches], [grid])
            network.read(torch.empty(1, tokens, Sizes().hidden, dtype=torch.bfloat16))
    return Outcome(planned=count.peak, facts={"TFLOP": count.operations / 1e12})


def agreement(bench: Bench) -> Outcome:
    """Raw rewards of one clip on both, against the CPU's in float64.

    The bound: both sum the same products in float32, in another order, so their errors against float64 are of one size. The
    CPU's is measured; the GPU's may be ``MARGIN`` times it: its sums are split in other places, and an error is one draw.
    TF32, which would round products to 11 bits, is off, as PyTorch leaves it.
    """
    sizes = SHALLOW if bench.real else SMALL
    clip = _prepared((10, 308, 588) if bench.real else (4, 56, 84))
    # Weights are drawn in bfloat16, so every type and device has the same.
    models = {
        "float64": random_video_reward(torch.float64, "cpu", sizes),
        "CPU": random_video_reward(torch.float32, "cpu", sizes),
        "device": random_video_reward(torch.float32, str(bench.device), sizes),
    }
    with torch.no_grad():
        rewards = {name: model.raw_rewards([clip], [CAPTION])[0].double().cpu() for name, model in models.items()}
    cpu, device = ((rewards[name] - rewards["float64"]).abs().max() for name in ("CPU", "device"))
    # A reward itself is a float32: its own rounding is the least that can be asked for.
    bound = MARGIN * max(float(cpu), float(rewards["float64"].abs().max()) * torch.finfo(torch.float32).eps)
    facts = {"error on the CPU": float(cpu), "error on the device": float(device), "bound": bound}
    wrong = "" if float(device) <= bound else f"scores differ by {float(device):.2g}, more than {bound:.2g}"
    if not _same_patches(bench):
        wrong = "patches that are cut on the device differ from those of the CPU"
    return Outcome(facts=facts, wrong=wrong)


def _same_patches(bench: Bench) -> bool:
    """Whether a clip's patches are the CPU's, to the bit, where the device's second queue makes them."""
    from videoalign.clips.frames import SampledFrames
    from videoalign.reward.clip import prepare_frames

    pixels = torch.from_numpy(_pixels(4, 56, 84).transpose(0, 3, 1, 2).copy())
    frames = SampledFrames(pixels, [0, 1, 2, 3], 4, 2.0)
    reader = (bench.device, torch.float32) if bench.device.type != "cpu" else None
    return torch.equal(prepare_frames(frames, reader).patches.cpu(), prepare_frames(frames).patches)


def _prepared(shape: tuple[int, int, int]):
    from videoalign.reward.clip import PreparedClip
    from videoalign.reward.frame_pixels import normalise, patchify

    frames, height, width = shape
    pixels = _pixels(frames, height, width).transpose(0, 3, 1, 2)
    patches, grid = patchify(normalise(torch.from_numpy(pixels.copy()).float()))
    return PreparedClip(patches, grid, list(range(frames)), (height, width), frames, 2.0)


def _clips(folder: Path, count: int, shape: tuple[int, int, int]) -> list[Path]:
    """One clip under several names: what is read costs the same, and making it is not what is measured."""
    from videoalign.clips.video_file import write_video

    first = folder / "0.mp4"
    write_video(first, _pixels(*shape), 8.0, "yuv420p")
    files = [first, *(folder / f"{number}.mp4" for number in range(1, count))]
    for file in files[1:]:
        file.write_bytes(first.read_bytes())
    return files


def _pixels(frames: int, height: int, width: int) -> np.ndarray:
    """Moving waves of colour with some noise, [T, H, W, 3] uint8."""
    rows, columns = np.mgrid[:height, :width] / 40
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    moving = [
        np.stack([np.sin(rows + t / 3 + c) + np.cos(columns - t / 4 * c) for c in range(3)], -1) for t in range(frames)
    ]
    return np.clip(128 + 55 * np.stack(moving) + noise, 0, 255).astype(np.uint8)
