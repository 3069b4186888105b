"""The accelerator, whichever it is: CUDA, ROCm (which calls itself cuda), Intel's XPU, Apple's MPS, and what torch adds to them.

torch.accelerator tells which one there is. Nothing else in the package asks for a device by its name.
"""

from __future__ import annotations

import contextlib
import functools
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from ..errors import VideoAlignError

_UNTRIED_IN_BFLOAT16 = ("mps",)  # computes in it since macOS 14, but nobody has compared scores there


def accelerator() -> torch.device | None:
    """This process's own accelerator (by LOCAL_RANK, where several processes run), or None."""
    if not torch.accelerator.is_available():
        return None
    kind = torch.accelerator.current_accelerator()
    count = torch.accelerator.device_count()
    if kind is None or not count:
        return None
    return (
        torch.device(kind.type, int(os.environ.get("LOCAL_RANK", 0)) % count) if count > 1 else torch.device(kind.type)
    )


def chosen_device(name: torch.device | str | None = None) -> torch.device:
    """The device of that name, such as cpu, cuda:1, xpu or mps; this process's accelerator, or else the CPU, for None.

    Raises:
        VideoAlignError: torch knows no such device, or this computer has none; the message lists those that it has.
    """
    if name is None:
        return accelerator() or torch.device("cpu")
    if isinstance(
        name, torch.device
    ):  # ComfyUI's choice, say, which may be of a kind that torch.accelerator does not know
        return name
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise VideoAlignError(f"There is no device {str(name)!r} ({reason}). Use {_there()}.") from None
    if device.type in ("cpu", "meta"):
        return device
    present = accelerator()
    if present is None or present.type != device.type or (device.index or 0) >= torch.accelerator.device_count():
        raise VideoAlignError(f"This computer, or this build of torch, has no device {str(name)!r}. Use {_there()}.")
    return device


def check_dtype(device: torch.device, dtype: torch.dtype, what: str) -> None:
    """Refuse arithmetic that a device does not have, such as float64 and float8 on MPS.

    Args:
        what: whose arithmetic, for the message.

    Raises:
        VideoAlignError: naming another dtype or device to use.
    """
    reason = _lack(device, dtype)
    if reason is not None:
        name = str(dtype).removeprefix("torch.")
        instead = "float32" if dtype != torch.float32 else "float16"
        raise VideoAlignError(
            f"The device {device} cannot hold {what} in {name} ({reason}). Use {instead}, or --device cpu."
        )


def fast_dtype(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the accelerator computes in it, else float32."""
    device = torch.device(device)
    if device.type in ("cpu", "meta", *_UNTRIED_IN_BFLOAT16) or _lack(device, torch.bfloat16) is not None:
        return torch.float32
    return torch.bfloat16


def arithmetic_of(stored: torch.dtype, device: torch.device | str) -> torch.dtype:
    """What a network whose weights are stored in ``stored`` computes in where nobody says.

    An accelerator computes in that type, or in float32 where it has no bfloat16. So does a CPU in bfloat16 where it has the instructions
    for it; every other CPU only imitates half precision, many times slower than float32 (10 against 78 GFLOP a CPU second on AVX2).
    """
    device = torch.device(device)
    if device.type == "cpu":
        return stored if stored == torch.bfloat16 and cpu_multiplies_bfloat16() else torch.float32
    return stored if _lack(device, torch.bfloat16) is None else torch.float32


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices by instructions of its own, and torch's library may use them.

    x86 alone: AVX512_BF16 and AMX, which comes with it. What was measured is AMX: 453 against 137 GFLOP a CPU second.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if limit and not any(name in limit for name in ("BF16", "FP16", "AMX", "AVX10", "ALL", "DEFAULT")):
        return False
    return _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # an internal name: torch has no public one
    if ask is not None:
        return bool(ask())
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].split()
    except OSError:
        return False
    return "avx512_bf16" in flags


def own_cores() -> int:
    """Processor cores that this process may use: a job of a cluster has few of a machine's."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on Windows and macOS
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def autocast(device: torch.device, dtype: torch.dtype | None = None, enabled: bool = True) -> AbstractContextManager:
    """torch.autocast, or nothing where the device has none."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype, enabled=enabled)


def check_compiler(device: torch.device) -> None:
    """Refuse a torch.compile that could not make kernels for the device: it takes a C++ compiler for a CPU's, Triton for a GPU's.

    Raises:
        VideoAlignError: with the reason, as torch tells it.
    """
    try:
        torch.compile(lambda x: 2 * x + 1, dynamic=True)(torch.ones(8, device=device))
    except Exception as error:  # whatever is missing, each compiler says so in a class of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise VideoAlignError(
            f"Nothing can be compiled for {device} here ({reason}). Install a C++ compiler (and Triton for a GPU), or leave --compile out."
        ) from error


def total_memory(device: torch.device) -> int | None:
    """All of an accelerator's memory, in bytes; None for the CPU, and where the backend does not tell."""
    if device.type in ("cpu", "meta"):
        return None
    module = torch.get_device_module(device)
    if hasattr(module, "get_device_properties"):
        return int(module.get_device_properties(device).total_memory)
    if hasattr(module, "recommended_max_memory"):  # MPS
        return int(module.recommended_max_memory())
    return None


def peak_memory() -> int | None:
    """Most bytes that this process has held of its accelerator; None without one."""
    return _call("max_memory_allocated", None)


def release_memory() -> None:
    """Give the accelerator's unused memory back to the system."""
    _call("empty_cache", None)


def random_states() -> list[torch.Tensor]:
    """The states of the accelerators' random generators; empty without one."""
    module = _module()
    if module is None:
        return []
    states = getattr(module, "get_rng_state_all", None)
    return list(states()) if states is not None else [module.get_rng_state()]


def set_random_states(states: list[torch.Tensor]) -> None:
    """Put them back; those of a computer with more accelerators, or of another kind, as far as they fit."""
    module = _module()
    if module is None:
        return
    for index, state in enumerate(states[: torch.accelerator.device_count()]):
        if hasattr(module, "get_rng_state_all"):
            module.set_rng_state(state, index)
        else:
            module.set_rng_state(state)


def pinned(tensor: torch.Tensor) -> torch.Tensor:
    """A CPU tensor where the accelerator fetches it fastest, if there is such memory."""
    present = accelerator()
    return tensor.pin_memory() if present is not None and present.type in ("cuda", "xpu") else tensor


def forked_random(tensor: torch.Tensor) -> AbstractContextManager:
    """Leaves the random generators of the CPU and of the tensor's device as they were; see ``torch.random.fork_rng``."""
    device = tensor.device
    if device.type in ("cpu", "meta"):
        return torch.random.fork_rng([])
    return torch.random.fork_rng([device], device_type=device.type)


def holds(device: torch.device | str, dtype: torch.dtype) -> bool:
    """Whether the device has numbers of this type."""
    return _lack(torch.device(device), dtype) is None


@functools.cache
def _lack(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the device does not hold numbers of this type, or None. Tried, since no table of it would stay true."""
    if device.type in ("cpu", "meta"):
        return None
    try:
        torch.zeros(2, dtype=dtype).to(device).to(torch.float32)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def _module() -> Any:
    present = accelerator()
    return None if present is None else torch.get_device_module(present)


def _call(name: str, default: Any) -> Any:
    function = getattr(_module(), name, None)
    return default if function is None else function()


def _there() -> str:
    present = accelerator()
    if present is None:
        return "cpu"
    count = torch.accelerator.device_count()
    return f"cpu or {present.type}" + (f", {present.type}:0 to {present.type}:{count - 1}" if count > 1 else "")
