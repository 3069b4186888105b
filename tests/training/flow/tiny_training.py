"""A flow training on the tiny Wan, whose clips are safetensors files with latents."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tiny_wan import CONFIG, tiny_wan

from videoalign.backbones.wan_family import WAN21
from videoalign.errors import ClipError
from videoalign.files.digests import file_digest
from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.frozen_weights import store_frozen
from videoalign.training.flow.methods.dpo import FlowDpo
from videoalign.training.flow.run import optimizer_of
from videoalign.training.flow.task import FlowRows, FlowTask
from videoalign.training.loop.train_loop import TrainLoop


class LatentFiles:
    """What ``LatentCache`` gives, of clips that are latents already."""

    latent_format = WAN21.name

    def latents(self, path):
        try:
            return load_file(path)["latents"]
        except (OSError, SafetensorError) as error:
            raise ClipError(f"{path} cannot be read ({error}).") from None

    def conditioning(self, prompt):
        generator = torch.Generator().manual_seed(len(prompt) + sum(map(ord, prompt)))
        return {"text": torch.randn(3, CONFIG["text_dim"], generator=generator)}

    def image(self, path):
        return {}

    def digest(self, path):
        return file_digest(path)


def tiny_task(config, method=None):
    """The task of a configuration, with the base weights kept as it says."""
    method, memory = method or FlowDpo(config.dpo), config.memory
    backbone = tiny_wan(lora=False)
    if memory.base_dtype != "float32":
        backbone.module.bfloat16()
    if memory.base_dtype in ("float8", "nf4"):
        store_frozen(backbone, memory.base_dtype, memory.offload_blocks)
    add_adapter(backbone, config.lora, seed=0)
    if memory.gradient_checkpointing:
        backbone.module.enable_gradient_checkpointing()
    return FlowTask(config, method, FlowRows(config, method), backbone, LatentFiles())


def tiny_loop(task, callbacks=(), steps=None):
    """Its loop; ``steps``: it stops as Ctrl-C would make it, after so many."""
    config, optimizer = task.config, optimizer_of(task.config.optimizer)
    loop = TrainLoop(
        task, config, len(task.train), task.fingerprint(), callbacks=callbacks, optimizer=optimizer, ema=config.ema
    )
    if steps is not None:
        optimize = loop._optimize

        def stop_at(rows, micro_batches):
            loop._stop = loop.step + 1 >= steps
            return optimize(rows, micro_batches)

        loop._optimize = stop_at
    return loop
