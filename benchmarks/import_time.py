"""What the pack adds to ComfyUI's start: importing it, and loading its nodes.

    python benchmarks/import_time.py                          # import videoalign, in a fresh interpreter
    COMFYUI_PATH=/path/to/ComfyUI python benchmarks/import_time.py   # and its nodes, inside ComfyUI's own imports

COMFYUI_PYTHON names ComfyUI's interpreter where it is another one than this.

Each measurement runs in a process of its own; the median counts. Aim: under 0.1 s for both together.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent
IMPORT = """
import time
start = time.perf_counter()
import videoalign
print(time.perf_counter() - start)
"""
# As ComfyUI loads a custom node folder; what ComfyUI itself has imported by then is not counted.
NODES = """
import asyncio, importlib.util, sys, time
sys.argv = ["main.py", "--cpu"]
sys.path.insert(0, {tree!r})
import comfy.options
comfy.options.enable_args_parsing()
import nodes, comfy_api.latest
start = time.perf_counter()
spec = importlib.util.spec_from_file_location("pack", {pack!r} + "/__init__.py")
sys.modules["pack"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
async def load():
    extension = await module.comfy_entrypoint()
    await extension.on_load()
    return [node.GET_SCHEMA() for node in await extension.get_node_list()]
count = len(asyncio.run(load()))
took = time.perf_counter() - start
assert count >= 6, count
print(took)
"""


def seconds_in_comfyui(repeats: int, clock: str = "perf_counter") -> float:
    """Median time of the nodes' start in the ComfyUI of COMFYUI_PATH, by its own interpreter: another may lack its packages."""
    code = NODES.format(tree=str(Path(os.environ["COMFYUI_PATH"]).resolve()), pack=str(PACK))
    return seconds(code.replace("perf_counter", clock), repeats, os.environ.get("COMFYUI_PYTHON", sys.executable))


def seconds(code: str, repeats: int, python: str = sys.executable) -> float:
    """Median time that a fresh interpreter prints last; the first run, which compiles, does not count.

    Raises:
        RuntimeError: the interpreter failed; what it said.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    times = []
    for _ in range(repeats + 1):
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"{python} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        times.append(float(done.stdout.split()[-1]))
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"import videoalign: {seconds(IMPORT, repeats):.4f} s")
    if not os.environ.get("COMFYUI_PATH"):
        print("its nodes in ComfyUI: not measured (COMFYUI_PATH names a tree)")
        return
    print(f"its nodes in ComfyUI: {seconds_in_comfyui(repeats):.4f} s")


if __name__ == "__main__":
    main()
