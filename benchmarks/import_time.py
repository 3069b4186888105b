"""What starting takes: the pack in ComfyUI, the commands, their help.

    python benchmarks/import_time.py                          # import videoalign, in a fresh interpreter
    COMFYUI_PATH=/path/to/ComfyUI python benchmarks/import_time.py   # and its nodes, inside ComfyUI's own imports
    python benchmarks/import_time.py --commands               # and videoalign's commands

COMFYUI_PYTHON names ComfyUI's interpreter where it is another one than this.

Each measurement runs in a process of its own, after one that compiles and does not count. Commands are measured as whole
processes, interpreter included: help, one clip of the micro model made, one clip scored; beside them what cannot be less,
Python and torch alone, and for scoring the other way: transformers' module of Qwen2-VL, which its own layers need, imported
as well.

Aims: the pack and its nodes below 0.1 s of CPU; ``videoalign --help`` 0.15, a subcommand's 0.5, ``score`` of a small clip 3.5,
``generate`` 5. ComfyUI's own objects
are frozen before the clock starts: one garbage collection of its heap takes 0.2 s and more and would fall to whoever happens
to allocate then.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
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
PROMPT = "one red circle moves left over a plain black ground"
COMMAND = "import sys; from videoalign.cli.main import main; sys.exit(main())"
THEIRS = "from transformers.models.qwen2_vl import modeling_qwen2_vl; " + COMMAND
AIMS = {"videoalign --help": 0.15, "videoalign score, one micro clip": 3.5, "videoalign generate, one micro clip": 5.0}
HELP_AIM = 0.5


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


def processes(folder: Path) -> dict[str, list[str]]:
    """What is measured as whole processes: name -> arguments of the interpreter."""
    clip = folder / "clips" / "videos" / "00000_0.mp4"
    score = ["score", str(clip), "--model", "micro", "--prompt", PROMPT, "--device", "cpu"]
    return {
        "python, nothing": ["-c", "pass"],
        "python, import torch": ["-c", "import torch"],
        "videoalign --help": ["-c", COMMAND, "--help"],
        "videoalign score, one micro clip": ["-c", COMMAND, *score],
        "  the same with transformers' Qwen2-VL imported": ["-c", THEIRS, *score],
        "videoalign generate, one micro clip": ["-c", COMMAND, *_generate(folder, "again")],
    }


def _generate(folder: Path, output: str) -> list[str]:
    (folder / "prompts.txt").write_text(PROMPT)
    options = ["--model", "micro", "--device", "cpu", "--clips-per-prompt", "1", "--output", str(folder / output)]
    return ["generate", str(folder / "prompts.txt"), *options]


def process_seconds(arguments: list[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor of a whole process.

    Raises:
        RuntimeError: it failed.
    """
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    taken, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{arguments} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_processes(section: Section, repeats: int) -> None:
    """Table and aims of the whole processes, which run in turn."""
    from videoalign.cli.main import COMMANDS

    section.table("seconds of a whole process", *COLUMNS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process_seconds(["-c", COMMAND, *_generate(folder, "clips")])  # compiles, too
        measured: dict[str, Times] = {}
        for turn in range(repeats + 1):
            for row, arguments in processes(folder).items():
                if "generate" in row:
                    arguments[-1] = f"{arguments[-1]}{turn}"  # a finished folder has nothing left to make
                taken = process_seconds(arguments)
                if turn:
                    measured.setdefault(row, Times()).runs.append(taken)
    for row, times in measured.items():
        section.row(row.strip(), *times.cells())
    helps = {row: process_seconds(["-c", COMMAND, *row.split(), "--help"])[1] for row in COMMANDS}
    slowest = max(helps, key=helps.__getitem__)
    for row, most in AIMS.items():
        section.aim(f"{row}, fastest CPU s", measured[row].cpu.fastest, at_most=most)
    section.aim(f"--help of {len(helps)} commands, the slowest ({slowest}), CPU s", helps[slowest], at_most=HELP_AIM)
    ours, theirs = (measured[row].cpu.fastest for row in list(measured)[3:5])
    section.note(f"Scoring with transformers' module imported: {theirs / ours:.2f} times the CPU seconds.")


def main() -> None:
    """Measure and print the section."""
    parser = benchmark_parser(__doc__, repeats=5)
    parser.add_argument("--commands", action="store_true", help="whole processes of commands, too: a minute and more")
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "transformers", "diffusers")) as section:
        if options.commands:
            of_processes(section, options.repeats)
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
