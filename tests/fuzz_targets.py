"""What the fuzz reads: for each kind of file a healthy one, and the program's own way of reading it.

A target's ``make(folder, variant)`` writes healthy files and returns the one to damage; ``read(path)`` gives what the program takes
from it. ``right(found, healthy)`` says whether that may come from a damaged file: None where any whole value may (a flipped
letter of a prompt is another prompt), a rule for journals and states, which must notice.
"""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fuzz_weights import (
    OLD,
    ROOT,
    equal,
    make_copy,
    make_latent_reward,
    make_network,
    make_official,
    make_safetensors,
    make_state,
    newest_or_older,
    read_latent_reward,
    read_lora_file,
    read_network,
    read_official,
    read_safetensors,
    read_state,
    read_vae,
    read_video_reward,
)
from made_clips import encode_clip

from videoalign.clips.find import CLIP_LIST
from videoalign.evaluation.bench.known_scores import read_known_scores
from videoalign.evaluation.bench.pairs import bench_pairs
from videoalign.evaluation.compare.matching import read_manifest
from videoalign.evaluation.scoring.score_journal import ScoreJournal
from videoalign.evaluation.scoring.score_rows import ScoreRow, rows_from_manifest
from videoalign.files.csv_text import csv_text
from videoalign.generation.clip_folder import ClipFolder, wanted_clips
from videoalign.generation.prompts import PromptRow, read_prompt_rows
from videoalign.preferences.choices.candidates import read_candidates
from videoalign.preferences.choices.choice_file import ChoiceFile
from videoalign.preferences.importers.scored_clips import read_scored_clips
from videoalign.preferences.reading import read_preferences
from videoalign.reward.clip import prepare_clip
from videoalign.reward.settings import FrameSampling


class Target(NamedTuple):
    make: Callable[[Path, int], Path]
    read: Callable[[Path], Any]
    variants: int
    text: bool = True
    right: Callable[[Any, Any], bool] | None = None


# Clips

CLIPS = [
    ("c.mp4", "libx264", "yuv420p", {"g": "8"}), ("c.webm", "libvpx", "yuv420p", {"deadline": "realtime"}), ("c.mkv", "libx264", "yuv420p", {"g": "8"}),
    ("c.gif", "gif", "rgb8", {}), ("c.avi", "mpeg4", "yuv420p", {"g": "8"}), ("c.ts", "mpeg2video", "yuv420p", {"g": "8"}), ("c.webp", "", "", {}),
]  # fmt: skip


def make_clip(folder, variant):
    name, codec, pixels, options = CLIPS[variant]
    path = folder / name
    if codec:
        return encode_clip(path, 24, codec=codec, pixels=pixels, options=options)
    from PIL import Image

    pictures = [
        Image.fromarray(np.roll(np.arange(64 * 48 * 3, dtype=np.uint8).reshape(48, 64, 3), 4 * n, 1)) for n in range(12)
    ]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80)
    return path


def read_clip(path):
    clip = prepare_clip(path, FrameSampling())
    return clip.total_frames, clip.fps, clip.indices, clip.patches


# Tables

ROWS = [
    {"id": f"r{n}", "path": f"v/{n}.mp4", "prompt": text, "fps": rate, "seed": n, "model": "m", "num_frames": 17,
     "VQ": n / 8, "MQ": -n / 4, "TA": n, "Overall": n * 0.875}
    for n, (text, rate) in enumerate([("a red ball", 8), ("a red ball", 8.5), ('say "hi", twice\nor so', 24), ("=1+1 \u2028 猫", 12)])
]  # fmt: skip
PAIRS = [{"prompt": row["prompt"], "chosen": row["path"], "rejected": f"v/{n + 9}.mp4", "labels": {"VQ": "A", "TA": "same"}, "fps": 8.0, "weight": 1.5,
          "source": {"format": "x", "columns": {"a": 1.5}}} for n, row in enumerate(ROWS)]  # fmt: skip
SIDES = [{"path_A": row["path"], "path_B": f"v/{n + 9}.mp4", "prompt": row["prompt"], "VQ": "A", "MQ": "same", "fps_A": 8, "fps_B": 8, "MOS_A_VQ": 3.5}
         for n, row in enumerate(ROWS)]  # fmt: skip
VOTES = [
    {
        "prompt": row["prompt"],
        "left_video": row["path"],
        "right_video": "v/9.mp4",
        "vote_type": "leftvote",
        "left_model": "m",
    }
    for row in ROWS
]
ANSWERS = [
    {
        "prompt": row["prompt"],
        "video1_path": row["path"],
        "video2_path": "v/9.mp4",
        "standard_answer": 1,
        "internal_id": n,
    }
    for n, row in enumerate(ROWS)
]
CRITIC = [
    {
        "video": row["path"],
        "caption": "x",
        "semantic consistency": "Good. x",
        "fidelity issues": "Bad.",
        "motion issues": "Normal.",
    }
    for row in ROWS
]
NUMBERED = [
    {"video1": 0, "video2": 1, "frame_caption": ["x"], "score": 0.31},
    {"video1": 1, "video2": 2, "frame_caption": "y", "score": 0.5},
]
ENDINGS = (".csv", ".tsv", ".json", ".jsonl")


