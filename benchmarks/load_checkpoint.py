"""Loading an official checkpoint against loading the file that ``videoalign convert`` makes of it.

    python benchmarks/load_checkpoint.py --size tiny
    python benchmarks/load_checkpoint.py --size 2b --folder /somewhere/with/10/GB

Each measurement runs in a process of its own. "Loaded" means ready to score: afterwards every weight is read once, since
a memory-mapped file is otherwise not yet in memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from peak_memory import Measured
from results_section import Section, benchmark_parser
from synthetic_checkpoint import SHIPPED_TINY, Sizes, describe, write_released_checkpoint
from timing import COLUMNS, Times

HEADINGS = {"tiny": "Loading, tiny checkpoint", "2b": "Loading, 2B size"}


def main() -> None:
    """Measure every step and print the section."""
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("--size", choices=["tiny", "2b"], default="tiny")
    parser.add_argument("--folder", type=Path, help="Where to make the files; a temporary folder by default.")
    parser.add_argument("--step", choices=["build", "convert", "load"], help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(measure(options.step, options.source, options.folder)))
        return
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        Section(HEADINGS[options.size], options, libraries=("torch", "transformers")) as section,
    ):
        compare(section, options.size, Path(folder), options.repeats)


def compare(section: Section, size: str, folder: Path, repeats: int) -> None:
    """The table: seconds and peak memory of every step."""
    official, converted = SHIPPED_TINY, folder / "converted.safetensors"
    section.paragraph(
        f"{f'A synthetic released checkpoint ({describe(Sizes())})' if size == '2b' else 'The shipped tiny checkpoint'}. Every step in a process "
        "of its own, imports not counted; memory in GB (10^9 bytes), the highest of the runs: the process's own, and with the pages of "
        "memory-mapped files, which the system may drop."
    )
    section.table("", *COLUMNS, "own memory", "with mapped files")
    if size == "2b":
        official = folder / "official"
        show(section, "build the synthetic checkpoint", [in_fresh_process("build", official, folder)["build"]])
    weights = next(official.glob("checkpoint-*/model.pth"))
    show(section, "convert", [in_fresh_process("convert", official, converted)["convert"]])
    sources = {"official folder": official, "converted file": converted}
    rounds = [{kind: in_fresh_process("load", path, folder) for kind, path in sources.items()} for _ in range(repeats)]
    for kind in sources:
        show(section, f"load the {kind}", [one[kind]["load"] for one in rounds])
        show(section, "then read every weight once", [one[kind]["read"] for one in rounds])
    sizes = [file.stat().st_size / 1e9 for file in (weights, converted)]
    section.note(f"Official file {sizes[0]:.3f} GB, converted file {sizes[1]:.3f} GB.")
    ready = {kind: [one[kind]["load"]["clock"] + one[kind]["read"]["clock"] for one in rounds] for kind in sources}
    told = [f"{min(ready[kind]):.2f} to {max(ready[kind]):.2f} s from the {kind}" for kind in sources]
    section.note(f"Ready with every weight read, by the clock: {', '.join(told)}.")


def show(section: Section, name: str, runs: list[dict[str, float]]) -> None:
    """A row of the table."""
    times = Times([(run["clock"], run["cpu"]) for run in runs])
    section.row(name, *times.cells(), *(max(run[kind] for run in runs) for kind in ("private", "resident")))


def in_fresh_process(step: str, source: Path, target: Path) -> dict[str, dict[str, float]]:
    """Run one step by itself, so that no step profits from what another has imported or allocated."""
    command = [sys.executable, __file__, "--step", step, "--source", str(source), "--folder", str(target)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(step: str, source: Path, target: Path) -> dict[str, dict[str, float]]:
    """One step of the comparison, in this process: seconds and GB of each of its parts."""
    import torch
    import transformers.models.qwen2_vl.modeling_qwen2_vl  # noqa: F401 - imports are not what is measured

    from videoalign.reward.checkpoint_files import open_checkpoint
    from videoalign.reward.converted_file import save_converted
    from videoalign.reward.loading import load_video_reward, read_official

    if step == "build":
        with Measured() as whole:
            write_released_checkpoint(source)
        return {step: figures(whole)}
    if step == "convert":
        with Measured() as whole:
            save_converted(target, read_official(open_checkpoint(source)))
        return {step: figures(whole)}
    with Measured() as ready:
        model = load_video_reward(source, device="cpu")
    with Measured() as touched, torch.no_grad():
        for parameter in model.network.parameters():
            parameter.sum()
    return {step: figures(ready), "read": figures(touched)}


def figures(measured: Measured) -> dict[str, float]:
    """Seconds and GB of a part."""
    return {
        "clock": measured.seconds,
        "cpu": measured.cpu_seconds,
        "private": measured.private,
        "resident": measured.resident,
    }


if __name__ == "__main__":
    main()
