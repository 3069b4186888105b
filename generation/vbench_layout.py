"""Clips where VBench looks for them: a folder for each of its prompt suites, and files named by the short prompt.

By VBench's repository (Vchitect/VBench: prompts/README.md, evaluate.sh, vbench/__init__.py): the clips of a prompt are
``{prompt}-{0..4}.mp4``, of temporal flickering ``{prompt}-{0..24}.mp4``, with the prompt to the letter as its list has it; dimensions
share suites; and a folder of clips holds nothing else, for the first file's ending is taken for that of all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import VideoAlignError, listed
from ..files.output_folder import LOCK_FILE
from ..files.portable_paths import file_name, refused_by_windows
from .clip_folder import Wanted
from .prompts import PromptRow

SUITES = {
    "subject_consistency": ("subject_consistency", "motion_smoothness", "dynamic_degree"),
    "scene": ("scene", "background_consistency"),
    "overall_consistency": ("overall_consistency", "aesthetic_quality", "imaging_quality"),
    "temporal_flickering": ("temporal_flickering",),
    "object_class": ("object_class",),
    "multiple_objects": ("multiple_objects",),
    "human_action": ("human_action",),
    "color": ("color",),
    "spatial_relationship": ("spatial_relationship",),
    "temporal_style": ("temporal_style",),
    "appearance_style": ("appearance_style",),
}
"""Folder -> the dimensions that are evaluated on its clips."""
SUITE_OF = {dimension: suite for suite, dimensions in SUITES.items() for dimension in dimensions}
FLICKERING = "temporal_flickering"
CLIPS, FLICKERING_CLIPS = 5, 25
FLAT = "videos"
"""The folder of prompts of which no dimension is known."""
_MOST_BYTES = 255
_WINDOWS = os.name == "nt"


def with_suite_of(rows: Sequence[PromptRow], path: Path) -> list[PromptRow]:
    """The rows of one of VBench's lists of a dimension: a text file that is called as it, such as color.txt."""
    if path.suffix.lower() != ".txt" or path.stem not in SUITES:
        return list(rows)
    return [PromptRow(row.prompt, row.image, row.short, row.dimensions or (path.stem,)) for row in rows]


def vbench_clips(
    rows: Sequence[PromptRow], seed: int, per_prompt: int | None = None, dimensions: Sequence[str] = ()
) -> tuple[list[Wanted], list[str]]:
    """The clips that VBench wants of these prompts; index i of a prompt has the seed ``seed + i``.

    Beside them the prompts that are left out, because their clips would have the names of another prompt's: VBench sees one there.

    Args:
        per_prompt: clips of each prompt, in the place of 5, and 25 for temporal flickering.
        dimensions: of prompts for these alone; all prompts where none is named.

    Raises:
        VideoAlignError: a dimension is not VBench's, or no prompt is for those that are named.
    """
    unknown = [
        name for name in (*dimensions, *(name for row in rows for name in row.dimensions)) if name not in SUITE_OF
    ]
    if unknown:
        raise VideoAlignError(f"VBench has no dimension {unknown[0]!r}; it has {', '.join(SUITE_OF)}.")
    suites = {SUITE_OF[name] for name in dimensions}
    clips: dict[str, Wanted] = {}
    left_out = []
    for number, row in enumerate(rows):
        suite = SUITE_OF[row.dimensions[0]] if row.dimensions else None
        if suites and suite not in suites:
            continue
        place = f"{suite or FLAT}/{vbench_name(row.short or row.prompt, number)}"
        if f"{place}-0.mp4" in clips:
            left_out.append(row.prompt)
            continue
        for index in range(per_prompt or (FLICKERING_CLIPS if suite == FLICKERING else CLIPS)):
            path, own = f"{place}-{index}.mp4", seed + index
            clips[path] = Wanted(f"{number:05d}_{own}", row.prompt, own, row.image, path, row.short)
    if not clips:
        raise VideoAlignError(
            f"None of the {len(rows)} prompts is for {', '.join(dimensions)}. Give VBench's own list (vbench, or "
            "VBench_full_info.json), which knows each prompt's dimensions."
        )
    return list(clips.values()), left_out


