"""Flow-DPO: time a pair and peak memory of this project's two backward passes and of a plain implementation.

    joint   one batch of both clips; the reference is the same network without its adapter
    split   the graphs of the two clips never live together (dpo.backward = split, the default)
    plain   a second copy of the model as reference, one batch of both clips

Each runs in a process of its own, one after the other, on the same Wan with random weights, the same pair, gradient
checkpointing in all. "Activations" is the peak above what the process held before the step; "at rest" is what it held then,
the model itself and the plain one's second copy. The gradients of all three are compared.

    python benchmarks/flow_dpo.py [--device cuda --size 1.3b] [--steps 3]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import torch

SIZES = {  # width, heads, feed-forward, blocks, latent T, H, W, LoRA rank
    "small": (256, 2, 1024, 8, 4, 24, 24, 16),
    "1.3b": (1536, 12, 8960, 30, 21, 60, 104, 64),
}


def main() -> None:
    """Measure all three and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--steps", type=int, default=3, help="timed pairs, after one that is not")
    parser.add_argument("--one", choices=["joint", "split", "plain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return
    rows = {}
    for name in ("plain", "joint", "split"):
        # every tensor gets its own pages, so that freed ones leave the process and the peak is what is in use
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
        own = [
            sys.executable,
            __file__,
            "--one",
            name,
            "--device",
            options.device,
            "--size",
            options.size,
            "--steps",
            str(options.steps),
        ]
        rows[name] = json.loads(
            subprocess.run(own, check=True, capture_output=True, text=True, env=environment).stdout.splitlines()[-1]
        )
    width, _, _, blocks, *latent, _ = SIZES[options.size]
    print(
        f"Wan, width {width}, {blocks} blocks, {latent[0] * latent[1] * latent[2] // 4} tokens a clip, {options.device}; fastest of {options.steps} pairs"
    )
    print(f"{'':8}{'s a pair':>10}{'of plain':>10}{'activations':>14}{'of plain':>10}{'at rest':>12}")
    plain = rows["plain"]
    for name, row in rows.items():
        print(
            f"{name:8}{row['seconds']:10.3f}{row['seconds'] / plain['seconds']:10.2f}{row['peak'] / 1e6:11.0f} MB"
            f"{row['peak'] / plain['peak']:10.2f}{row['rest'] / 1e6:9.0f} MB"
        )
    differences = [abs(row["gradient"] / plain["gradient"] - 1) for row in rows.values()]
    print(f"norms of the gradients agree to {max(differences):.1e}")


def measure(name: str, options: argparse.Namespace) -> dict:
    """Seconds, bytes and the gradient's norm of one implementation."""
    from videoalign.backbones.loading import build_backbone
    from videoalign.training.flow.adapter import add_adapter
    from videoalign.training.flow.config import LoraOptions
    from videoalign.training.flow.method import NoisedClips

    width, heads, ffn, blocks, frames, height, columns, rank = SIZES[options.size]
    cuda = options.device.startswith("cuda")
    dtype = torch.bfloat16 if cuda else torch.float32
    torch.manual_seed(0)
    config = {
        "num_attention_heads": heads, "attention_head_dim": width // heads, "ffn_dim": ffn, "num_layers": blocks, "text_dim": 512,
        "in_channels": 16, "out_channels": 16,
    }  # fmt: skip
    backbone = build_backbone("wan", config)
    backbone.to(dtype=dtype)
    backbone.module.enable_gradient_checkpointing()
    reference = None
    if name == "plain":
        reference = build_backbone("wan", config)
        reference.module.load_state_dict(backbone.module.state_dict())
        reference.to(options.device, dtype)
    add_adapter(backbone, LoraOptions(rank=rank, alpha=rank), seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for key, parameter in backbone.module.named_parameters():
            if "lora_B" in key:
                parameter.normal_(0, 0.01)
    backbone.to(options.device)
    shape = (1, 16, frames, height, columns)
    chosen = torch.randn(shape)
    clips = {"chosen": chosen, "rejected": chosen + 0.3 * torch.randn(shape)}
    one = torch.ones(1)
    batch = NoisedClips(clips, torch.randn(shape), torch.tensor([0.6]), {"text": torch.randn(1, 64, 512)}, one, one).to(
        options.device
    )
    step = plain_step(backbone, reference) if name == "plain" else our_step(backbone, name)
    parameters = [parameter for parameter in backbone.module.parameters() if parameter.requires_grad]

    clock = time.perf_counter if cuda else time.process_time  # a CPU may be busy with something else
    seconds, rest = [], 0
    for number in range(options.steps + 1):
        for parameter in parameters:
            parameter.grad = None
        if number == 1:  # the first step has loaded code and set up buffers
            rest = memory(cuda)
        start = clock()
        with torch.autocast(torch.device(options.device).type, dtype, enabled=cuda):
            loss = step(batch)
        loss.backward()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(clock() - start)
    norm = torch.sqrt(sum(parameter.grad.float().square().sum() for parameter in parameters)).item()
    return {"seconds": min(seconds[1:]), "rest": rest, "peak": peak(cuda) - rest, "gradient": norm}


def our_step(backbone, backward: str):
    """The project's own loss."""
    from videoalign.training.flow.flow_module import FlowModule
    from videoalign.training.flow.methods.dpo import DpoOptions, FlowDpo

    module = FlowModule(backbone, FlowDpo(DpoOptions(backward=backward)), bins=5, fps=16.0)
    return lambda batch: module([batch])[0]


def plain_step(backbone, reference):
    """Flow-DPO as it is usually written."""

    def step(batch):
        clean = torch.cat([batch.clips["chosen"], batch.clips["rejected"]])
        noise, t = torch.cat([batch.noise, batch.noise]), torch.cat([batch.sigma, batch.sigma])
        text = {"text": torch.cat([batch.conditioning["text"]] * 2)}
        x_t = (1 - t.view(-1, 1, 1, 1, 1)) * clean + t.view(-1, 1, 1, 1, 1) * noise
        with torch.no_grad():
            before = ((reference.velocity(x_t, t, text).float() - (noise - clean)) ** 2).mean((1, 2, 3, 4))
        now = ((backbone.velocity(x_t, t, text).float() - (noise - clean)) ** 2).mean((1, 2, 3, 4))
        gain_w, gain_l = (now - before).chunk(2)
        return -torch.nn.functional.logsigmoid(-250 * (gain_w - gain_l)).mean()

    return step


def memory(cuda: bool) -> int:
    """Bytes in use now; from here on the peak counts."""
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forgets the peak so far
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak(cuda: bool) -> int:
    """The most bytes in use since ``memory`` was called."""
    if cuda:
        return torch.cuda.max_memory_allocated()
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
