"""Runs Python with fewer of the processor's instructions than it has:  python with_fewer_instructions.py -m pytest -m numeric

Sums are rounded in another order then, as on another machine. AVX-512 and AMX become AVX2, AVX2 becomes SSE. PyTorch's
kernels, oneDNN's (convolutions, bfloat16 products) and MKL's (float32 products) are told separately. bitsandbytes asks
PyTorch in Python, but its compiled 4-bit kernels ask the processor itself and obey nothing.
"""

import os
import sys

import torch

FEWER = {
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
}


def main() -> None:
    """Replace this process."""
    has = torch.backends.cpu.get_cpu_capability()
    if has not in FEWER:
        print(f"This processor's instructions are {has} to PyTorch; there are no fewer to run with.")
        return
    print(
        f"{has} without its newest instructions:",
        *(f"{name}={value}" for name, value in FEWER[has].items()),
        flush=True,
    )
    os.execve(sys.executable, [sys.executable, *sys.argv[1:]], {**os.environ, **FEWER[has]})


if __name__ == "__main__":
    main()
