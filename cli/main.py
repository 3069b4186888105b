"""``videoalign``: one command line, a module for each command, loaded only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from ..training.flow.methods import method_summaries
from .terminal import leave_out_needless_warnings, visible_output

if TYPE_CHECKING:
    from ..training.train_flow_command import TrainFlowCommand
    from .plan_command import PlanCommand

TRAIN_FLOW = "training.train_flow_command"
PLAN = "cli.plan_command"
PLANNED = {"latent-reward": "train latent-reward", "video-reward": "train video-reward"} | {
    name: name for name in ("score", "generate", "search", "align")
}
"""What ``videoalign plan`` takes besides the methods of training -> the command that it is about."""

NETWORKS_ALONE = ("generate", "search")
"""Commands that need diffusers' networks and nothing else of it."""


def _method_commands() -> dict[str, tuple[str, str]]:
    train = {f"train {name}": (TRAIN_FLOW, summary) for name, summary in method_summaries().items()}
    planned = {name: f"train {name}" for name in method_summaries()} | PLANNED
    return train | {f"plan {name}": (PLAN, f"Tell what videoalign {what} will take.") for name, what in planned.items()}


COMMANDS = {
    "score": ("evaluation.score_command", "Score clips: visual quality, motion quality, text alignment."),
    "measure": (
        "measures.measure_command",
        "Measure clips without a reward: motion, flicker, sharpness, light, colour.",
    ),
    "convert": ("reward.convert_command", "Turn an official VideoReward checkpoint into one safetensors file."),
    "bench": ("evaluation.bench_command", "Measure how often a reward agrees with people's choices."),
    "bench vbench-total": (
        "evaluation.vbench_total_command",
        "VBench's total score from the results of its dimensions.",
    ),
    "align": ("alignment.align_command", "From a file of prompts to a LoRA: generate, score, pair, train, compare."),
    "generate": ("generation.generate_command", "Generate clips of a file of prompts from a video model."),
    "search": ("generation.search_command", "Draft many seeds of each prompt, judge early, finish the best."),
    "filter": ("evaluation.filter_command", "Keep the better of scored clips, as trainers read them."),
    "pairs": ("preferences.pairs_command", "Make preference pairs of scored clips."),
    "choose": ("preferences.choose_command", "Choose between two clips of one prompt, on a local page."),
    "choose merge": ("preferences.choose_merge_command", "Put several people's choices together."),
    "choose export": ("preferences.choose_export_command", "Write choices as VideoAlign's CSV."),
    "compare": ("evaluation.compare_command", "Compare two models' clips of the same prompts and seeds."),
    "train video-reward": ("training.train_video_reward_command", "Train a VideoReward from preference pairs."),
    "train latent-reward": (
        "training.train_latent_reward_command",
        "Train a latent reward model, which guidance climbs.",
    ),
    **_method_commands(),
    "lora export": ("training.lora_export_command", "Take the LoRA out of a checkpoint of a training."),
    "lora inspect": ("lora.lora_inspect_command", "Show what is in a LoRA, and which of its keys ComfyUI applies."),
    "lora convert": ("lora.lora_convert_command", "Rewrite a LoRA under the names that ComfyUI applies completely."),
    "demo": ("evaluation.demo_command", "Score a few shipped clips offline, to see that everything works."),
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``videoalign COMMAND ...`` and return its exit status: 0 done, 1 something failed, 2 wrong usage."""
    leave_out_needless_warnings()
    with visible_output():
        return _run(list(sys.argv[1:] if arguments is None else arguments), whole_process=arguments is None)


def _run(arguments: list[str], whole_process: bool) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        from .. import __version__

        print(__version__)
        return 0
    known = commands()
    words = 2 if " ".join(arguments[:2]) in known else 1
    name, rest = " ".join(arguments[:words]), arguments[words:]
    if name not in known:
        print(f"videoalign: there is no command '{name}'.\n\n{_usage()}", file=sys.stderr)
        return 2
    command = load_command(name)
    from ..errors import VideoAlignError
    from ..files.atomic_file import disk_error
    from .options import ConfigError, parse_command

    try:
        config = parse_command(command.Config, name, rest)
        if whole_process and name in NETWORKS_ALONE:
            from ..backbones.diffusers_start import import_networks_alone

            import_networks_alone()
        status = command.run(config)
        sys.stdout.flush()  # a full disk behind it is said here, not by Python at exit
        return status
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except VideoAlignError as error:
        return _failed(name, error, error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        _write_no_more()
        return 1
    except OSError as error:  # a full or read-only disk, no permission: where nothing nearer has put it into words
        said = disk_error(error)
        if said is None:
            raise
        return _failed(name, said, error)


def commands() -> dict[str, tuple[str, str]]:
    """Name of each command -> its module and what it does; with the methods that a program has registered."""
    return {**COMMANDS, **_method_commands()}


def load_command(name: str) -> ModuleType | TrainFlowCommand | PlanCommand:
    """What runs a command: it has ``Config``, the options, and ``run``, which takes them and returns the exit status."""
    path = commands()[name][0]
    if path == PLAN:
        from .plan_command import plan_command

        planned = name.removeprefix("plan ")
        return plan_command(load_command(PLANNED.get(planned, f"train {planned}")))
    module = importlib.import_module(f"..{path}", __package__)
    if path == TRAIN_FLOW:
        return module.train_command(name.removeprefix("train "))
    return module


def _failed(name: str, said: Exception, error: BaseException) -> int:
    print(f"videoalign {name}: {said}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _write_no_more()
    return 1


def _write_no_more() -> None:
    """Let nothing be written to standard output at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage() -> str:
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in known.items()]
    return (
        "usage: videoalign COMMAND [options]\n\n" + "\n".join(lines) + "\n\nEach command has --help and --print-config."
    )


if __name__ == "__main__":
    sys.exit(main())
