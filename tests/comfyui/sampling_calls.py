# ruff: noqa: E402, I001 - ComfyUI reads its arguments before its modules are imported
"""What ``ComfyProcess`` can be asked to do: sample with ComfyUI's own nodes and the pack's, guided or not."""

from __future__ import annotations

import importlib.util
import os
import sys

if __name__ == "__main__":  # before anything prints: the protocol has the real stdout
    PROTOCOL = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    REPOSITORY = sys.argv[1]
    sys.argv = ["main.py", "--cpu", "--use-pytorch-cross-attention"]

import comfy.options

comfy.options.enable_args_parsing()

import asyncio
import contextlib
import itertools
import traceback

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.sd
import nodes
import torch
from comfy_api.latest import io
from comfy_process import receive, send

PACK = "videoalign_in_comfyui"
_models: dict = {}


def load_pack(repository: str) -> None:
    spec = importlib.util.spec_from_file_location(PACK, f"{repository}/__init__.py")
    sys.modules[PACK] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[PACK])
    asyncio.run(sys.modules[PACK].comfy_entrypoint())


def pack(module: str):
    return importlib.import_module(f"{PACK}.{module}")


def video_model(path: str):
    if path not in _models:
        _models[path] = comfy.sd.load_diffusion_model(path)
    return _models[path]


def handle(path: str):
    if path not in _models:
        from pathlib import Path

        made = pack("nodes.latent_reward_handle").LatentRewardHandle.load(Path(path).name, Path(path), None, False)
        _models[path] = made
    return _models[path]


def conditioning(seed: int, width: int = 4096, tokens: int = 6, **about):
    text = torch.randn(1, tokens, width, generator=torch.Generator().manual_seed(seed))
    return [[text, dict(about)]]


def patched(model, names: list[str]):
    """Other nodes' patches by name."""
    import comfy_extras.nodes_apg
    import comfy_extras.nodes_cfg
    import comfy_extras.nodes_context_windows
    import comfy_extras.nodes_model_advanced
    import comfy_extras.nodes_slg

    windows = {
        "context_length": 9, "context_overlap": 4, "context_schedule": "standard_static", "context_stride": 1,
        "closed_loop": False, "fuse_method": "pyramid",
    }  # fmt: skip
    makers = {
        "CFGZeroStar": (comfy_extras.nodes_cfg.CFGZeroStar, {}),
        "APG": (comfy_extras.nodes_apg.APG, {"eta": 0.5, "norm_threshold": 5.0, "momentum": -0.5}),
        "SLG": (
            comfy_extras.nodes_slg.SkipLayerGuidanceDiT,
            {"scale": 2.0, "start_percent": 0.0, "end_percent": 1.0, "double_layers": "1", "single_layers": ""},
        ),
        "windows": (comfy_extras.nodes_context_windows.WanContextWindowsManualNode, windows),
        "eps": (comfy_extras.nodes_model_advanced.ModelSamplingDiscrete, {"sampling": "eps", "zsnr": False}),
    }
    for name in names:
        kind, inputs = makers[name]
        # Context windows before FreeNoise (0.3.64) never shuffle the noise, which is what False asks for.
        if name == "windows" and "freenoise" in kind.INPUT_TYPES()["required"]:
            inputs = inputs | {"freenoise": False}
        model = run_node(kind, model=model, **inputs)
    return model


def run_node(kind, **inputs):
    """The first output of a node, by the names of its inputs; in 0.3.64 some are not yet an ``io.ComfyNode``."""
    if issubclass(kind, io.ComfyNode):
        return kind.execute(**inputs).args[0]
    return getattr(kind(), kind.FUNCTION)(**inputs)[0]


def guided(model, reward: str, low_noise=None, weights=None, node: str = "7", **settings):
    """*Reward Guidance* as ComfyUI runs it: (model, low-noise model, trace)."""
    hidden = {io.Hidden.unique_id: node}
    # ComfyUI 0.3.64 hands a node its hidden inputs as they are, later ones among other things about the call.
    kind = pack("nodes.reward_guidance_node").RewardGuidance.PREPARE_CLASS_CLONE({"hidden_inputs": hidden, **hidden})
    defaults = {
        "VQ": 0.2, "MQ": 0.5, "TA": 0.3, "strength_mode": "unit-free", "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0,
        "cap": 0.5, "every": 1,
    }  # fmt: skip
    if weights is not None:
        weights = pack("reward.weights").RewardWeights.of(*weights)
    out = kind.execute(model, handle(reward), **{**defaults, **settings}, model_low_noise=low_noise, weights=weights)
    return out.args


