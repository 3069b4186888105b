"""How much memory is free now: an accelerator's, or the computer's own as far as this process may take it."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def free_memory(device: torch.device) -> int | None:
    """Bytes that a process can still take on a device; None where nothing tells.

    On a CPU what is free is shared out among the processes that a launcher started on this computer.
    """
    if device.type == "meta":
        return None
    if device.type == "cpu":
        free = free_main_memory()
        return None if free is None else free // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    module = torch.get_device_module(device)
    if hasattr(module, "mem_get_info"):
        free = int(module.mem_get_info(device)[0])
        # What torch's allocator keeps from what was freed is free for torch.
        return free + int(module.memory_reserved(device)) - int(module.memory_allocated(device))
    if hasattr(module, "recommended_max_memory"):  # MPS
        return int(module.recommended_max_memory()) - int(module.current_allocated_memory())
    return None


def free_main_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Bytes of main memory without swapping anything out, at most what a container leaves; None where nothing tells.

    Args:
        meminfo, cgroup: Linux's files (proc_meminfo(5); control groups, version 2).
    """
    free = _available(meminfo)
    limit = _number(cgroup / "memory.max")
    if free is None or limit is None:
        return free
    used = _number(cgroup / "memory.current") or 0
    return max(0, min(free, limit - used + _field(cgroup / "memory.stat", "inactive_file")))


def _available(meminfo: Path) -> int | None:
    if meminfo.is_file():
        kilobytes = _field(meminfo, "MemAvailable:")
        return 1024 * kilobytes or None
    try:
        import psutil  # accelerate brings it
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _field(file: Path, name: str) -> int:
    """The number behind a name; 0 where there is none."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max": there is no limit
        return None
