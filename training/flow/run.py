"""From options to a LoRA: read the pairs, encode, train, export. The same for every method and every backbone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ...backbones.backbone import Backbone
from ...backbones.devices import check_dtype, chosen_device
from ...backbones.experts import expert_of, noise_range
from ...backbones.loading import describe_backbone, load_backbone
from ...backbones.stored_weights import bitsandbytes_for
from ...errors import VideoAlignError
from ...lora.adapters import adapter_weights
from ...lora.comfyui_folder import check_loras_folder
from ...lora.merging import lora_and_strength, merge_lora
from ..latent_cache import check_latent_space, encode_rows, encoders_of
from ..loop.processes import process_state
from ..loop.state_files import newest_state
from ..loop.trackers import trackers
from ..loop.train_loop import TrainLoop
from .adapter import TRAINED, add_adapter
from .config import FlowConfig, OptimizerConfig
from .curves import CurvesPage
from .diagnostics import ENOUGH_PAIRS, Diagnostics
from .fsdp import check_fsdp
from .lora_files import DTYPES, RAW, LoraFiles, export, lora_file, write_lora
from .method import Method
from .previews import Previews
from .task import FlowRows, FlowTask

Settle = Callable[[FlowConfig, Method, int, Mapping[str, Any] | None], tuple[FlowConfig, Method, str | None]]
"""(options, method, rows at once in memory, fingerprint of the run that is gone on with) -> both with what they leave to the run, and why."""


def as_given(
    config: FlowConfig, method: Method, rows: int, began: Mapping[str, Any] | None
) -> tuple[FlowConfig, Method, None]:
    """Leaves the options as they are."""
    return config, method, None


def run_method(config: FlowConfig, method: Method, settle: Settle = as_given) -> int:
    """Train and export; returns the exit status (130 when interrupted, with the state saved).

    Args:
        settle: chooses what the options leave to the run, by the memory that is free.

    Raises:
        VideoAlignError: data, model or a step of the training cannot be used; the message names the row or the file.
    """
    process_state()  # a launch that cannot work is refused before anything is read
    check_fsdp(config)
    if config.lora.comfyui is not None:
        check_loras_folder(config.lora.comfyui)
    for entry in config.model.lora:
        lora_and_strength(entry)  # one that is missing is said now
    optimizer = optimizer_of(config.optimizer)
    if config.memory.base_dtype == "nf4":
        bitsandbytes_for("memory.base_dtype = nf4")  # missing it is said now, not after hours of encoding
    tracked = trackers(config, ["tensorboard"] if config.tensorboard else [])  # so is a tracker that is missing
    task = build_task(config, method, settle)
    diagnostics, previews = Diagnostics(len(task.held_out.rows)), Previews(task) if config.preview.prompts else None
    callbacks = [diagnostics, CurvesPage(config.output), *([previews] if previews else []), *tracked, LoraFiles(task)]
    loop = TrainLoop(
        task, task.config, len(task.train), task.fingerprint(), callbacks=callbacks, optimizer=optimizer, ema=config.ema
    )
    main = loop.accelerator.is_main_process
    file = lora_file(task.config)
    if main:
        if config.overwrite:
            for name in ("", "newest", "best", RAW):
                lora_file(task.config, name).unlink(missing_ok=True)
        held_out, steps = len(task.held_out.rows), loop.steps
        print(
            f"{task.rows.summary}; {held_out} pair{'' if held_out == 1 else 's'} held out; {steps} step{'' if steps == 1 else 's'}.",
            file=sys.stderr,
        )
    try:
        metrics = loop.run()
    except KeyboardInterrupt:
        if main:
            newest = lora_file(task.config, "newest")
            so_far = f" {newest} is the LoRA so far." if newest.is_file() else ""
            print(
                f"videoalign train: interrupted after step {loop.step}; run the same command again to go on.{so_far}",
                file=sys.stderr,
            )
        return 130
    raw = adapter_weights(task.backbone.module, TRAINED)
    with loop.averaged():
        adapter = adapter_weights(task.backbone.module, TRAINED)
    if main:
        if config.ema is not None:
            write_lora(task, lora_file(task.config, RAW), loop.step, {}, None, raw, averaged=False)
        scores = previews.before_and_after() if previews else None
        export(task, file, loop.step, dict(metrics), scores, adapter)
        if diagnostics.last is not None:
            print(diagnostics.last.sentence, file=sys.stderr)
        if config.ema is not None:
            print(
                f"It is the moving average of the weights (ema {config.ema:g}), which the held-out figures are of; {lora_file(task.config, RAW)} "
                "has the last step's.",
                file=sys.stderr,
            )
        if loop.moves_nothing:
            print(f"WARNING: {file} will hardly show: {loop.moves_nothing}", file=sys.stderr)
        best = loop.evaluations.best_before_the_end
        if best is not None and len(task.held_out.rows) >= ENOUGH_PAIRS:
            print(
                f"Held-out accuracy was best after step {best[0]} ({best[1]:.2f}): {lora_file(task.config, 'best')} is that LoRA.",
                file=sys.stderr,
            )
    loop.accelerator.wait_for_everyone()
    return 0


def build_task(config: FlowConfig, method: Method, settle: Settle = as_given) -> FlowTask:
    """Read the pairs, encode what is not in the cache, and load the network with its adapter.

    Raises:
        VideoAlignError: see ``run_method``; what the network itself says against it is said before anything is encoded.
    """
    began = begun(config)
    config = with_expert_range(with_begun_reference(config, began), describe_backbone(config.model.transformer))
    rows = FlowRows(config, method)
    config, method, said = settle(config, method, min(config.micro_batch_size, len(rows.train)), began)
    if said and process_state().is_main_process:
        print(said, file=sys.stderr)
    cache = encode_rows(
        rows.all,
        config.data,
        encoders_of(config.model),
        config.output,
        image_entries=needed_of_images(config),
        prompts=rows.further_prompts,
        pictures=config.preview.images,
    )
    rows.leave_out(cache)
    backbone = load_base(config)
    check_latent_space(cache, backbone.latent_format, config.model.vae, config.model.transformer)
    add_adapter(backbone, config.lora, config.seed, config.model.expert)
    return FlowTask(config, method, rows, backbone, cache)


def begun(config: FlowConfig) -> dict | None:
    """The fingerprint of the run in the output folder that will be gone on with; None where a run begins."""
    state = newest_state(config.output / "checkpoints") if config.resume and not config.overwrite else None
    return state and state["fingerprint"]


def with_begun_reference(config: FlowConfig, began: Mapping[str, Any] | None) -> FlowConfig:
    """A run that 0.1.0 began from a LoRA goes on as it began, held to the base model, unless the options say otherwise."""
    given = config.lora.start is None or "reference" in config.lora.model_fields_set
    if given or began is None or "reference" in began.get("lora", {}):
        return config
    if process_state().is_main_process:
        print("The run began with the base model as its reference, and goes on so (lora.reference).", file=sys.stderr)
    return config.model_copy(update={"lora": config.lora.model_copy(update={"reference": "base"})})


def needed_of_images(config: FlowConfig) -> tuple[str, ...]:
    """What the network is told of an image; nothing for text-to-video. No weights are read.

    Raises:
        VideoAlignError: an image-to-video network that is not supported, or previews without images (or the other way
            round).
    """
    from ...backbones.image_conditioning import image_entries

    transformer, preview = config.model.transformer, config.preview
    backbone = describe_backbone(transformer)
    needed = image_entries(backbone, str(transformer), config.data.image_to_video)
    if config.data.image_to_video and not needed:
        raise VideoAlignError(f"{transformer} takes no image; leave out data.image_to_video.")
    if needed and preview.prompts and not preview.images:
        raise VideoAlignError(
            f"{transformer} is {'trained for image-to-video' if backbone.optional_image else 'an image-to-video network'}: its previews need images too. Give preview.images, a "
            "picture or clip for each of preview.prompts, or no preview.prompts."
        )
    if preview.images and not needed:
        remedy = "give data.image_to_video, or remove" if backbone.optional_image else "remove"
        raise VideoAlignError(
            f"{transformer} takes no image{' here' if backbone.optional_image else ''}; {remedy} preview.images."
        )
    return needed


def load_base(config: FlowConfig) -> Backbone:
    """The frozen network as ``config.memory`` asks for it."""
    from ...backbones.stored_weights import FLOAT8
    from .frozen_weights import store_frozen

    memory = config.memory
    dtype = DTYPES["bfloat16" if memory.quantised else memory.base_dtype]
    check_dtype(chosen_device(), FLOAT8 if memory.base_dtype == "float8" else dtype, "the frozen weights")
    backbone = load_backbone(config.model.transformer, dtype=dtype)
    for entry in config.model.lora:
        merge_lora(backbone, *lora_and_strength(entry), config.model.expert)
    if memory.gradient_checkpointing:
        backbone.module.enable_gradient_checkpointing()
    if memory.quantised or memory.offload_blocks:
        store_frozen(backbone, memory.base_dtype if memory.quantised else "plain", offload=memory.offload_blocks)
    return backbone


def with_expert_range(config: FlowConfig, backbone: Backbone) -> FlowConfig:
    """For one of two experts (Wan 2.2 A14B), by its option or its file's name: that, and the noise levels that it works at.

    Noise levels that the options give are left as they are.

    Raises:
        VideoAlignError: the network's family has no experts, the file's name says that it is the other one, or noise levels
            are given at which it does not work.
    """
    file, given, noise = config.model.transformer, config.model.expert, config.noise
    boundary = backbone.expert_boundary
    if boundary is None:
        if given is not None:
            raise VideoAlignError(f"model.expert is {given}, but {backbone.family.title} has no experts. Leave it out.")
        return config
    named = expert_of(file)
    if None not in (given, named) and given != named:
        raise VideoAlignError(
            f"model.expert is {given}, but {file} is the {named} expert by its name. Leave model.expert out, or give the other file; "
            "where the name is wrong, rename it."
        )
    expert = given or named
    if expert is None:
        return config
    low, high = noise_range(expert, boundary)
    if noise.sigma_min >= high or noise.sigma_max <= low:
        raise VideoAlignError(
            f"noise.sigma_min {noise.sigma_min:g} and sigma_max {noise.sigma_max:g} lie outside of what the {expert} expert works at, "
            f"{low:g} to {high:g}. Leave them out, or give the other expert ({file} is the model)."
        )
    if (noise.sigma_min, noise.sigma_max) == (0.0, 1.0):
        noise = noise.model_copy(update={"sigma_min": low, "sigma_max": high})
    if given is None and process_state().is_main_process:
        print(
            f"{file} is the {expert} expert of {backbone.family.title} 2.2 by its name: trained at noise levels {noise.sigma_min:g} to "
            f"{noise.sigma_max:g}.",
            file=sys.stderr,
        )
    return config.model_copy(update={"noise": noise, "model": config.model.model_copy(update={"expert": expert})})


def optimizer_of(config: OptimizerConfig) -> Callable[[list[dict]], torch.optim.Optimizer]:
    """What makes the optimizer from parameter groups.

    Raises:
        VideoAlignError: adamw8bit without bitsandbytes.
    """
    betas = (config.beta1, config.beta2)
    if config.kind == "adamw":
        return lambda groups: torch.optim.AdamW(groups, betas=betas)
    bitsandbytes = bitsandbytes_for("optimizer.kind = adamw8bit", instead="adamw")
    return lambda groups: bitsandbytes.optim.AdamW8bit(groups, betas=betas)
