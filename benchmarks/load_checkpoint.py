"""Loading an official checkpoint against loading the file that ``videoalign convert`` makes of it.

    python benchmarks/load_checkpoint.py --size tiny
    python benchmarks/load_checkpoint.py --size 2b --folder /somewhere/with/10/GB

Each measurement runs in a process of its own. "Loaded" means ready to score: afterwards every weight is read once, since
a memory-mapped file is otherwise not yet in memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from peak_memory import Measured
from synthetic_checkpoint import SHIPPED_TINY, Sizes, describe, write_released_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["tiny", "2b"], default="tiny")
    parser.add_argument("--folder", type=Path, help="Where to make the files; a temporary folder by default.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", choices=["build", "convert", "load"], help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        measure(arguments.step, arguments.source, arguments.folder)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        compare(arguments.size, Path(folder), arguments.repeats)


def compare(size: str, folder: Path, repeats: int) -> None:
    """Print the seconds and the peak memory of every step."""
    official, converted = SHIPPED_TINY, folder / "converted.safetensors"
    if size == "2b":
        official = folder / "official"
        print(f"synthetic released checkpoint: {describe(Sizes())}", flush=True)
        in_fresh_process("build", official, folder)
    weights = next(official.glob("checkpoint-*/model.pth"))
    print(f"official file: {weights.stat().st_size / 1e9:.3f} GB", flush=True)
    in_fresh_process("convert", official, converted)
    print(f"converted file: {converted.stat().st_size / 1e9:.3f} GB", flush=True)
    for source in (official, converted):
        for _ in range(repeats):
            in_fresh_process("load", source, folder)


def in_fresh_process(step: str, source: Path, target: Path) -> None:
    """Run one step by itself, so that no step profits from what another has imported or allocated."""
    command = [sys.executable, __file__, "--step", step, "--source", str(source), "--folder", str(target)]
    subprocess.run(command, check=True)


def measure(step: str, source: Path, target: Path) -> None:
    """One step of the comparison, in this process."""
    import torch
    import transformers.models.qwen2_vl.modeling_qwen2_vl  # noqa: F401 - imports are not what is measured

    from videoalign.reward.checkpoint_files import open_checkpoint
    from videoalign.reward.converted_file import save_converted
    from videoalign.reward.loading import load_video_reward, read_official

    if step == "build":
        with Measured() as whole:
            write_released_checkpoint(source)
        print(f"build the synthetic checkpoint: {whole}", flush=True)
    elif step == "convert":
        with Measured() as whole:
            save_converted(target, read_official(open_checkpoint(source)))
        print(f"convert: {whole}", flush=True)
    else:
        with Measured() as ready:
            model = load_video_reward(source, device="cpu")
        with Measured() as touched, torch.no_grad():
            for parameter in model.network.parameters():
                parameter.sum()
        kind = "converted file" if source.is_file() else "official folder"
        print(f"load the {kind}: {ready}; reading every weight once: {touched}", flush=True)


if __name__ == "__main__":
    main()
