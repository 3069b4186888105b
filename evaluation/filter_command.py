"""``videoalign filter``: scored clips in, a folder of the better ones out, as trainers read it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from ..cli.options import CommandConfig, positional
from ..reward.gates import parse_gates
from .filtering.weights_by_column import parse_weighted_column

if TYPE_CHECKING:
    from .filtering.choosing import Choice
    from .filtering.folder import FilteredFolder

PAGE, DROPPED = "index.html", "dropped.jsonl"


class Config(CommandConfig):
    """Keep the better clips of a scored set, for training on them.

    The score file is what videoalign score wrote, of any judge or several (or any table with path and columns of numbers). A clip is
    kept that passes every --keep gate and, with --best, is among the best of its prompt or of all. The output folder gets

      clips/             links to the kept clips (--copy: copies), with captions in .txt files; nothing else lies there
      clips.jsonl        the kept clips with captions and scores, for videoalign score --manifest, pairs, train
      musubi-tuner.toml  the data set of kohya-ss/musubi-tuner (with musubi-tuner.jsonl)
      diffusion-pipe.toml  the data set of tdrussell/diffusion-pipe
      dropped.jsonl      every other clip, and why
      index.html         what was dropped, and why, with frames

    Run again with other gates, the same folder then holds the clips of these; only files that videoalign filter has put there are
    removed or replaced, and of its lists none that was changed by hand.
    """

    scores: Path | None = positional(
        default=None, description="Score file (CSV or JSONL), or a folder with one that is called scores*."
    )
    output: Path = Field(description="Folder for the kept clips.")
    keep: list[str] = Field(
        [],
        description='Gate: a column, one of > >= < <= == !=, a number, such as "VQ>0" or "measures.motion>=0.2"; repeatable, all must hold.',
    )
    best: float | None = Field(
        None, gt=0, le=1, description="Keep this share of what passes the gates; 0.3: the best 30 %."
    )
    within: Literal["prompt", "all"] = Field(
        "prompt", description="Of which clips --best is the share: of each prompt's, or of all."
    )
    by: list[str] = Field(
        [],
        description="What --best goes by: a column, or several with weights for a sum of z-scores, such as VQ or TA=0.5; repeatable. Overall, or the only column, by default. Measures of which less is better (shake, freeze, ...) count so.",
    )
    copy_clips: bool = Field(False, alias="copy", description="Copy the clips in the place of linking to them.")
    root: Path | None = Field(None, description="Folder that relative clip paths start from; found by itself.")
    model_fps: float = Field(
        16.0,
        gt=0,
        description="Frames per second of the model to be trained, for the other trainers' lists: 16 for Wan 2.1, 24 for most.",
    )
    examples: int = Field(24, ge=0, description="Dropped clips on the page, picked by lot; half as many kept ones.")

    @field_validator("keep")
    @classmethod
    def _are_gates(cls, gates: list[str]) -> list[str]:
        parse_gates(gates)
        return gates

    @field_validator("by")
    @classmethod
    def _are_weights(cls, by: list[str]) -> list[str]:
        for text in by:
            parse_weighted_column(text)
        return by

    @model_validator(mode="after")
    def _something_to_do(self) -> Config:
        if self.scores is None:
            raise ValueError("name the score file")
        if not self.keep and self.best is None:
            raise ValueError('give at least one gate (--keep "VQ>0") or a share (--best 0.3)')
        if self.by and self.best is None:
            raise ValueError("--by says what --best goes by; give --best too")
        return self


def run(config: Config) -> int:
    """Filter; returns 0. Nothing is changed where no clip is kept.

    Raises:
        VideoAlignError: the scores, a gate or the output cannot be used, or no clip is kept.
    """
    from ..files.output_folder import held
    from .filtering.choosing import choose, ranking_of
    from .filtering.folder import FilteredFolder, clip_names
    from .filtering.page import Shown, reason_rows, write_filter_page
    from .filtering.score_file import FilterError, find_score_file, read_score_file

    assert config.scores is not None
    file = read_score_file(find_score_file(config.scores), config.root)
    gates = [replace(gate, name=file.column(gate.name)) for gate in parse_gates(config.keep)]
    ranking = None if config.best is None else ranking_of(file, config.by, config.best, config.within)
    choices = choose(file, gates, ranking)
    told = [f"{row['count']} {row['kind']}" for row in reason_rows(choices)]
    if not any(choice.kept for choice in choices):
        raise FilterError(
            f"None of the {len(choices)} clips of {file.path} is kept: {'; '.join(told)}. Lower the gates."
        )
    names = clip_names(file.rows)
    with held(config.output, "filter"):
        folder = FilteredFolder(config.output, config.copy_clips)
        folder.check_sources(file.rows)
        notes = _write(config, folder, choices, names, file.columns)
        shown = Shown(file.path.name, gates, ranking, config.examples, notes)
        page = write_filter_page(config.output / PAGE, choices, shown)
        folder.end(config.model_dump(mode="json", include={"scores", "keep", "best", "within", "by"}))
    kept = [choice for choice in choices if choice.kept]
    print(
        f"{len(kept)} of {len(choices)} clips ({len({choice.row.prompt for choice in kept})} prompts) in {config.output}: {folder.how}."
    )
    if told:
        print("Dropped, a clip under each of its reasons: " + "; ".join(told) + ".")
    for note in notes:
        print(f"note: {note}")
    print(f"Open {page} to see what was dropped, and why.")
    return 0


def _write(
    config: Config, folder: FilteredFolder, choices: Sequence[Choice], names: Sequence[str], columns: Sequence[str]
) -> list[str]:
    """Fill the folder; returns what to know of it before training."""
    from tqdm import tqdm

    from ..clips.find import CLIP_LIST
    from .filtering.folder import CLIPS, clip_list
    from .filtering.trainers import (
        DIFFUSION_PIPE,
        MUSUBI,
        MUSUBI_LIST,
        clip_sizes,
        diffusion_pipe_config,
        musubi_config,
        musubi_list,
    )

    kept = [(choice.row, name) for choice, name in zip(choices, names, strict=True) if choice.kept]
    place = config.output.absolute() / CLIPS
    captions = {_caption_file(name): row.prompt + "\n" for row, name in kept if row.prompt}
    sizes = clip_sizes([row.file for row, _ in kept], config.model_fps)
    texts = captions | {
        CLIP_LIST: clip_list([row for row, _ in kept], [name for _, name in kept], columns),
        DROPPED: "".join(_dropped(choice, columns) for choice in choices if not choice.kept),
        MUSUBI_LIST: musubi_list([(place / name, row.prompt) for row, name in kept if row.prompt]),
        MUSUBI: musubi_config(config.output.absolute(), sizes),
        DIFFUSION_PIPE: diffusion_pipe_config(place, sizes),
    }
    folder.begin([name for _, name in kept], texts, [PAGE])
    for row, name in tqdm(kept, unit="clip", disable=None):
        folder.add_clip(row.file, name)
        caption = _caption_file(name)
        if caption in captions:
            folder.add_text(caption, captions[caption])
    for name, text in texts.items():
        if name not in captions:
            folder.add_text(name, text)
    return _notes(folder, kept)


def _caption_file(clip: str) -> str:
    from .filtering.folder import CLIPS

    return f"{CLIPS}/{Path(clip).stem}.txt"


def _dropped(choice: Choice, columns: Sequence[str]) -> str:
    row = choice.row
    numbers = {} if row.error else row.numbers(columns)
    line = {
        "id": row.id,
        "path": row.path,
        "prompt": row.prompt,
        "reasons": [one.text for one in choice.reasons],
        **numbers,
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def _notes(folder: FilteredFolder, kept: Sequence[tuple]) -> list[str]:
    notes = []
    without = [row.id for row, _ in kept if not row.prompt]
    if without:
        notes.append(
            f"{len(without)} of {len(kept)} kept clips have no caption (the first is {without[0]}): they have no .txt file, are not in "
            "musubi-tuner.jsonl, and diffusion-pipe skips them."
        )
    kinds = Counter(Path(name).suffix for _, name in kept)
    if kinds[".webp"]:
        notes.append(
            f"{kinds['.webp']} kept clips are animated WebP, at which diffusion-pipe stops: convert them first."
        )
    if folder.left_alone:
        notes.append(
            f"{len(folder.left_alone)} files were changed by hand since the last run and are left as they are "
            f"({folder.left_alone[0]}); delete them to have them written anew."
        )
    return notes