def sample(
    model: str,
    reward: str | None = None,
    guidance: dict | None = None,
    sampler: str = "euler",
    scheduler: str = "simple",
    steps: int = 6,
    cfg: float = 3.0,
    batch: int = 1,
    seed: int = 5,
    size: tuple = (16, 3, 8, 8),
    width: int = 4096,
    positive: list | None = None,
    image: torch.Tensor | None = None,
    about: dict | None = None,
    masked: bool = False,
    denoise: float = 1.0,
    parts: list | None = None,
    low_noise: str | None = None,
    before: tuple = (),
    after: tuple = (),
    interrupt_at: int | None = None,
):
    """One or several samplers in a row; {"samples", "trace"}. ``parts`` are (start, end) steps of KSamplerAdvanced."""
    with torch.inference_mode(), heard(interrupt_at):
        used, second, trace = patched(video_model(model), list(before)), None, None
        if reward is not None:
            expert = None if low_noise is None else video_model(low_noise)
            used, second, trace = guided(used, reward, expert, **(guidance or {}))
        elif low_noise is not None:
            second = video_model(low_noise)
        used = patched(used, list(after))
        about = about or {}
        wanted = positive or [conditioning(1, width, **about)]
        wanted = [entry for one in wanted for entry in one]
        unwanted = conditioning(2, width, **about)
        latent = {"samples": torch.zeros(batch, *size) if image is None else image}
        if masked:
            mask = torch.zeros(batch, 1, *size[1:])
            mask[..., : size[-1] // 2] = 1
            latent["noise_mask"] = mask
        if parts is None:
            out = nodes.common_ksampler(used, seed, steps, cfg, sampler, scheduler, wanted, unwanted, latent, denoise)[
                0
            ]
        else:
            out = latent
            for place, (start, end) in enumerate(parts):
                last = place + 1 == len(parts)
                out = nodes.KSamplerAdvanced().sample(
                    second if place and low_noise is not None else used, "enable" if not place else "disable", seed, steps,
                    cfg, sampler, scheduler, wanted, unwanted, out, start, end, "disable" if last else "enable",
                )[0]  # fmt: skip
        return {"samples": out["samples"].clone(), "trace": None if trace is None else trace.of(out["samples"])}


def conditioned(seed: int, **about):
    """For ``positive``: a conditioning with entries like start_percent."""
    return conditioning(seed, **about)


@contextlib.contextmanager
def heard(interrupt_at: int | None = None):
    """What the page is told inside; ComfyUI is interrupted when this point of a trace comes."""
    live, told = pack("nodes.trace_routes").LIVE, []
    plain = live._send

    def send(event, message):
        told.append((event, message))
        if interrupt_at is not None and (message["index"] or 0) + 1 == interrupt_at:
            comfy.model_management.interrupt_current_processing()

    live._send = send
    try:
        yield told
    finally:
        live._send = plain


def repeated(model: str, reward: str, runs: list[dict]):
    """Several runs with one guidance node, as when a prompt is queued again: (what the page is told, the trace of each)."""
    traces = []
    with torch.inference_mode(), heard() as told:
        used, _, trace = guided(video_model(model), reward)
        made = []
        for run in runs:
            latent = {"samples": torch.zeros(1, *run.get("size", (16, 3, 8, 8)))}
            made += nodes.common_ksampler(
                used, run["seed"], 4, 1.0, "euler", "simple", conditioning(1), conditioning(2), latent, 1.0
            )
        traces = [trace.of(out["samples"]) for out in made]
    return told, traces


def plain_loop(model: str, reward: str, steps: int, cfg: float, weights, strength: float, seed: int = 5):
    """The paper's pseudo-code: Euler, the shift after classifier-free guidance at every step but t = 1.

    It uses ComfyUI's network and the reward model, and nothing of the guidance package.
    """
    judge = pack("reward.latent.reward_file").load_latent_reward(reward)
    patcher = video_model(model)
    comfy.model_management.load_models_gpu([patcher])
    network = patcher.model
    latent = torch.zeros(1, 16, 3, 8, 8)
    sigmas = comfy.samplers.calculate_sigmas(patcher.get_model_object("model_sampling"), "simple", steps)
    x = comfy.sample.prepare_noise(latent, seed)
    with_text, without = conditioning(1)[0][0], conditioning(2)[0][0]
    for t, following in itertools.pairwise(sigmas):
        with torch.inference_mode():
            denoised = [network.apply_model(x, t[None], c_crossattn=text) for text in (with_text, without)]
            v_with, v_without = ((x - own) / t for own in denoised)
            v = v_without + cfg * (v_with - v_without)
        if t < 1:
            leaf = x.clone().requires_grad_()
            r = judge.rewards(leaf, t[None], {"text": with_text}) @ torch.tensor(weights)
            v = v - strength * t / (1 - t) * torch.autograd.grad(r.sum(), leaf)[0]
        x = x + (following - t) * v.clone()
    return network.process_latent_out(x)


def weights_after_moving(reward: str):
    """Unload and load a latent reward as ComfyUI does while a node runs; where its weights stand and what they give.

    A CPU has nowhere to move weights to, so each move copies them at the moment when a GPU's would be copied.
    """
    held = pack("nodes.latent_reward_handle").LatentRewardHandle
    from pathlib import Path

    made = held.load("moving", Path(reward), None, False)
    moves = []
    network = made.reward
    plain_to = network.to

    def copying_to(*arguments, **options):
        moves.append(torch.is_inference_mode_enabled())
        for parameter in network.parameters():
            parameter.data = parameter.data.clone()
        return plain_to(*arguments, **options)

    network.to = copying_to
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 16, 3, 8, 8, generator=generator)
    text = torch.randn(1, 6, 4096, generator=generator)
    t = torch.tensor([0.6])

    def gradient():
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(made.rewards(leaf, t, {"text": text}).sum(), leaf)[0]

    before = gradient()
    with torch.inference_mode():
        for _ in range(2):
            comfy.model_management.load_models_gpu([made.patcher])
            comfy.model_management.unload_all_models()
        comfy.model_management.load_models_gpu([made.patcher])
        with torch.inference_mode(False), torch.enable_grad():
            after = gradient()
    differences = []
    for _ in range(3):
        way = torch.randn(x.shape, generator=generator)
        with torch.no_grad():
            ahead, behind = (made.rewards(x + step * way, t, {"text": text}).sum() for step in (0.01, -0.01))
        differences.append((float((after * way).sum()), float(ahead - behind) / 0.02))
    return {
        "moves": moves,
        "inference_tensors": sum(tensor.is_inference() for tensor in network.state_dict().values()),
        "before": before,
        "after": after,
        "differences": differences,
    }


def copied_guidance(model: str, reward: str):
    """What becomes of the guidance when ComfyUI 0.3.64 deep-copies a model's options: the latent reward models they lead to."""
    import copy

    with torch.inference_mode():
        used = guided(video_model(model), reward)[0]
        copies = copy.deepcopy(used.model_options), copy.deepcopy(used.wrappers)
        functions = [
            copies[0]["sampler_post_cfg_function"][-1],
            *(function for kind in copies[1].values() for own in kind.values() for function in own),
        ]
    owners = [cell.cell_contents for function in functions for cell in function.__closure__]
    return all(owner.reward is handle(reward) for owner in owners if hasattr(owner, "reward"))


def main() -> None:
    load_pack(REPOSITORY)
    while (asked := receive(sys.stdin.buffer)) is not None:
        name, arguments = asked
        try:
            function = globals().get(name) or getattr(importlib.import_module("custom_sampling_calls"), name)
            answer = True, function(**arguments)
        except BaseException as error:
            answer = False, (type(error).__name__, str(error), traceback.format_exc())
            print(answer[1][2], file=sys.stderr, flush=True)
        send(PROTOCOL, answer)
    os._exit(0)  # ComfyUI leaves threads behind


if __name__ == "__main__":
    main()
