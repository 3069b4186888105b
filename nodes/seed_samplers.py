"""What a search has to know of ComfyUI's samplers: evaluations a step, and whether one can be gone on with. Nothing here imports ComfyUI.

Measured with ComfyUI 0.30's samplers on a tiny Wan; the tests measure it again.
"""

from __future__ import annotations

from typing import Any

from ..errors import VideoAlignError

STEPLESS = ("dpm_fast", "dpm_adaptive")
"""They divide the way by themselves: "after k steps" means nothing there."""

TWICE = frozenset({
    "heun", "exp_heun_2_x0", "exp_heun_2_x0_sde", "dpm_2", "dpm_2_ancestral", "dpmpp_2s_ancestral",
    "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu", "seeds_2", "sa_solver_pece",
})  # fmt: skip
THREE_TIMES = frozenset({"heunpp2", "seeds_3"})

WITHOUT_MEMORY = frozenset({"euler", "euler_cfg_pp", "ddim", "heun", "dpm_2", "exp_heun_2_x0"})
"""No step knows the steps before: stopped and gone on with they differ by rounding."""
WITH_MEMORY = frozenset({
    "dpmpp_2m", "dpmpp_2m_cfg_pp", "uni_pc", "uni_pc_bh2", "res_multistep", "res_multistep_cfg_pp", "deis", "ipndm",
    "gradient_estimation", "gradient_estimation_cfg_pp", "heunpp2",
})  # fmt: skip
"""They forget the earlier steps at the seam, and take a step of lower order there: of 8 steps, with the seam after 3, they end within 0.1
standard deviations (root mean square) of the uninterrupted clip. All others end further off, and most draw noise."""

_NAMES = {"unipc": "uni_pc", "unipc_bh2": "uni_pc_bh2"}


def sampler_name(sampler: Any) -> str:
    """What KSampler calls this SAMPLER; the name of its function where it lists none."""
    function = getattr(getattr(sampler, "sampler_function", sampler), "__name__", type(sampler).__name__)
    name = function.removeprefix("sample_").removesuffix("_function")
    return _NAMES.get(name, name)


def check_sampler(name: str) -> None:
    """Whether a search can use it.

    Raises:
        VideoAlignError: it has no steps after which to look.
    """
    if name in STEPLESS:
        raise VideoAlignError(
            f"The sampler {name} chooses its steps by itself, so there is no step after which to look. Choose another one, such as euler."
        )


def check_can_go_on(name: str, options: dict) -> None:
    """Whether a stopped run of it ends near the clip of the uninterrupted one.

    Args:
        options: of the SAMPLER, such as ``s_churn``.

    Raises:
        VideoAlignError: it does not.
    """
    if name not in WITHOUT_MEMORY | WITH_MEMORY or any(options.values()):
        raise VideoAlignError(
            f"mode 'continue' is not possible with the sampler {name}{' and its options' if any(options.values()) else ''}: gone on "
            "with after a stop, it makes another clip than was judged. Choose mode 'replay', or one of "
            f"{', '.join(sorted(WITHOUT_MEMORY | WITH_MEMORY))}."
        )


def evaluations(name: str, steps: int, stopped: bool, to_zero: bool) -> int:
    """How often a sampler call asks the model, classifier-free guidance counted as once.

    Args:
        steps: that it does.
        stopped: in the last of them, as soon as its clean clip is known.
        to_zero: the last of them ends without noise.
    """
    if name == "sa_solver_pece" and stopped:
        return max(1, 2 * (steps - 1))
    a_step = 2 if name in TWICE else 3 if name in THREE_TIMES else 1
    if name == "heunpp2" and not stopped:  # the last two steps are of lower order, wherever they end
        return 3 * (steps - 2) + 3 if steps > 1 else 1
    return a_step * (steps - 1) + (1 if stopped or to_zero else a_step)
