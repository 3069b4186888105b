"""ComfyUI's memory manager with our patcher: a latent reward that is loaded, unloaded and loaded again keeps its gradients."""

from __future__ import annotations

import os
import sys

import torch
from wan_sizes import SIZES, network

from .case import Bench, Check, Outcome

STEP = 1e-2


def checks() -> list[Check]:
    """One, where COMFYUI_PATH names a ComfyUI."""
    return [Check("ComfyUI: a latent reward loaded, unloaded, loaded again", 40, loaded_again)]


def loaded_again(bench: Bench) -> Outcome:
    """The reward's gradient before and after it was away, and against differences of the reward itself.

    Of R along a direction d, (R(x + h d) - R(x - h d)) / 2h differs from <grad R, d> by h^2 / 6 times the third derivative
    and by the rounding of R over h; in float32 and with h = 0.01 both are below a per cent of a reward that varies over a
    length of 1. In bfloat16 the rounding alone would be larger than the difference, so the trunk is float32 here.
    """
    if not os.environ.get("COMFYUI_PATH"):
        return Outcome(wrong="left out: COMFYUI_PATH names no ComfyUI")
    _start_comfyui(bench)
    import comfy.model_management as manager

    from videoalign.nodes.latent_reward_handle import LatentRewardHandle
    from videoalign.reward.latent.heads import HeadConfig
    from videoalign.reward.latent.latent_reward import LatentReward

    torch.manual_seed(0)
    size = "1.3b" if bench.real else "micro"
    cpu = torch.device("cpu")
    trunk = network(size, SIZES[size].trunk if bench.real else 2, torch.float32, cpu)
    reward = LatentReward(trunk, HeadConfig(width=SIZES[size].head_width)).requires_grad_(False).eval()
    handle = LatentRewardHandle("check", reward, manager.get_torch_device(), cpu)
    shape = trunk.latent_format.shape(*((17, 256, 256) if bench.real else (5, 32, 32)))
    x_t, direction = (torch.randn(1, *shape, device=bench.device) for _ in range(2))
    direction /= direction.norm()
    told = {"text": 0.5 * torch.randn(1, SIZES[size].text, 4096, device=bench.device)}
    sigma = torch.tensor([0.6], device=bench.device)

    def total(x: torch.Tensor) -> torch.Tensor:
        return handle.rewards(x, sigma, told).sum()

    def gradient() -> torch.Tensor:
        leaf = x_t.clone().requires_grad_()
        return torch.autograd.grad(total(leaf), leaf)[0]

    manager.load_models_gpu([handle.patcher])
    before = gradient()
    loaded = torch.cuda.memory_allocated() if bench.cuda else 0
    manager.unload_all_models()
    freed = loaded - torch.cuda.memory_allocated() if bench.cuda else 0
    with torch.inference_mode():  # as nodes run
        manager.load_models_gpu([handle.patcher])
    seconds, peak = bench.measured(gradient, warm_up=0)
    after = gradient()
    with torch.no_grad():
        slope = float(total(x_t + STEP * direction) - total(x_t - STEP * direction)) / (2 * STEP)
    inner = float((before * direction).sum())
    rounding = torch.finfo(torch.float32).eps * float(total(x_t).detach().abs()) * 8 / STEP
    facts = {
        "gradient after / before, largest difference": float((after - before).abs().max()),
        "slope by differences": slope,
        "slope by the gradient": inner,
        "freed, GB": freed / 1e9,
    }
    wrong = ""
    if not torch.allclose(before, after, rtol=1e-4, atol=1e-4 * float(before.abs().max())):
        wrong = "the gradient is another one after unloading"
    elif abs(slope - inner) > 0.02 * float(before.norm()) + rounding:
        wrong = f"the gradient says {inner:.3g}, differences of the reward say {slope:.3g}"
    elif bench.cuda and freed < 0.9 * sum(weight.nbytes for weight in reward.parameters()):
        wrong = f"unloading freed {freed / 1e9:.2f} GB only"
    return Outcome(seconds, peak, None, facts, wrong)


def _start_comfyui(bench: Bench) -> None:
    """As ``main.py`` starts it, without its server."""
    path, arguments = os.environ["COMFYUI_PATH"], sys.argv
    sys.path.insert(0, path)
    sys.argv = ["main.py", *([] if bench.cuda else ["--cpu"])]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import comfy.model_management
    finally:
        sys.argv = arguments
