"""Steps of Flow-DPO and signed velocity matching at Wan 1.3B's size, in each form of memory, beside what is planned for them."""

from __future__ import annotations

import importlib.util
from functools import partial

import torch
from wan_sizes import SIZES, network

from videoalign.backbones.meta_device import on_meta

from .case import Bench, Check, Outcome

FRAMES, HEIGHT, WIDTH = 33, 480, 832
SMALL = (5, 32, 32)
FORMS = {
    "Flow-DPO, joint": ("dpo", {"backward": "joint"}, {}),
    "Flow-DPO, split": ("dpo", {"backward": "split"}, {}),
    "Flow-DPO, split, offload_blocks": ("dpo", {"backward": "split"}, {"offload_blocks": True}),
    "Flow-DPO, split, float8": ("dpo", {"backward": "split"}, {"base_dtype": "float8"}),
    "Flow-DPO, split, nf4": ("dpo", {"backward": "split"}, {"base_dtype": "nf4"}),
    "RVM": ("rvm", {}, {}),
}


def checks() -> list[Check]:
    """One for each form."""
    return [Check(f"{name}: a step, Wan 1.3B", 24, partial(step, name), partial(planned, name)) for name in FORMS]


def step(name: str, bench: Bench) -> Outcome:
    """Forward and backward of one pair (or clip), its gradients finite and not all zero."""
    from videoalign.backbones.devices import autocast
    from videoalign.training.flow.adapter import add_adapter
    from videoalign.training.flow.flow_module import FlowModule
    from videoalign.training.flow.frozen_weights import store_frozen

    config, method = _method(name, bench.real)
    if config.memory.base_dtype == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        return Outcome(wrong="left out: bitsandbytes is not installed")
    size = "1.3b" if bench.real else "micro"
    torch.manual_seed(0)
    backbone = network(size, SIZES[size].layers if bench.real else 2, bench.dtype, bench.device)
    if config.memory.gradient_checkpointing:
        backbone.module.enable_gradient_checkpointing()
    if config.memory.quantised or config.memory.offload_blocks:
        form = config.memory.base_dtype if config.memory.quantised else "plain"
        store_frozen(backbone, form, offload=config.memory.offload_blocks)
    add_adapter(backbone, config.lora, config.seed)
    module = FlowModule(backbone, method, config.evaluation.bins, config.data.fps).train().to(bench.device)
    frames, height, width = (FRAMES, HEIGHT, WIDTH) if bench.real else SMALL
    batch = _batch(method, backbone.latent_format.shape(frames, height, width), SIZES[size].text).to(bench.device)
    trained = [weight for weight in module.parameters() if weight.requires_grad]

    def once() -> None:
        for weight in trained:
            weight.grad = None
        with autocast(bench.device, torch.bfloat16, enabled=bench.real):
            loss, _ = method(module, batch)
        loss.mean().backward()

    seconds, peak = bench.measured(once)
    largest = max(float(weight.grad.abs().max()) for weight in trained if weight.grad is not None)
    facts = {"largest gradient": largest, "trained millions": sum(weight.numel() for weight in trained) / 1e6}
    finite = all(bool(weight.grad.isfinite().all()) for weight in trained if weight.grad is not None)
    wrong = "" if finite and largest > 0 else "its gradients are not finite, or all zero"
    # A plan tells gradients with the weights; the first step here has made them within the peak.
    return Outcome(seconds, peak, _counted(name).peak if bench.real else None, facts, wrong)


def planned(name: str) -> Outcome:
    """Activations and operations of the same step, counted at the real size on tensors without content."""
    counted = _counted(name)
    return Outcome(planned=counted.peak, facts=counted.facts)


def _counted(name: str) -> Outcome:
    from videoalign.backbones.families import backbone_classes
    from videoalign.training.plan.flow_step import count_step
    from videoalign.training.plan.memory import memory_of

    config, method = _method(name, real=True)
    size = SIZES["1.3b"]
    kind = backbone_classes()["wan"]
    settings = kind.with_defaults(
        {"num_attention_heads": size.heads, "ffn_dim": size.ffn, "num_layers": size.layers, "in_channels": 16, "out_channels": 16}
    )  # fmt: skip
    with on_meta():
        backbone = kind(kind.build_module(settings), settings)
    counted = count_step(backbone, config, method, backbone.latent_format.shape(FRAMES, HEIGHT, WIDTH), size.text)
    memory = memory_of(counted, config.memory, config.optimizer)
    gradients = 4 * counted.trained
    return Outcome(peak=int(memory.activations + gradients), facts={"TFLOP": counted.operations / 1e12})


def _method(name: str, real: bool):
    from videoalign.training.train_flow_command import train_command

    loss, options, memory = FORMS[name]
    command = train_command(loss)
    memory = {"base_dtype": "bfloat16" if real else "float32", **memory}
    files = {"transformer": "-", "vae": "-", "text_encoder": "micro"}
    section = {loss: options} if options else {}
    config = command.Config(output="-", data={"train": ["-"]}, model=files, memory=memory, **section)
    return config, command.method(getattr(config, loss))


def _batch(method, latents: tuple[int, ...], text: int):
    from videoalign.training.flow.method import NoisedClips

    generator = torch.Generator().manual_seed(0)
    one = torch.ones(1)
    clips = {side: torch.randn(1, *latents, generator=generator) for side in method.sides}
    told = {"text": 0.5 * torch.randn(1, text, 4096, generator=generator)}
    return NoisedClips(clips, torch.randn(1, *latents, generator=generator), 0.6 * one, told, one, one)
