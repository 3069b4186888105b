"""Counted steps against what the allocator gave out for the same step on real tensors, by torch's profiler."""

import pytest
import torch
from measured_memory import allocated
from tiny_backbones import CONFIGS, tiny
from torch.utils.flop_counter import FlopCounterMode

from videoalign.backbones.families import backbone_classes
from videoalign.training.flow.adapter import add_adapter
from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.plan.flow_step import count_step, sample_batch
from videoalign.training.train_flow_command import train_command

LATENTS = {
    "wan-t2v": (16, 3, 16, 16),
    "wan-i2v": (16, 3, 16, 16),
    "hunyuan-video": (16, 3, 16, 16),
    "hunyuan-video-1.5": (32, 3, 16, 16),
    "ltx-video": (128, 5, 16, 16),
    "ltx-2.3": (128, 5, 16, 16),
}
TOKENS = 24
CLOSE = 0.1  # the aim; what differs is what the kernels need inside of themselves


def options(method="dpo", **sections):
    values = {
        "output": "o", "precision": "float32", "data": {"train": ["x"]},
        "model": {"transformer": "t", "vae": "v", "text_encoder": "micro"}, "lora": {"rank": 4, "alpha": 4},
        "memory": {"base_dtype": "float32"},
    }  # fmt: skip
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    return train_command(method).Config(**values)


def on_meta(name):
    family, config = CONFIGS[name]
    kind = backbone_classes()[family]
    whole = kind.with_defaults(config)
    with torch.device("meta"):
        return kind(kind.build_module(whole), whole)


def measured(name, config, method):
    """A real step: bytes at its peak without the gradients that stay, and torch's own count of its operations."""
    backbone = tiny(name)
    if config.memory.gradient_checkpointing:
        backbone.module.enable_gradient_checkpointing()
    add_adapter(backbone, config.lora, 0)
    module = FlowModule(backbone, method, 5, 16.0)
    module.train()
    batch = sample_batch(backbone, method, LATENTS[name], TOKENS, config.micro_batch_size)
    for tensor in [
        *batch.clips.values(),
        batch.noise,
        batch.sigma,
        batch.weight,
        batch.target,
        *batch.conditioning.values(),
    ]:
        torch.nn.init.uniform_(tensor)

    def run():
        loss, _ = method(module, batch)
        loss.mean().backward()

    with FlopCounterMode(display=False) as operations:
        run()
    module.zero_grad(set_to_none=True)
    gradients = sum(weight.nbytes for weight in module.parameters() if weight.requires_grad)
    return allocated(run) - gradients, operations.get_total_flops()


@pytest.mark.parametrize(
    ("name", "backward", "checkpointing"),
    [("wan-t2v", "split", True), ("wan-t2v", "joint", False)]
    + [
        pytest.param(*other, marks=pytest.mark.slow)
        for other in (
            ("wan-t2v", "joint", True), ("wan-i2v", "split", True), ("hunyuan-video", "split", True), ("ltx-video", "joint", True), ("ltx-2.3", "joint", True),
            ("hunyuan-video-1.5", "split", True),
        )
    ],
)  # fmt: skip
def test_a_counted_step_takes_what_the_real_one_takes(name, backward, checkpointing):
    config = options(dpo={"backward": backward}, memory={"gradient_checkpointing": checkpointing}, micro_batch_size=2)
    method = train_command("dpo").method(config.dpo)
    counted = count_step(on_meta(name), config, method, LATENTS[name], TOKENS)
    peak, operations = measured(name, config, method)
    assert counted.activations == pytest.approx(peak, rel=CLOSE)
    assert counted.operations == operations
