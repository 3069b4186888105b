"""Preference pairs of micro clips, in memory and as data sets on disk.

A pair is two clips made for one prompt. Its labels follow from the true qualities, so a reward that is trained on them
can be compared with the truth.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..clips.video_file import write_video
from ..files.atomic_file import write_text
from ..files.csv_text import csv_text
from ..reward.dimensions import DIMENSIONS
from .clip import Clip, JudgedClip, make_clip, sample_clip, sample_faults, sample_mismatch
from .faults import MOTION_FAULTS, VISUAL_FAULTS
from .scene import Attributes, ClipFormat, caption, sample_attributes, sample_scene

TIE_MARGIN = 0.1  # qualities nearer than this are labelled "same"
SAME_SCENE_SHARE = 0.5  # of the pairs: both clips have the same positions, size and speed where they show the same
LABELS = (*DIMENSIONS, "Overall")
CSV_COLUMNS = (
    "path_A", "path_B", "A_model", "B_model", "prompt", *LABELS, "fps_A", "num_frames_A", "fps_B", "num_frames_B",
    *(f"MOS_{side}_{name}" for side in "AB" for name in DIMENSIONS),
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two clips of one prompt.

    Attributes:
        prompt: the caption of both.
        a, b: the clips.
        labels: for VQ, MQ, TA and Overall which is better: "A", "B", "same", or "invalid" for a missing judgement.
    """

    prompt: str
    a: JudgedClip
    b: JudgedClip
    labels: dict[str, str]

    def ordered(self) -> tuple[JudgedClip, JudgedClip, dict[str, str]]:
        """Chosen and rejected clip by true overall quality, and the labels with A meaning chosen."""
        if self.a.overall >= self.b.overall:
            return self.a, self.b, self.labels
        mirrored = {"A": "B", "B": "A"}
        return self.b, self.a, {name: mirrored.get(label, label) for name, label in self.labels.items()}


def label_pair(a: JudgedClip, b: JudgedClip, margin: float = TIE_MARGIN) -> dict[str, str]:
    """Compare qualities: "A", "B", or "same" where they differ by less than the margin (and always if equal).

    Raises:
        ValueError: a negative margin.
    """
    if margin < 0:
        raise ValueError(f"the tie margin is {margin}; expected 0 or more, in the unit of the qualities.")
    difference = {name: a.quality[name] - b.quality[name] for name in DIMENSIONS}
    difference["Overall"] = a.overall - b.overall
    # Degrees that are equal on paper may differ in the last bit.
    return {
        name: "same" if abs(value) < max(margin, 1e-9) else "A" if value > 0 else "B"
        for name, value in difference.items()
    }


def sample_pair(
    rng: np.random.Generator,
    described: Attributes | None = None,
    clip_format: ClipFormat | None = None,
    margin: float = TIE_MARGIN,
    invalid_share: float = 0.0,
) -> Pair:
    """Draw two clips for a caption (random by default), each spoilt independently, and label them.

    Args:
        margin: qualities nearer than this are "same".
        invalid_share: chance that a label is replaced by "invalid", as where a person gave no judgement.

    Raises:
        ValueError: a negative margin, or a share outside [0, 1].
    """
    if not 0 <= invalid_share <= 1:
        raise ValueError(f"invalid_share is {invalid_share}; expected a share from 0 to 1.")
    described = described or sample_attributes(rng)
    seeds = rng.integers(2**32, size=2)
    if rng.random() < SAME_SCENE_SHARE:
        seeds[1] = seeds[0]
    clips = []
    for seed in seeds:
        shown = sample_mismatch(rng, described)
        scene = sample_scene(np.random.default_rng(int(seed)), shown, clip_format)
        faults = sample_faults(rng, VISUAL_FAULTS) + sample_faults(rng, MOTION_FAULTS)
        clips.append(make_clip(rng, scene, faults, described, clip_format))
    labels = label_pair(*clips, margin)
    labels = {name: "invalid" if rng.random() < invalid_share else label for name, label in labels.items()}
    return Pair(caption(described), *clips, labels)


def iterate_pairs(
    seed: int, clip_format: ClipFormat | None = None, margin: float = TIE_MARGIN, invalid_share: float = 0.0
) -> Iterator[Pair]:
    """Endless pairs for training without files. Equal seeds give equal pairs; pair i does not depend on pair i - 1."""
    for index in itertools.count():
        yield sample_pair(np.random.default_rng([seed, index, 2]), None, clip_format, margin, invalid_share)


def write_dataset(
    folder: str | Path,
    n_pairs: int,
    seed: int,
    clip_format: ClipFormat | None = None,
    margin: float = TIE_MARGIN,
    invalid_share: float = 0.0,
    pixel_format: str = "yuv444p",
) -> Path:
    """Write the first pairs of iterate_pairs(seed) as MP4 files with their preference files.

    The folder gets `videos/`, `pairs.jsonl` (native preference format: A is the chosen clip; scores_chosen and
    scores_rejected hold the true qualities) and `pairs.csv` (VideoGen-RewardBench's columns, clips in the order in
    which they were drawn; MOS_* hold 5 + 4 * quality, so 5 is faultless and 1 the worst). The two preference files are
    written last: where they exist the data set is complete.

    `pixel_format` is that of write_video.

    Returns:
        The path of pairs.jsonl.

    Raises:
        ValueError: n_pairs below 1, or a folder that already holds a data set.
    """
    if n_pairs < 1:
        raise ValueError(f"n_pairs is {n_pairs}; expected at least 1.")
    pairs = itertools.islice(iterate_pairs(seed, clip_format, margin, invalid_share), n_pairs)
    records = (
        (f"micro-{seed}-{index:06d}", pair, f"{index:06d}_A", f"{index:06d}_B") for index, pair in enumerate(pairs)
    )
    return _write_records(Path(folder), records, pixel_format)


