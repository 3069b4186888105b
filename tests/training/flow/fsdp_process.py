"""One of the processes of a training with FSDP on a CPU: trains three steps, stops, goes on with a new network, exports.

accelerate shards over GPUs only; here it is made to take the processes of a CPU (gloo) for such. What it then does is its own.
Arguments: a JSON file with the options.
"""

import json
import sys
from pathlib import Path

import torch
from accelerate import DistributedType, PartialState
from tiny_training import tiny_loop, tiny_task
from torch.distributed.tensor import DTensor

from videoalign.lora.adapters import adapter_weights
from videoalign.training.flow.adapter import TRAINED
from videoalign.training.flow.fsdp import check_fsdp
from videoalign.training.flow.run import export, lora_file
from videoalign.training.loop.processes import process_state
from videoalign.training.train_flow_command import train_command


def main():
    torch.set_num_threads(1)
    config = train_command("dpo").Config.model_validate(json.loads(Path(sys.argv[1]).read_text()))
    process_state()
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    check_fsdp(config)
    try:
        tiny_loop(tiny_task(config), steps=3).run()
        raise AssertionError("the run was to stop after three steps")
    except KeyboardInterrupt:
        pass
    task = tiny_task(config)
    loop = tiny_loop(task)
    assert loop.sharded
    assert all(isinstance(parameter, DTensor) for parameter in task.module.parameters())
    metrics = loop.run()
    with loop.averaged():
        adapter = adapter_weights(task.backbone.module, TRAINED)
    if loop.accelerator.is_main_process:
        export(task, lora_file(config), loop.step, dict(metrics), adapter=adapter)
    loop.accelerator.wait_for_everyone()


if __name__ == "__main__":
    main()
