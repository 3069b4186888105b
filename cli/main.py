"""``videoalign``: one command line, a module for each command, loaded only when it is called."""

from __future__ import annotations

import importlib
import os
import sys

COMMANDS = {
    "score": ("evaluation.score_command", "Score clips: visual quality, motion quality, text alignment."),
    "convert": ("reward.convert_command", "Turn an official VideoReward checkpoint into one safetensors file."),
    "bench": ("evaluation.bench_command", "Measure how often a reward agrees with people's choices."),
    "align": ("training.align_command", "From a file of prompts to a LoRA: generate, score, pair, train, compare."),
    "generate": ("generation.generate_command", "Generate clips of a file of prompts from a video model."),
    "pairs": ("preferences.pairs_command", "Make preference pairs of scored clips."),
    "choose": ("preferences.choose_command", "Choose between two clips of one prompt, on a local page."),
    "choose merge": ("preferences.choose_merge_command", "Put several people's choices together."),
    "choose export": ("preferences.choose_export_command", "Write choices as VideoAlign's CSV."),
    "compare": ("evaluation.compare_command", "Compare two models' clips of the same prompts and seeds."),
    "train video-reward": ("training.train_video_reward_command", "Train a VideoReward from preference pairs."),
    "train latent-reward": ("training.train_latent_reward_command", "Train a latent reward model, which guidance climbs."),
    "train dpo": ("training.train_dpo_command", "Train a LoRA from preference pairs with Flow-DPO."),
    "train rwr": ("training.train_rwr_command", "Train a LoRA by reward-weighted regression."),
    "train sft": ("training.train_sft_command", "Train a LoRA on the chosen clips alone."),
    "lora inspect": ("lora.lora_inspect_command", "Show what is in a LoRA, and which of its keys ComfyUI applies."),
    "lora convert": ("lora.lora_convert_command", "Rewrite a LoRA under the names that ComfyUI applies completely."),
    "demo": ("micro.demo_command", "Score a few shipped clips offline, to see that everything works."),
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``videoalign COMMAND ...`` and return its exit status: 0 done, 1 something failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        from .. import __version__

        print(__version__)
        return 0
    words = 2 if " ".join(arguments[:2]) in COMMANDS else 1
    name, rest = " ".join(arguments[:words]), arguments[words:]
    if name not in COMMANDS:
        print(f"videoalign: there is no command '{name}'.\n\n{_usage()}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"..{COMMANDS[name][0]}", __package__)
    from ..errors import VideoAlignError
    from .options import ConfigError, parse_command

    try:
        return command.run(parse_command(command.Config, name, rest))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except VideoAlignError as error:
        print(f"videoalign {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has gone: let nothing be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return (
        "usage: videoalign COMMAND [options]\n\n" + "\n".join(lines) + "\n\nEach command has --help and --print-config."
    )


if __name__ == "__main__":
    sys.exit(main())
