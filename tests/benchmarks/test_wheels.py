"""Which wheels a machine without a network is given for the check."""

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_checks" / "wheels.py"


def listed(*arguments):
    done = subprocess.run([sys.executable, SCRIPT, "folder", "--list", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {Requirement(line).name for line in done.stdout.splitlines()}


def test_everything_that_the_check_imports_and_nothing_that_torch_brings():
    names = listed()
    assert {
        "diffusers",
        "peft",
        "accelerate",
        "transformers",
        "safetensors",
        "av",
        "einops",
        "pydantic",
        "numpy",
    } <= names
    assert not names & {"torch", "sympy", "jinja2", "comfyui-videoalign"}


def test_what_is_there_is_left_out():
    assert listed() - listed("--there", "NumPy", "pillow") == {"numpy", "pillow"}
