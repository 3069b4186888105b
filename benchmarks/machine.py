"""What a measurement depends on beside the code: command, processor, threads, load and versions, without paths of the machine."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import videoalign

REPOSITORY = Path(__file__).resolve().parent.parent
VARIABLES = ("OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES", "COMFYUI_PATH")
"""Variables of the environment that change what is measured; those that are set belong to the command."""
INSTRUCTIONS = {  # as Linux calls them in /proc/cpuinfo
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "AMX": ("amx_tile",),
    "bfloat16": ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"),
    "NEON": ("asimd", "neon"),
    "SVE": ("sve",),
}
NAMES = {"av": "PyAV"}


def command_line(arguments: list[str]) -> str:
    """The command as it was given, to be run from the repository; of a path elsewhere only the last part stays."""
    variables = [f"{name}={shlex.quote(_short(os.environ[name]))}" for name in VARIABLES if os.environ.get(name)]
    words = [f"benchmarks/{Path(arguments[0]).name}"]
    for word in arguments[1:]:
        option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        words.append(option + sign + _short(value))
    return " ".join([*variables, "python", shlex.join(words)])


def machine(device: str = "cpu") -> str:
    """Processor, instruction sets, cores, threads and load; the GPU where the device is one."""
    fields = _processor()
    name = fields.get("model name") or platform.processor() or platform.machine()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    sets = [title for title, names in INSTRUCTIONS.items() if flags.intersection(names)]
    known = f" ({', '.join(sets)}{'' if 'bfloat16' in sets else ', no bfloat16 instructions'})" if flags else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{name}{known}", f"{cores} core{'s' * (cores != 1)}"]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        parts.append(f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB")
    torch = sys.modules.get("torch")  # a benchmark without it shall not load it
    if torch is not None:
        threads = torch.get_num_threads()
        parts.append(f"{threads} thread{'s' * (threads > 1)}")
        if str(device).startswith("cuda"):
            parts.append(torch.cuda.get_device_name(device))
    if hasattr(os, "getloadavg"):
        parts.append(f"load average {os.getloadavg()[0]:.1f} at the start")
    return ", ".join(parts)


def versions(libraries: tuple[str, ...]) -> str:
    """Versions of this package, Python and the named distributions."""
    parts = [f"videoalign {videoalign.__version__}", f"Python {platform.python_version()}"]
    for name in libraries:
        try:
            parts.append(f"{NAMES.get(name, name)} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            parts.append(f"{NAMES.get(name, name)} not installed")
    return ", ".join(parts)


def _short(word: str) -> str:
    absolute = PurePosixPath(word).is_absolute() or PureWindowsPath(word).is_absolute()
    if not absolute and not word.startswith(("~", "..")):
        return word
    path = Path(word).resolve()
    if path.is_relative_to(REPOSITORY):
        return path.relative_to(REPOSITORY).as_posix()
    return PureWindowsPath(word).name or "FOLDER"


def _processor() -> dict[str, str]:
    """The first processor's fields in /proc/cpuinfo; none where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in lines}
