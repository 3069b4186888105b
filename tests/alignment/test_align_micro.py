"""``videoalign align`` on the micro model: from a file of prompts to a LoRA and a comparison, as in the README."""

import json

import numpy as np
import pytest

from videoalign.backbones.micro_files import MICRO_NETWORK
from videoalign.cli.main import main
from videoalign.lora.inspection import inspect_lora
from videoalign.micro_world import caption, sample_attributes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MICRO_NETWORK.exists(), reason="the micro model is not in backbones/embedded"),
]


def test_prompts_become_a_lora_and_a_comparison(tmp_path):
    """Ten minutes on a core of a busy machine with twice the steps (benchmarks/RESULTS.md)."""
    prompts = tmp_path / "prompts.txt"
    lines = [caption(sample_attributes(np.random.default_rng([9, number]))) for number in range(24)]
    prompts.write_text("\n".join(lines), encoding="utf-8")
    output = tmp_path / "aligned"
    assert main(["align", str(prompts), "--output", str(output), "--judge", "micro-world", "--device", "cpu"]) == 0
    inspection = inspect_lora(output / "lora.safetensors", MICRO_NETWORK)
    assert inspection.matched and not inspection.unmatched
    report = json.loads((output / "round_1" / "comparison" / "report.json").read_text())
    held_out = (output / "held_out_prompts.jsonl").read_text().splitlines()
    assert report["pairs"] == 4 * len(held_out) == 24
    assert len(report["judges"]) == 2  # the reward, and the world's own measurement
    assert (output / "round_1" / "comparison" / "index.html").exists()
