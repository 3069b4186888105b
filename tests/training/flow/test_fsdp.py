"""FSDP on two processes of a CPU gives the LoRA of one process; what cannot work is refused before anything is read."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import tiny_loop, tiny_task

from videoalign.errors import VideoAlignError
from videoalign.training.flow.fsdp import check_fsdp
from videoalign.training.flow.run import export, lora_file, run_method
from videoalign.training.loop.log_file import read_log
from videoalign.training.loop.processes import process_state
from videoalign.training.loop.state_files import newest_state

FOLDER = Path(__file__).parent


@pytest.fixture
def new_accelerator_state():
    """accelerate keeps the precision of the first training of a process."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def trained_by_two(config):
    """The LoRA of a run of two processes with FSDP that was stopped and resumed."""
    options = config.output.parent / f"{config.output.name}.json"
    options.write_text(config.model_dump_json(exclude_none=True), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(FOLDER / "fsdp_process.py"), str(options)]
    environment = {**os.environ, "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return load_file(lora_file(config))


def trained_by_one(config):
    task = tiny_task(config)
    loop = tiny_loop(task)
    metrics = dict(loop.run())
    with loop.averaged():
        export(task, lora_file(config), 6, metrics)
    return load_file(lora_file(config))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "tolerance", "started", "ema"),
    [
        ("float32", 1e-5, False, 0.9),
        pytest.param("float32", 1e-5, True, None, marks=pytest.mark.slow),
        pytest.param("bfloat16", 5e-4, False, None, marks=pytest.mark.slow),
    ],
    ids=["float32, a moving average", "float32 from a LoRA, which is the reference", "bfloat16"],
)
def test_two_processes_with_fsdp_train_the_lora_of_one(
    precision, tolerance, started, ema, options, style, new_accelerator_state
):
    """Stopped after three steps and resumed; with held-out pairs that two processes cannot share equally."""
    pytest.importorskip("torch.distributed.fsdp", reason="this torch has no FSDP")
    if not hasattr(torch.distributed.fsdp, "fully_shard"):
        pytest.skip("this torch has no FSDP 2")
    own = {
        "precision": precision, "memory": {"base_dtype": precision, "gradient_checkpointing": True}, "micro_batch_size": 1,
        "data": {"eval_share": 0.25}, "evaluation": {"levels": 2, "pairs": 1}, "lora": {"dtype": "float32"},
    }  # fmt: skip
    if ema:
        own["ema"] = ema
    if started:
        own["lora"]["start"] = str(style)
    one, two = options("one", **own), options("two", **own)
    expected, found = trained_by_one(one), trained_by_two(two)
    assert expected.keys() == found.keys()
    largest = max((found[name] - value).abs().max().item() for name, value in expected.items())
    assert largest < tolerance
    assert any(value.any() for name, value in found.items() if "lora_B" in name)
    states = [newest_state(config.output / "checkpoints") for config in (one, two)]
    for name, value in states[0]["weights"].items():
        assert (states[1]["weights"][name] - value).abs().max() < tolerance, name
    logs = [read_log(config.output / "log.jsonl") for config in (one, two)]
    assert logs[1][0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert [line["step"] for line in logs[0]] == [line["step"] for line in logs[1]]
    for ours, theirs in zip(*logs, strict=True):
        assert theirs["loss"] == pytest.approx(ours["loss"], abs=100 * tolerance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": {"base_dtype": "nf4"}}, r"nf4 .*use bfloat16"),
        ({"memory": {"offload_blocks": True}}, "offload_blocks"),
        ({"optimizer": {"kind": "adamw8bit"}}, "use adamw"),
        ({"preview": {"prompts": ["a fox"]}}, "videoalign generate"),
        ({"data": {"buckets": ["480x832x81@16"]}}, "micro_batch_size"),
    ],
)
def test_what_fsdp_cannot_do_is_refused_with_what_to_use(changes, message, options, monkeypatch):
    check_fsdp(options(**changes))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    check_fsdp(options())
    with pytest.raises(VideoAlignError, match=message):
        check_fsdp(options(**changes))


def test_fsdp_1_is_refused_with_the_option_for_fsdp_2(options, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(VideoAlignError, match="--fsdp_version 2"):
        run_method(options(), None)


def test_deepspeed_is_refused_before_anything_is_read_with_what_to_use(options, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    for refused in (process_state, lambda: run_method(options(), None)):
        with pytest.raises(
            VideoAlignError, match=r"DeepSpeed is not supported.*--multi_gpu.*--use_fsdp --fsdp_version 2"
        ):
            refused()