def write_table(path, rows):
    if path.suffix in (".csv", ".tsv"):
        flat = [
            {name: json.dumps(cell) if isinstance(cell, dict | list) else cell for name, cell in row.items()}
            for row in rows
        ]
        text = csv_text(flat, list(rows[0]))
        if path.suffix == ".tsv":
            import csv
            import io

            cells, out = list(csv.reader(io.StringIO(text, newline=""))), io.StringIO(newline="")
            csv.writer(out, delimiter="\t", lineterminator="\n").writerows(cells)
            text = out.getvalue()
    elif path.suffix == ".json":
        text = json.dumps(rows, ensure_ascii=False, indent=1)
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(text.encode())
    return path


def table(rows, *endings, beside=None):
    def make(folder, variant):
        for name, content in (beside or {}).items():
            write_table(folder / name, content)
        return write_table(folder / f"t{endings[variant]}", rows)

    return make, len(endings)


def read_score_manifest(path):
    # NaN is handed on on purpose: it is that row's error when the row is scored.
    return [
        (row.id, str(row.path), row.prompt, None if row.fps is not None and math.isnan(row.fps) else row.fps)
        for row in rows_from_manifest(path)
    ]


def read_any_preferences(path):
    preferences = read_preferences(path)
    lines = [pair.as_line() for pair in preferences]
    for line in lines:
        json.loads(line, parse_constant=lambda word: 1 / 0)  # what is written must be JSON
    csv_text(bench_columns(preferences), ["path_A", "path_B", "prompt"])
    return lines


def bench_columns(preferences):
    return [
        {"path_A": pair.paths[0], "path_B": pair.paths[1], "prompt": pair.prompt, "groups": pair.groups("model")}
        for pair in bench_pairs(preferences)
    ]


def read_scores_of_bench(path):
    preferences = read_preferences(write_table(path.with_name("pairs.jsonl"), PAIRS))
    return sorted(
        (str(clip.file), clip.prompt, sorted(scores.items()))
        for clip, scores in read_known_scores(path, bench_pairs(preferences), path.parent).items()
    )


def read_node_scores(path):
    from videoalign.nodes.score_file import read_scores

    return [(clip.scores, clip.name, clip.prompt, clip.seed, clip.fps, clip.raw) for clip in read_scores(path)]


def make_prompts(folder, variant):
    prompts = [row["prompt"].replace("\n", " ") for row in ROWS]
    if variant == 0:
        (folder / "p.txt").write_text("# remark\n\\# one\n" + "\n".join(prompts), encoding="utf-8")
        return folder / "p.txt"
    return write_table(folder / f"p{ENDINGS[variant - 1]}", [{"prompt": prompt, "n": 1} for prompt in prompts])


def make_video_dpo(folder, variant):
    write_table(
        folder / "metadata.json", [{"basic": {"clip_path": f"{n}.mp4", "clip_duration": 2.0}} for n in range(3)]
    )
    return write_table(folder / "pair.json", NUMBERED) if variant == 0 else folder / "metadata.json"


def read_video_dpo(path):
    if not (path.parent / "pair.json").exists():
        write_table(path.parent / "pair.json", NUMBERED)
    return read_any_preferences(path.parent / "pair.json")


def read_clip_list(path):
    for row in ROWS:
        (path.parent / row["path"]).parent.mkdir(exist_ok=True)
        (path.parent / row["path"]).touch()
    return [(clip.id, str(clip.path), clip.prompt, clip.seed, clip.model) for clip in read_manifest(path)]


def make_config(folder, variant):
    shutil.copy(OLD / ("dpo.toml", "latent_reward.toml")[variant], folder / "c.toml")
    return folder / "c.toml"


def read_config(path):
    from videoalign.cli.main import load_command
    from videoalign.cli.options import parse_command

    name = "train dpo" if "[dpo]" in path.read_text(encoding="utf-8", errors="replace") else "train latent-reward"
    return repr(parse_command(load_command(name).Config, name, ["--config", str(path)]))


# Journals: what they give must be what was put in


SCORED = [ScoreRow(row["id"], Path(row["path"]), row["prompt"], float(row["fps"])) for row in ROWS]
SETTINGS = {"judge": "videoreward", "model": "abc", "sampling": {"fps": 2.0}}


