"""What flow training cannot do with its network in shards (FSDP); the loop's part of it is in ``loop/sharding.py``."""

from __future__ import annotations

from ...errors import VideoAlignError
from ..loop.sharding import check_fsdp_version, fsdp_asked_for
from .config import FlowConfig


def check_fsdp(config: FlowConfig) -> None:
    """Refuse options that FSDP would make useless or wrong, before anything is read.

    Raises:
        VideoAlignError: the run was started with FSDP and has such an option; the message says what to use.
    """
    if not fsdp_asked_for():
        return
    check_fsdp_version()
    refused = {
        f"memory.base_dtype = {config.memory.base_dtype} (each GPU would hold all of it; use bfloat16)": (
            config.memory.quantised
        ),
        "memory.offload_blocks (each process would hold all blocks; leave it out)": config.memory.offload_blocks,
        "optimizer.kind = adamw8bit (it cannot step on shards; use adamw, whose state is in shards too)": (
            config.optimizer.kind == "adamw8bit"
        ),
        "preview.prompts (one process alone cannot run the network; use videoalign generate afterwards)": (
            bool(config.preview.prompts)
        ),
        "data.buckets with micro_batch_size above 1 (the processes would run the network unequally often; use 1)": (
            bool(config.data.buckets) and config.micro_batch_size > 1
        ),
    }
    problems = [option for option, there in refused.items() if there]
    if problems:
        raise VideoAlignError(f"FSDP does not go together with {'; '.join(problems)}.")
