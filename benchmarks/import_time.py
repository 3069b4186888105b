"""What the pack adds to ComfyUI's start: importing it, and loading its nodes.

    python benchmarks/import_time.py                          # import videoalign, in a fresh interpreter
    COMFYUI_PATH=/path/to/ComfyUI python benchmarks/import_time.py   # and its nodes, inside ComfyUI's own imports

COMFYUI_PYTHON names ComfyUI's interpreter where it is another one than this.

Each measurement runs in a process of its own, after one that compiles and does not count. Aim: under 0.1 s of CPU for both
together. ComfyUI's own objects
are frozen before the clock starts: one garbage collection of its heap takes 0.2 s and more and would fall to whoever happens
to allocate then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from results_section import Section, benchmark_parser
from timing import COLUMNS, Times

HEADING = "Starting"
AIM = 0.1
PACK = Path(__file__).resolve().parent.parent
IMPORT = """
import time
start = time.perf_counter(), time.process_time()
import videoalign
print(time.perf_counter() - start[0], time.process_time() - start[1])
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
start = time.perf_counter(), time.process_time()
spec = importlib.util.spec_from_file_location("pack", {pack!r} + "/__init__.py")
sys.modules["pack"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
async def load():
    extension = await module.comfy_entrypoint()
    await extension.on_load()
    return [node.GET_SCHEMA() for node in await extension.get_node_list()]
count = len(asyncio.run(load()))
taken = time.perf_counter() - start[0], time.process_time() - start[1]
assert count >= 6, count
print(json.dumps(sorted(set(sys.modules) - before)))
print(*taken)
"""


def modules_in_comfyui() -> list[str]:
    """Names of the modules that the nodes' start loads beside ComfyUI's own; the pack's begin with ``pack``."""
    return json.loads(_printed(_nodes(), _comfyui_python())[-2])


def measure(code: str, repeats: int, python: str = sys.executable) -> Times:
    """What fresh interpreters print last: seconds by the clock and of the processor.

    Raises:
        RuntimeError: the interpreter failed; what it said.
    """
    _printed(code, python)  # compiles
    return Times([tuple(map(float, _printed(code, python)[-1].split())) for _ in range(repeats)])


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
    """Measure and print the section."""
    options = benchmark_parser(__doc__, repeats=5).parse_args()
    with Section(HEADING, options, libraries=()) as section:
        section.table("milliseconds", *(column.replace(" s,", " ms,") for column in COLUMNS))
        package = measure(IMPORT, options.repeats)
        section.row("import videoalign", *package.cells(digits=1, scale=1e3))
        if not os.environ.get("COMFYUI_PATH"):
            section.note("Its nodes in ComfyUI: not measured (COMFYUI_PATH names no tree).")
            return
        nodes = measure(_nodes(), options.repeats, _comfyui_python())
        section.row("its nodes in ComfyUI", *nodes.cells(digits=1, scale=1e3))
        section.aim("both together, median CPU s", package.cpu.median + nodes.cpu.median, at_most=AIM, form=".3f")


if __name__ == "__main__":
    main()
