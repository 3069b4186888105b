"""What `gpu_check.py` needs beside torch, as wheels in one folder: for a machine with a GPU and no network.

    python benchmarks/gpu_checks/wheels.py FOLDER                        # where there is a network
    python -m pip install --no-index --find-links FOLDER --no-deps FOLDER/*.whl   # there, beside its torch; then the check

Downloads the versions of this environment, of every package that the pack and its trainings require, but torch and what torch itself
brings. Exit status 1 where they are larger than --most. 65 MiB with ``--there numpy pillow``, which stand beside most torches for a GPU:
half of it is PyAV with its FFmpeg.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NEEDED = ("comfyui-videoalign", "peft", "accelerate")
OWN = "comfyui-videoalign"
# Of no use to the check: the hub's faster client, terminals' colours, the server of `choose`, T5's tokenizer.
LEFT_OUT = frozenset({"torch", "torchvision", "hf-xet", "rich", "typer", "aiohttp", "sentencepiece"})
MOST = 70


def main() -> int:
    """Download, and say how much it is."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=float, default=MOST, help=f"MiB in all (default: {MOST})")
    parser.add_argument(
        "--there", nargs="*", default=[], metavar="NAME", help="packages that are there already, such as numpy pillow"
    )
    parser.add_argument("--list", action="store_true", help="say what it would be, and download nothing")
    options = parser.parse_args()
    there = {*required(("torch",)), *map(canonicalize_name, options.there)}
    wanted = [f"{name}=={number}" for name, number in required(NEEDED).items() if name not in there and name != OWN]
    if options.list:
        print(*wanted, sep="\n")
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(options.folder), *wanted], check=True)
    wheels = sorted(options.folder.glob("*.whl"), key=lambda wheel: -wheel.stat().st_size)
    size = sum(wheel.stat().st_size for wheel in wheels) / 2**20
    for wheel in wheels[:5]:
        print(f"{wheel.stat().st_size / 2**20:6.1f} MiB  {wheel.name}")
    print(f"{size:6.1f} MiB  {len(wheels)} wheels in all")
    return int(size > options.most)


def required(names: tuple[str, ...]) -> dict[str, str]:
    """Name and version of installed packages and of all that they require without extras; ``LEFT_OUT`` are not looked into."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        name = canonicalize_name(left.pop())
        if name in found or (name in LEFT_OUT and name not in names):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of another platform
            continue
        asked = map(Requirement, requires(name) or ())
        left += [one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


if __name__ == "__main__":
    sys.exit(main())
