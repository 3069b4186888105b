"""FSDP: a network in shards on several GPUs, by accelerate's configuration. What the loop has to do differently then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torch import nn

from ...errors import VideoAlignError

if TYPE_CHECKING:
    from accelerate import Accelerator


def fsdp_asked_for() -> bool:
    """Whether ``accelerate launch`` was told to use FSDP; on a machine without GPUs accelerate does not do so all the same."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def check_fsdp_version() -> None:
    """Refuse FSDP 1, which is what accelerate's configuration means without a version; it hides weights in flat parameters.

    Raises:
        VideoAlignError: another version than 2 is asked for.
    """
    version = os.environ.get("FSDP_VERSION", "1")
    if fsdp_asked_for() and version != "2":
        raise VideoAlignError(
            f"Only FSDP version 2 is supported, and version {version} was asked for. Give accelerate launch --use_fsdp also "
            "--fsdp_version 2 (or fsdp_version: 2 in its configuration file)."
        )


def configure_fsdp(accelerator: Accelerator, module: nn.Module) -> bool:
    """Say what is gathered together, before ``accelerator.prepare``; returns whether the module will be sharded.

    Units come from the module's ``sharded_units``: classes of modules whose parameters are fetched for a forward or backward
    pass of that module. Nothing is cast on the way: accelerate's policy for bfloat16 would round noise levels, losses and
    the sum of the gradients too. Autocast does the arithmetic, as without FSDP.

    Raises:
        VideoAlignError: FSDP version 1, or the module has no units.
    """
    from accelerate import DistributedType

    if accelerator.distributed_type != DistributedType.FSDP:
        return False
    from torch.distributed.fsdp import MixedPrecisionPolicy
    from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

    check_fsdp_version()
    units = getattr(module, "sharded_units", None)
    if not units:
        raise VideoAlignError(
            "FSDP works with videoalign train dpo, rwr and sft. Start this training with accelerate launch --multi_gpu: every "
            "GPU then holds the whole model."
        )
    plugin = accelerator.state.fsdp_plugin
    plugin.auto_wrap_policy = transformer_auto_wrap_policy
    plugin.transformer_cls_names_to_wrap = sorted(unit.__name__ for unit in units)
    plugin.mixed_precision_policy = MixedPrecisionPolicy()
    return True