def make_journal(folder, variant):
    journal = ScoreJournal(folder / "s.jsonl", SETTINGS, 0, 1, False)
    for row, source in zip(SCORED, ROWS, strict=True):
        journal.add(
            row,
            {
                "id": row.id,
                "path": str(row.path),
                "prompt": row.prompt,
                **{name: source[name] for name in ("VQ", "MQ", "TA")},
            },
        )
    return folder / "s.jsonl.run" / ("part-0-of-1.jsonl", "part-0-of-1.jsonl", "run.json")[variant]


def read_journal_file(path):
    return ScoreJournal(path.parents[1] / "s.jsonl", SETTINGS, 0, 1, False).finished(SCORED)


WANTED = wanted_clips([PromptRow(row["prompt"]) for row in ROWS], 1, 5)


def make_generation(folder, variant):
    clips = ClipFolder(folder, SETTINGS)
    clips.begin()
    for wanted in WANTED:
        clips.add(wanted, np.zeros((5, 16, 16, 3), np.uint8), 8.0, "m")
    return folder / (CLIP_LIST, CLIP_LIST, "generate.json")[variant]


def read_generation(path):
    clips = ClipFolder(path.parent, SETTINGS)
    clips.missing(WANTED)
    return {name: {key: value for key, value in row.items() if key != "crc32"} for name, row in clips._rows.items()}


def subset(found, healthy):
    return all(name in healthy and equal(value, healthy[name]) for name, value in found.items())


def make_choices(folder, variant):
    shutil.copy(OLD / "chosen" / "choices_Anna.jsonl", folder / "choices_Anna.jsonl")
    return folder / "choices_Anna.jsonl"


def read_choices(path):
    return {name: pair.as_line() for name, pair in ChoiceFile(path).choices().items()}


def make_log(folder, variant):
    shutil.copy(OLD / "dpo" / "log.jsonl", folder / "log.jsonl")
    return folder / "log.jsonl"


def read_log_file(path):
    from videoalign.training.flow.curves import curves
    from videoalign.training.loop.log_file import forget_later_lines, read_log

    forget_later_lines(path, 3)
    lines = read_log(path)
    curves(lines, "x")
    return [json.dumps(line) for line in lines]


def _table_target(read, rows, *endings):
    make, variants = table(rows, *(endings or ENDINGS))
    return Target(make, read, variants)


TARGETS = {
    "clip": Target(make_clip, read_clip, len(CLIPS), text=False),
    "manifest": _table_target(read_score_manifest, ROWS),
    "native": _table_target(read_any_preferences, PAIRS, ".jsonl", ".json"),
    "videoalign": _table_target(read_any_preferences, SIDES),
    "genai_bench": _table_target(read_any_preferences, VOTES),
    "visionreward": _table_target(read_any_preferences, ANSWERS),
    "lift": _table_target(read_any_preferences, CRITIC, ".json", ".jsonl"),
    "videodpo": Target(make_video_dpo, read_video_dpo, 2),
    "scored": _table_target(read_any_preferences, ROWS),
    "scores": _table_target(lambda path: [(clip.path, clip.prompt, clip.scores) for clip in read_scored_clips(path)], ROWS),
    "known_scores": _table_target(read_scores_of_bench, ROWS),
    "node_scores": _table_target(read_node_scores, ROWS, ".csv", ".jsonl"),
    "candidates": _table_target(lambda path: [repr(one) for one in read_candidates(path.parent, path)], ROWS),
    "clip_list": _table_target(read_clip_list, ROWS, ".jsonl"),
    "prompts": Target(make_prompts, lambda path: [repr(row) for row in read_prompt_rows(path)], 5),
    "config": Target(make_config, read_config, 2),
    "safetensors": Target(make_safetensors, read_safetensors, 2, text=False),
    "lora": Target(make_copy(OLD / "dpo" / "lora.safetensors")[0], read_lora_file, 1, text=False),
    "network": Target(make_network, read_network, 3, text=False),
    "vae": Target(make_copy(ROOT / "backbones" / "embedded" / "vae" / "micro_wan_vae.safetensors")[0], read_vae, 1, text=False),
    "latent_reward": Target(make_latent_reward, read_latent_reward, 1, text=False),
    "video_reward": Target(make_copy(OLD / "reward.safetensors")[0], read_video_reward, 1, text=False),
    "official": Target(make_official, read_official, 5, text=False),
    "state": Target(make_state, read_state, 1, text=False, right=newest_or_older),
    "score_journal": Target(make_journal, read_journal_file, 3, right=subset),
    "generation": Target(make_generation, read_generation, 3, right=subset),
    "choices": Target(make_choices, read_choices, 1),
    "log": Target(make_log, read_log_file, 1),
}  # fmt: skip


def all_finite(value):
    """Whether no number in a value is NaN or infinite."""
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value.float()).all())
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    if isinstance(value, list | tuple | set):
        return all(map(all_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
