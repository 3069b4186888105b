"""From options to a LoRA: read the pairs, encode, train, export. The same for every method and every backbone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ...backbones.backbone import Backbone
from ...backbones.devices import check_dtype, chosen_device
from ...backbones.experts import expert_of, noise_range
from ...backbones.loading import describe_backbone, load_backbone
from ...backbones.stored_weights import bitsandbytes_for
from ...errors import VideoAlignError
from ...lora.adapters import LoraWeights, adapter_weights
from ...lora.comfyui_folder import check_loras_folder, copy_into_loras, expert_path
from ...lora.metadata import LoraMetadata
from ...lora.writing import save_lora
from ..latent_cache import check_latent_space, encode_rows, encoders_of
from ..loop.processes import process_state
from ..loop.trackers import trackers
from ..loop.train_loop import TrainLoop
from .adapter import add_adapter
from .config import FlowConfig, OptimizerConfig
from .curves import CurvesPage
from .diagnostics import Diagnostics
from .fsdp import check_fsdp
from .method import Method
from .previews import Previews
from .task import FlowRows, FlowTask

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def run_method(config: FlowConfig, method: Method) -> int:
    """Train and export; returns the exit status (130 when interrupted, with the state saved).

    Raises:
        VideoAlignError: data, model or a step of the training cannot be used; the message names the row or the file.
    """
    process_state()  # a launch that cannot work is refused before anything is read
    check_fsdp(config)
    if config.lora.comfyui is not None:
        check_loras_folder(config.lora.comfyui)
    optimizer = optimizer_of(config.optimizer)
    if config.memory.base_dtype == "nf4":
        bitsandbytes_for("memory.base_dtype = nf4")  # missing it is said now, not after hours of encoding
    tracked = trackers(config, ["tensorboard"] if config.tensorboard else [])  # so is a tracker that is missing
    task = build_task(config, method)
    diagnostics, previews = Diagnostics(len(task.held_out.rows)), Previews(task) if config.preview.prompts else None
    callbacks = [diagnostics, CurvesPage(config.output), *([previews] if previews else []), *tracked]
    loop = TrainLoop(task, task.config, len(task.train), task.fingerprint(), callbacks=callbacks, optimizer=optimizer)
    main = loop.accelerator.is_main_process
    file = lora_file(task.config)
    if main:
        if config.overwrite:
            file.unlink(missing_ok=True)
        held_out = f"{len(task.held_out.rows)} pairs held out"
        print(f"{task.rows.summary}; {held_out}; {loop.steps} steps.", file=sys.stderr)
    try:
        metrics = loop.run()
    except KeyboardInterrupt:
        print("videoalign train: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130
    adapter = adapter_weights(task.backbone.module)
    if main:
        scores = previews.before_and_after() if previews else None
        export(task, file, loop.step, dict(metrics), scores, adapter)
        if diagnostics.last is not None:
            print(diagnostics.last.sentence, file=sys.stderr)
    loop.accelerator.wait_for_everyone()
    return 0


def build_task(config: FlowConfig, method: Method) -> FlowTask:
    """Read the pairs, encode what is not in the cache, and load the network with its adapter.

    Raises:
        VideoAlignError: see ``run_method``; what the network itself says against it is said before anything is encoded.
    """
    config = with_expert_range(config, describe_backbone(config.model.transformer))
    rows = FlowRows(config, method)
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


def needed_of_images(config: FlowConfig) -> tuple[str, ...]:
    """What the network needs of an image; nothing for a text-to-video network. No weights are read.

    Raises:
        VideoAlignError: an image-to-video network that is not supported, or previews without images (or the other way
            round).
    """
    from ...backbones.image_conditioning import image_entries

    transformer, preview = config.model.transformer, config.preview
    needed = image_entries(describe_backbone(transformer), str(transformer))
    if needed and preview.prompts and not preview.images:
        raise VideoAlignError(
            f"{transformer} is an image-to-video network: its previews need images too. Give preview.images, a "
            "picture or clip for each of preview.prompts, or no preview.prompts."
        )
    if preview.images and not needed:
        raise VideoAlignError(f"{transformer} takes no image; remove preview.images.")
    return needed


def load_base(config: FlowConfig) -> Backbone:
    """The frozen network as ``config.memory`` asks for it."""
    from ...backbones.stored_weights import FLOAT8
    from .frozen_weights import store_frozen

    memory = config.memory
    dtype = DTYPES["bfloat16" if memory.quantised else memory.base_dtype]
    check_dtype(chosen_device(), FLOAT8 if memory.base_dtype == "float8" else dtype, "the frozen weights")
    backbone = load_backbone(config.model.transformer, dtype=dtype)
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


def lora_file(config: FlowConfig) -> Path:
    """Where the LoRA is written."""
    return expert_path(config.output / f"{config.lora.name}.safetensors", config.model.expert)


def export(
    task: FlowTask, file: Path, step: int, metrics: dict[str, float],
    scores: tuple[dict[str, float], dict[str, float]] | None = None, adapter: Mapping[str, LoraWeights] | None = None,
) -> Path:  # fmt: skip
    """Write the LoRA with what is known about the run, and copy it into ComfyUI where that is asked for.

    Args:
        metrics: the last evaluation's.
        scores: of the previews before and after.
        adapter: what is written; the network's by default.

    Raises:
        VideoAlignError: it cannot be written, or not be copied; the message says where it is then.
    """
    config = task.config
    plain = {name: round(value, 6) for name, value in metrics.items() if "/" not in name}
    described = {key: value for key, value in task.method.description.items() if key != "extra"}
    metadata = LoraMetadata(
        base_model=config.model.name,
        data_hash=task.data_hash(),
        sigma_range=(config.noise.sigma_min, config.noise.sigma_max),
        expert=config.model.expert,
        resolution=f"{config.data.width}x{config.data.height}",
        steps=step,
        learning_rate=config.optimizer.learning_rate,
        seed=config.seed,
        scores_before=scores[0] if scores else None,
        scores_after=scores[1] if scores else None,
        extra={"held_out": plain, **task.method.description.get("extra", {})},
        **described,
    )
    save_lora(file, task.backbone, adapter, metadata=metadata, dtype=DTYPES[config.lora.dtype], overwrite=True)
    path = file
    if config.lora.comfyui is not None:
        try:
            path = copy_into_loras(file, config.lora.comfyui)
        except VideoAlignError as error:
            raise VideoAlignError(
                f"The LoRA is finished and lies in {file}, but could not be copied into ComfyUI's folder: {error}"
            ) from None
    print(f"{path} is ready: load it with ComfyUI's LoRA loader at strength 1.", file=sys.stderr)
    return file