def vbench_name(prompt: str, number: int) -> str:
    """What clips of a prompt are called before their index: the prompt to the letter, or a name made of it where no file can have that."""
    longest = len(f"{prompt}-24.mp4".encode("utf-8", "surrogatepass"))
    impossible = "/" in prompt or "\0" in prompt or longest > _MOST_BYTES or prompt.startswith(".")
    if impossible or (_WINDOWS and refused_by_windows(f"{prompt}-0.mp4")):
        return f"{file_name(prompt)}_{number:05d}"
    return prompt


def renamed(clips: Sequence[Wanted]) -> dict[str, str]:
    """Files whose names are not their prompts -> the prompt that VBench would look for."""
    found = {}
    for clip in clips:
        prompt = clip.short or clip.prompt
        if Path(clip.file).name.rpartition("-")[0] != prompt:
            found[clip.file] = prompt
    return found


def alike_but_for_case(clips: Sequence[Wanted]) -> list[str]:
    """Files that a disk which does not tell upper from lower case (Windows, macOS) takes for another one of the clips."""
    counts = Counter(clip.file.casefold() for clip in clips)
    return [clip.file for clip in clips if counts[clip.file.casefold()] > 1]


def tells_case(folder: Path) -> bool:
    """Whether the disk of a folder that is held tells upper from lower case."""
    return not (folder / LOCK_FILE.upper()).exists()


def check_case(clips: Sequence[Wanted], folder: Path) -> None:
    """Refuse names that would replace each other.

    Raises:
        VideoAlignError: the disk does not tell case, and some names differ in nothing else.
    """
    alike = alike_but_for_case(clips)
    if alike and not tells_case(folder):
        raise VideoAlignError(
            f"The disk of {folder} does not tell upper from lower case, so that these clips would replace each other: {listed(alike)}. "
            "Choose an --output on a disk that does."
        )


def how_to_evaluate(output: Path, clips: Sequence[Wanted], left_out: Sequence[str] = ()) -> str:
    """What to run, for each folder, and what is not as VBench wants it."""
    folders = list(dict.fromkeys(clip.file.partition("/")[0] for clip in clips))
    lines = ["For VBench (vbench evaluate), each folder with its dimensions:"]
    for folder in folders:
        dimensions = " ".join(SUITES.get(folder, ("DIMENSIONS",)))
        lines.append(f"  --videos_path {output / folder} --dimension {dimensions}")
    other = renamed(clips)
    if other:
        file, prompt = next(iter(other.items()))
        lines.append(
            f"{len(other)} clips are not named by their prompt, which no file can have for a name ({prompt!r} is {file}). VBench finds "
            f"them with --mode custom_input --prompt_file {output}/prompts_FOLDER.json."
        )
    if left_out:
        lines.append(
            f"{len(left_out)} prompts have no clips: VBench calls theirs as another prompt's ({left_out[0]!r} is one)."
        )
    if FLICKERING in folders:
        lines.append("temporal_flickering: run VBench's static_filter.py over its clips first.")
    return "\n".join(lines)


def prompt_files(clips: Sequence[Wanted]) -> dict[str, dict[str, str]]:
    """For folders with renamed clips: name of a file beside the folder -> its content, each clip's name and prompt, as VBench reads it."""
    folders = {file.partition("/")[0] for file in renamed(clips)}
    found: dict[str, dict[str, str]] = {f"prompts_{folder}.json": {} for folder in sorted(folders)}
    for clip in clips:
        folder, _, name = clip.file.partition("/")
        if folder in folders:
            found[f"prompts_{folder}.json"][name] = clip.short or clip.prompt
    return found
