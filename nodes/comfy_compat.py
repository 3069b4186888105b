"""Everything that the pack takes from ComfyUI, in one place, for ComfyUI 0.3.64 and newer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.utils import ProgressBar
from comfy_api.latest import ComfyExtension, InputImpl, Types, io
from comfy_execution.graph_utils import ExecutionBlocker

if TYPE_CHECKING:
    import torch
    from aiohttp.web import RouteDef

__all__ = [
    "CATEGORY",
    "ComfyExtension",
    "ExecutionBlocker",
    "LatentRewardSocket",
    "ModelPatcher",
    "ProgressBar",
    "RewardSocket",
    "RulesSocket",
    "ScoresSocket",
    "TraceSocket",
    "WeightsSocket",
    "WrappersMP",
    "add_routes",
    "cfg_guider",
    "fitting_latent",
    "folder_paths",
    "growing_input",
    "grown_values",
    "io",
    "last_prompt",
    "latent_previewer",
    "model_management",
    "named_sampler",
    "named_sigmas",
    "node_schema",
    "register_model_folder",
    "sampler_names",
    "sampler_of",
    "scheduler_names",
    "seeded_noise",
    "send_to_page",
    "trusted_origins",
    "video_from_file",
    "video_from_images",
    "video_source",
]

CATEGORY = "VideoAlign"
RewardSocket = io.Custom("VIDEOALIGN_REWARD")
LatentRewardSocket = io.Custom("VIDEOALIGN_LATENT_REWARD")
TraceSocket = io.Custom("VIDEOALIGN_TRACE")
ScoresSocket = io.Custom("VIDEOALIGN_SCORES")
WeightsSocket = io.Custom("VIDEOALIGN_WEIGHTS")
RulesSocket = io.Custom("VIDEOALIGN_RULES")

# ComfyUI versions without growing inputs get this many sockets.
_FIXED_SOCKETS = 8
_MOST_SOCKETS = 64


def sampler_of(function: Callable) -> object:
    """A SAMPLER of a function (model, x, sigmas, extra_args, callback, disable) -> x, as those of k-diffusion."""
    from comfy.samplers import KSAMPLER

    return KSAMPLER(function)


def register_model_folder(name: str) -> None:
    """Make ``models/name`` known beside whatever extra_model_paths.yaml has declared under that name."""
    folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))


def _server():
    """ComfyUI's running server, or None. One that runs has been imported: importing it takes seconds where none does."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def add_routes(make: Callable[[], Iterable[RouteDef]]) -> None:
    """Let ComfyUI's server answer what ``make()`` returns (aiohttp routes), also below ``/api``; nothing where no server runs."""
    running = _server()
    if running is not None:
        for route in make():
            running.routes.route(route.method, route.path)(route.handler)


def trusted_origins() -> tuple[str, ...]:
    """The other site that ``--enable-cors-header`` lets in by its name. The value ``*`` names none: it lets in every site."""
    from comfy.cli_args import args

    origin = getattr(args, "enable_cors_header", None)
    return (origin,) if origin and origin != "*" else ()


def send_to_page(event: str, content: dict) -> None:
    """Send a message to the page that queued the running prompt; nothing happens where no server runs."""
    running = _server()
    if running is not None:
        running.send_sync(event, content, running.client_id)


def last_prompt() -> str | None:
    """The id of the prompt that is being executed, or was last; None where no server runs."""
    return getattr(_server(), "last_prompt_id", None)


def node_schema(search_aliases: Iterable[str] = (), **fields) -> io.Schema:
    """``io.Schema``, found in the search by further words where ComfyUI has that (not in 0.3.64)."""
    if "search_aliases" in io.Schema.__dataclass_fields__:
        fields["search_aliases"] = list(search_aliases)
    return io.Schema(**fields)