def iterate_prompt_groups(
    seed: int, clips_per_prompt: int, clip_format: ClipFormat | None = None
) -> Iterator[tuple[Attributes, list[Clip]]]:
    """Endless captions, each with several clips made for it. Equal seeds give equal groups."""
    for group in itertools.count():
        rng = np.random.default_rng([seed, group, 3])
        described = sample_attributes(rng)
        yield described, [sample_clip(rng, described, clip_format) for _ in range(clips_per_prompt)]


def write_prompt_groups(
    folder: str | Path,
    n_prompts: int,
    clips_per_prompt: int,
    seed: int,
    clip_format: ClipFormat | None = None,
    margin: float = TIE_MARGIN,
    pixel_format: str = "yuv444p",
) -> Path:
    """Like ``write_dataset``, but with several clips for each prompt, every two of which make a pair.

    More comparisons for the same number of clips; train with the pairs of a prompt kept together.

    Raises:
        ValueError: fewer than 1 prompt or 2 clips, or a folder that already holds a data set.
    """
    if n_prompts < 1 or clips_per_prompt < 2:
        raise ValueError(f"{n_prompts} prompts with {clips_per_prompt} clips; expected at least 1 prompt and 2 clips.")
    groups = itertools.islice(iterate_prompt_groups(seed, clips_per_prompt, clip_format), n_prompts)
    return write_groups(folder, (clips for _, clips in groups), f"micro-{seed}", margin, pixel_format=pixel_format)


def write_groups(
    folder: str | Path,
    groups: Iterable[Sequence[JudgedClip]],
    name: str,
    margin: float = TIE_MARGIN,
    made_by: str = "micro-world",
    pixel_format: str = "yuv444p",
) -> Path:
    """Write a data set, see ``write_dataset``, of every two clips of each group; the clips of a group have one caption.

    Args:
        name: of the data set, at the start of each pair's id.
        made_by: what the table calls the clips' model.

    Raises:
        ValueError: a folder that already holds a data set.
    """

    def records() -> Iterator[tuple[str, Pair, str, str]]:
        for group, clips in enumerate(groups):
            for (i, a), (j, b) in itertools.combinations(enumerate(clips), 2):
                pair = Pair(a.caption, a, b, label_pair(a, b, margin))
                yield f"{name}-{group:06d}-{i}{j}", pair, f"{group:06d}_{i}", f"{group:06d}_{j}"

    return _write_records(Path(folder), records(), pixel_format, made_by)


def _write_records(
    folder: Path, records: Iterable[tuple[str, Pair, str, str]], pixel_format: str, made_by: str = "micro-world"
) -> Path:
    """Write (name, pair, file name of A, of B); a file that several pairs name is written once."""
    native, table = folder / "pairs.jsonl", folder / "pairs.csv"
    if native.exists() or table.exists():
        raise ValueError(f"folder {folder.name!r} already holds a data set; choose another folder or delete it first.")
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    lines, rows, written = [], [], set()
    for name, pair, file_a, file_b in records:
        path = {"A": f"videos/{file_a}.mp4", "B": f"videos/{file_b}.mp4"}
        for side, clip in (("A", pair.a), ("B", pair.b)):
            if path[side] not in written:
                write_video(folder / path[side], clip.frames, clip.fps, pixel_format)
                written.add(path[side])
        lines.append(json.dumps(native_record(name, pair, path)) + "\n")
        rows.append(_table_row(pair, path, made_by))
    write_text(table, csv_text(rows, CSV_COLUMNS))
    write_text(native, "".join(lines))
    return native


def native_record(name: str, pair: Pair, path: dict[str, str]) -> dict:
    """A pair as a line of the native preference file; ``path`` is of its clips A and B."""
    chosen, rejected, labels = pair.ordered()
    first, second = ("A", "B") if chosen is pair.a else ("B", "A")
    return {
        "id": name,
        "prompt": pair.prompt,
        "chosen": path[first],
        "rejected": path[second],
        "labels": labels,
        "scores_chosen": _scores(chosen),
        "scores_rejected": _scores(rejected),
        "fps": chosen.fps,
    }


def _scores(clip: JudgedClip) -> dict[str, float]:
    return {name: round(value, 6) for name, value in (*clip.quality.items(), ("Overall", clip.overall))}


def _table_row(pair: Pair, path: dict[str, str], made_by: str) -> dict:
    row = {"prompt": pair.prompt, **pair.labels}
    for side, clip in (("A", pair.a), ("B", pair.b)):
        row |= {
            f"path_{side}": path[side],
            f"{side}_model": made_by,
            f"fps_{side}": clip.fps,
            f"num_frames_{side}": float(len(clip.frames)),
        }
        row |= {f"MOS_{side}_{name}": round(5 + 4 * clip.quality[name], 6) for name in DIMENSIONS}
    return row
