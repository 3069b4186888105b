"""What the pack adds to ComfyUI's start: importing it, and loading its nodes.

    python benchmarks/import_time.py                          # import videoalign, in a fresh interpreter
    COMFYUI_PATH=/path/to/ComfyUI python benchmarks/import_time.py   # and its nodes, inside ComfyUI's own imports

COMFYUI_PYTHON names ComfyUI's interpreter where it is another one than this.

Each measurement runs in a process of its own; the median counts. Aim: under 0.1 s for both together. ComfyUI's own objects
are frozen before the clock starts: one garbage collection of its heap takes 0.2 s and more and would fall to whoever happens
to allocate then.
"""

from __future__ import annotations

import argparse
import json
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
import asyncio, gc, importlib.util, json, sys, time
sys.argv = ["main.py", "--cpu"]
sys.path.insert(0, {tree!r})
import comfy.options
comfy.options.enable_args_parsing()
import nodes, comfy_api.latest
before = set(sys.modules)
gc.freeze()
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
print(json.dumps(sorted(set(sys.modules) - before)))
print(took)
"""


def seconds_in_comfyui(repeats: int, clock: str = "perf_counter") -> float:
    """Median time of the nodes' start in the ComfyUI of COMFYUI_PATH."""
    return seconds(_nodes().replace("perf_counter", clock), repeats, _comfyui_python())


def modules_in_comfyui() -> list[str]:
    """Names of the modules that the nodes' start loads beside ComfyUI's own; the pack's begin with ``pack``."""
    return json.loads(_printed(_nodes(), _comfyui_python())[-2])


def seconds(code: str, repeats: int, python: str = sys.executable) -> float:
    """Median time that a fresh interpreter prints last; the first run, which compiles, does not count.

    Raises:
        RuntimeError: the interpreter failed; what it said.
    """
    times = [float(_printed(code, python)[-1]) for _ in range(repeats + 1)]
    return statistics.median(times[1:])


def _nodes() -> str:
    return NODES.format(tree=str(Path(os.environ["COMFYUI_PATH"]).resolve()), pack=str(PACK))


def _comfyui_python() -> str:
    """ComfyUI's own interpreter: another may lack its packages."""
    return os.environ.get("COMFYUI_PYTHON", sys.executable)


def _printed(code: str, python: str) -> list[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{python} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"import videoalign: {seconds(IMPORT, repeats):.4f} s")
    if not os.environ.get("COMFYUI_PATH"):
        print("its nodes in ComfyUI: not measured (COMFYUI_PATH names a tree)")
        return
    cpu = seconds_in_comfyui(repeats, clock="process_time")
    print(f"its nodes in ComfyUI: {seconds_in_comfyui(repeats):.4f} s, {cpu:.4f} s of CPU")


if __name__ == "__main__":
    main()