def growing_input(socket, name: str, prefix: str, tooltip: str) -> list:
    """Inputs ``prefix0``, ``prefix1``, … that grow as they are connected.

    In a prompt they are named ``name.prefix0`` and so on. None is required: a muted node in front of the first would refuse all
    the others; whether there are enough is for the node to say. ComfyUI before growing inputs (0.3.64) shows a fixed number of
    sockets of the same names, so that a prompt runs in either.
    """
    if hasattr(io, "Autogrow"):
        template = io.Autogrow.TemplatePrefix(socket.Input(prefix, tooltip=tooltip), prefix, min=0, max=_MOST_SOCKETS)
        return [io.Autogrow.Input(name, template, tooltip=tooltip)]
    return [
        socket.Input(f"{name}.{prefix}{index}", display_name=f"{prefix}{index}", optional=True, tooltip=tooltip)
        for index in range(_FIXED_SOCKETS)
    ]


def grown_values(name: str, inputs: dict) -> list:
    """Take a growing input's connected values out of ``execute``'s keyword arguments, in the order of the sockets."""
    values = dict(inputs.pop(name, None) or {})
    for key in [key for key in inputs if key.startswith(f"{name}.")]:
        values[key.removeprefix(f"{name}.")] = inputs.pop(key)
    ordered = sorted(values, key=lambda key: int("".join(filter(str.isdigit, key)) or 0))
    return [values[key] for key in ordered if values[key] is not None]


def video_from_images(images: torch.Tensor, fps: float):
    """A VIDEO that holds these frames as they are: nothing is encoded."""
    rate = Fraction(fps).limit_denominator(100_000)
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=images, frame_rate=rate))


def video_from_file(path: str | Path):
    """A VIDEO that is this file."""
    return InputImpl.VideoFromFile(str(path))


def video_source(video: object):
    """The file behind a VIDEO (a path or a binary file object), or None when its frames are only in memory.

    A VIDEO that was cut to a part of its file counts as in memory: the file would give the whole. Asking another VIDEO for
    its file would encode its frames, and lossy frames get other scores.
    """
    if not isinstance(video, InputImpl.VideoFromFile):
        return None
    window = getattr(video, "get_active_trim_window", None)
    if window is not None and any(window()):
        return None
    return video.get_stream_source()


def sampler_names() -> list[str]:
    """Those that KSampler lists."""
    from comfy.samplers import KSampler

    return list(KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    """Those that KSampler lists."""
    from comfy.samplers import KSampler

    return list(KSampler.SCHEDULERS)


def named_sampler(name: str):
    """A SAMPLER as KSampler makes it."""
    from comfy.samplers import sampler_object

    return sampler_object(name)


def named_sigmas(model: ModelPatcher, sampler: str, scheduler: str, steps: int, denoise: float) -> torch.Tensor:
    """SIGMAS as KSampler makes them: for some samplers other ones than BasicScheduler's."""
    from comfy.samplers import KSampler

    return KSampler(
        model, steps, model.load_device, sampler, scheduler, denoise, model_options=model.model_options
    ).sigmas


def cfg_guider(model: ModelPatcher, positive, negative, cfg: float):
    """The GUIDER that KSampler samples with."""
    from comfy.samplers import CFGGuider

    guider = CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    return guider


def fitting_latent(model: ModelPatcher, latent: dict):
    """A LATENT's samples in the shape that the model samples, as the sampler nodes make it of an empty one."""
    import inspect

    from comfy.sample import fix_empty_latent_channels

    known = inspect.signature(fix_empty_latent_channels).parameters  # 0.3.64 has none of the two
    names = ("downscale_ratio_spacial", "downscale_ratio_temporal")
    return fix_empty_latent_channels(
        model, latent["samples"], **{name: latent.get(name) for name in names if name in known}
    )


def seeded_noise(samples: torch.Tensor, seed: int, batch_index=None) -> torch.Tensor:
    """The noise that KSampler and RandomNoise give for a seed; it seeds torch's own generator, as theirs does."""
    from comfy.sample import prepare_noise

    return prepare_noise(samples, seed, batch_index)


def latent_previewer(model: ModelPatcher) -> Callable | None:
    """x0 -> what ComfyUI's progress shows of it, as the settings say; None for nothing."""
    from latent_preview import get_previewer

    previewer = get_previewer(model.load_device, model.model.latent_format)
    return None if previewer is None else lambda x0: previewer.decode_latent_to_preview_image("JPEG", x0)
