"""What ``ComfyProcess`` can be asked to do with SamplerCustomAdvanced; found by ``sampling_calls.py``, whose helpers it uses."""

from __future__ import annotations

import comfy.model_management
import torch
from comfy_api.latest import io

import __main__ as calls  # sampling_calls.py: imported by its name it would be a second one, with models of its own


def particles(kind: str, reward: str, **settings):
    """The SAMPLER of *Resampling Sampler* ("rgrp") or *Steering Sampler* ("fk")."""
    module, name = {
        "rgrp": ("nodes.resampling_sampler_node", "ResamplingSampler"),
        "fk": ("nodes.steering_sampler_node", "SteeringSampler"),
    }[kind]
    node = getattr(calls.pack(module), name)
    defaults = {one.id: one.default for one in node.define_schema().inputs if getattr(one, "default", None) is not None}
    return node.execute(calls.handle(reward), **{**defaults, **settings}).args[0]


def custom_sample(
    model: str,
    sampler: str | tuple,
    reward: str | None = None,
    settings: dict | None = None,
    steps: int = 6,
    cfg: float = 1.0,
    batch: int = 1,
    seed: int = 5,
    size: tuple = (16, 3, 8, 8),
    about: dict | None = None,
    masked: bool = False,
    image: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    begin: int = 0,
    end: int | None = None,
    interrupt_at: int | None = None,
    before: tuple = (),
    guidance: dict | None = None,
):
    """SamplerCustomAdvanced with a plain sampler or one with particles.

    {"samples", "denoised", "evaluations" of the model, a latent each, "calls", "told": (step, its x0) of the callback}.

    Args:
        sampler: name of a plain one, or "rgrp" or "fk".
        noise: in place of the seed's.
        begin, end: of the schedule's steps; noise is added at ``begin`` 0 alone.
        interrupt_at: ComfyUI is interrupted in this call of the model.
    """
    import comfy_extras.nodes_custom_sampler as custom
    import latent_preview

    counts, told = [], []

    def counted(apply, args):
        counts.append(len(args["input"]))
        if len(counts) == interrupt_at:
            comfy.model_management.interrupt_current_processing()
        return apply(args["input"], args["timestep"], **args["c"])

    with torch.inference_mode():
        used = calls.patched(calls.video_model(model).clone(), list(before))
        used.set_model_unet_function_wrapper(counted)
        if guidance is not None:
            used = calls.guided(used, reward, **guidance)[0]
        made = particles(sampler, reward, **(settings or {})) if sampler in ("rgrp", "fk") else None
        made = made or calls.run_node(custom.KSamplerSelect, sampler_name=sampler)
        guider = calls.run_node(
            custom.CFGGuider, model=used, positive=calls.conditioning(1, **(about or {})),
            negative=calls.conditioning(2, **(about or {})), cfg=cfg,
        )  # fmt: skip
        sigmas = calls.run_node(custom.BasicScheduler, model=used, scheduler="simple", steps=steps, denoise=1.0)
        sigmas = sigmas[begin : None if end is None else end + 1]
        first = (
            calls.run_node(custom.RandomNoise, noise_seed=seed) if not begin else calls.run_node(custom.DisableNoise)
        )
        if noise is not None:
            first.generate_noise = lambda latent: noise
        latent = {"samples": torch.zeros(batch, *size) if image is None else image}
        if masked:
            mask = torch.zeros(len(latent["samples"]), 1, *size[1:])
            mask[..., : size[-1] // 2] = 1
            latent["noise_mask"] = mask
        plain = latent_preview.prepare_callback

        def prepared(*arguments, **options):
            inner = plain(*arguments, **options)

            def callback(step, x0, *rest):
                told.append((step, x0.clone()))
                return inner(step, x0, *rest)

            return callback

        latent_preview.prepare_callback = prepared
        try:
            node = custom.SamplerCustomAdvanced
            inputs = {"noise": first, "guider": guider, "sampler": made, "sigmas": sigmas, "latent_image": latent}
            out = node.execute(**inputs).args if issubclass(node, io.ComfyNode) else node().sample(**inputs)
        finally:
            latent_preview.prepare_callback = plain
        return {
            "samples": out[0]["samples"].clone(), "denoised": out[1]["samples"].clone(), "evaluations": sum(counts),
            "calls": counts, "told": told,
        }  # fmt: skip
