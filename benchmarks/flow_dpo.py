"""Flow-DPO: time a pair and peak memory of this project's two backward passes and of a plain implementation.

    plain   a second copy of the model as reference, one batch of both clips
    joint   one batch of both clips; the reference is the same network without its adapter
    split   the graphs of the two clips never live together; the rejected clip's gradient is taken at once and scaled later
    again   split as it is for a network in shards, and was in 0.1.0: the rejected clip is run a second time

Each runs in a process of its own, one after the other, on the same Wan with random weights, the same pair, gradient
checkpointing in all. "Activations" is the peak above what the process held before the step; "at rest" is what it held then,
the model itself and the plain one's second copy. The gradients of all are compared.

    python benchmarks/flow_dpo.py [--device cuda --size 1.3b] [--repeats 3]
"""

import argparse
import json
import os
import resource
import subprocess
import sys

import torch
from results_section import Section, benchmark_parser
from timing import COLUMNS, Stopwatch, Times

SIZES = {  # width, heads, feed-forward, blocks, latent T, H, W, LoRA rank
    "small": (256, 2, 1024, 8, 4, 24, 24, 16),
    "1.3b": (1536, 12, 8960, 30, 21, 60, 104, 64),
}
NAMES = ("plain", "joint", "split", "again")
HEADINGS = {
    "small": "Flow-DPO: joint, split and plain backward",
    "1.3b": "Flow-DPO: joint, split and plain backward at Wan 1.3B's size",
}


def main() -> None:
    """Measure all three and print the section."""
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return
    with Section(HEADINGS[options.size], options, libraries=("torch", "diffusers", "peft")) as section:
        compare(section, options)


def compare(section: Section, options: argparse.Namespace) -> None:
    """The table: a row an implementation, each as soon as its process has ended."""
    width, _, _, blocks, *latent, rank = SIZES[options.size]
    cuda = options.device.startswith("cuda")
    section.paragraph(
        f"A Wan of width {width} and {blocks} blocks, {latent[0] * latent[1] * latent[2] // 4} tokens a clip, LoRA rank {rank}, "
        f"{'bfloat16' if cuda else 'float32'}, {options.device}, gradient checkpointing in all, {options.repeats} pairs after one that does "
        f"not count. Ratios are of the fastest pairs {'by the clock' if cuda else 'in CPU seconds'}; activations = peak above what the process "
        "held before the step."
    )
    section.table("a pair", *COLUMNS, "of plain", "activations, MB", "of plain", "at rest, MB")
    rows, ratios = {}, {}
    for name in NAMES:
        rows[name] = row = in_fresh_process(name, options)
        times, plain = Times(row["runs"]), Times(rows["plain"]["runs"])
        ratios[name] = times.ratio(plain)[1 if cuda else 0], row["peak"] / rows["plain"]["peak"]
        slower, share = ratios[name]
        memory_cells = (f"{row['peak'] / 1e6:.0f}", share, f"{row['rest'] / 1e6:.0f}")
        section.row(name, *times.cells(digits=3), slower, *memory_cells)
    section.aim("split's activations, of plain", ratios["split"][1], at_most=0.6)
    section.aim("split's time, of plain", ratios["split"][0], at_most=1.1)
    differences = [abs(row["gradient"] / rows["plain"]["gradient"] - 1) for row in rows.values()]
    section.note(f"The norms of the gradients agree to {max(differences):.1e}.")


def in_fresh_process(name: str, options: argparse.Namespace) -> dict:
    """What ``measure`` returns, from a process that does nothing else."""
    # every tensor gets its own pages, so that freed ones leave the process and the peak is what is in use
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    choice = ["--device", options.device, "--size", options.size, "--repeats", str(options.repeats)]
    done = subprocess.run(
        [sys.executable, __file__, "--one", name, *choice],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, options: argparse.Namespace) -> dict:
    """Seconds of each pair, bytes and the gradient's norm of one implementation."""
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

    def backward() -> None:
        with torch.autocast(torch.device(options.device).type, dtype, enabled=cuda):
            loss = step(batch)
        loss.backward()

    watch, rest = Stopwatch(torch.cuda.synchronize if cuda else lambda: None), 0
    for number in range(options.repeats + 1):
        for parameter in parameters:
            parameter.grad = None
        if number == 1:  # the first step has loaded code and set up buffers
            rest = memory(cuda)
        watch.run("pair", backward)
    norm = torch.sqrt(sum(parameter.grad.float().square().sum() for parameter in parameters)).item()
    return {"runs": watch.times["pair"].runs[1:], "rest": rest, "peak": peak(cuda) - rest, "gradient": norm}


def our_step(backbone, backward: str):
    """The project's own loss."""
    from videoalign.training.flow.flow_module import FlowModule
    from videoalign.training.flow.methods import dpo

    if backward == "again":
        backward, dpo.can_take_early = "split", lambda _parameters: False
    module = FlowModule(backbone, dpo.FlowDpo(dpo.DpoOptions(backward=backward)), bins=5, fps=16.0)
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
