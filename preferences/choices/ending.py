"""What a person is told when all pairs are chosen: where the choices are, how far people agree, and what to run next."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from ...errors import VideoAlignError
from ..preference_file import Preferences
from ..reading import read_preferences
from .choice_file import ChoiceFile
from .merge import left_share, merge_choices, person_of


def ending(file: ChoiceFile) -> dict:
    """What the page's last view shows, JSON-ready.

    People who chose in the same folder are found by the names of their files, ``choices*.jsonl``.

    Args:
        file: the person's choices, one or more.

    Returns:
        ``path`` (absolute) and ``chosen`` (how many pairs) of the file; ``prompts``, of how many prompts; ``left``, the
        share 0..1 of the choices "A" or "B" overall that went to the clip on the left and ``decided``, of how many, or
        None; ``people``, for each other person ``name`` and ``agreement``, a row for each dimension that both judged with
        ``pairs``, ``share`` (0..1) and ``kappa`` (None where chance explains everything); ``unread``, names of files that
        cannot be read; ``commands``, what can be run next, as ``what`` and ``command``.

    Raises:
        VideoAlignError: the person's own file cannot be read.
    """
    path = file.path.resolve()
    own = Preferences(list(file.choices().values()), path.parent, path)
    people, unread, readable = [], [], []
    for other in sorted(path.parent.glob("choices*.jsonl")):
        if other.resolve() == path or not other.is_file() or not other.stat().st_size:
            continue
        try:
            theirs = read_preferences(other)
        except (VideoAlignError, OSError):
            unread.append(other.name)
            continue
        merged = merge_choices([(str(path), own), (str(other), theirs)], path.parent)
        rows = [
            {"dimension": row.dimension, "pairs": row.pairs, "share": row.share, "kappa": row.kappa}
            for row in merged.agreements
            if row.pairs
        ]
        people.append({"name": person_of(other), "agreement": rows})
        readable.append(other)
    share, decided = left_share(own)
    return {
        "path": str(path),
        "chosen": len(own),
        "prompts": len({pair.prompt for pair in own}),
        "left": {"share": share, "decided": decided} if decided else None,
        "people": people,
        "unread": unread,
        "commands": _commands(path, readable),
    }


def _commands(path: Path, others: list[Path]) -> list[dict]:
    train, commands = path, []
    if others:
        train = path.parent / "merged.jsonl"
        merge = ["videoalign", "choose", "merge", str(path), *map(str, others), "--output", str(train)]
        commands.append({"what": "Put everybody's choices together", "command": _line(merge)})
    dpo = ["videoalign", "train", "dpo", "--data.train", str(train), "--model.transformer", "MODEL.safetensors"]
    dpo += ["--model.vae", "VAE.safetensors", "--model.text-encoder", "TEXT_ENCODER.safetensors", "--output", "my-lora"]
    return [*commands, {"what": "Train a LoRA of your video model on them", "command": _line(dpo)}]


def _line(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
