"""Public sets of prompts by name. None is shipped: a file is read where it lies, or fetched on request, and must have a known digest."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import VideoAlignError
from ..files.atomic_file import write_bytes
from .prompts import PromptRow, read_prompt_rows
from .vbench_layout import with_suite_of

FOLDER_VARIABLE = "VIDEOALIGN_PROMPTS"
_VIDEOALIGN = "https://raw.githubusercontent.com/KlingAIResearch/VideoAlign/219ab9db64c045e5181a2202d11f686439351292/datasets/video_eval_prompts"
_VBENCH = "https://raw.githubusercontent.com/Vchitect/VBench/45e79ec14e69a2187202c675d2dbce1a71843d53/vbench"
_SECONDS = 60


@dataclass(frozen=True)
class PromptSet:
    """A file of prompts.

    Attributes:
        file: its name.
        address: where it can be had, at a fixed commit.
        size: bytes.
        sha256: of its content.
        licence: of its repository.
        about: what it is.
    """

    file: str
    address: str
    size: int
    sha256: str
    licence: str
    about: str


SETS = {
    "ta-hard": PromptSet(
        "TA_hard.csv", f"{_VIDEOALIGN}/TA_hard.csv", 29478,
        "5d8974121b4535a94eb5857b60c473d889d75060c0006617b5316020d1840a84", "MIT", "TA-Hard: 72 prompts, hard to follow",
    ),
    "videogen-eval": PromptSet(
        "videogen_eval.csv", f"{_VIDEOALIGN}/videogen_eval.csv", 413933,
        "c791a00ccdbcfc734421876998a3bb47a1e92bbe9d85b32b080c2cd09f832f78", "MIT", "VideoGen-Eval as VideoAlign rewrote it: 400 prompts",
    ),
    "vbench": PromptSet(
        "VBench_full_info.json", f"{_VBENCH}/VBench_full_info.json", 228118,
        "5dd2de80ee43cda750b2b72ea7023657c0b90d3702041c7e4608c65dbe50dccd", "Apache-2.0", "VBench: 946 short prompts with their dimensions",
    ),
    "vbench-long": PromptSet(
        "vbench.csv", f"{_VIDEOALIGN}/vbench.csv", 679039,
        "7fd7466b3ac4b84d1d016ee0e12ee075bfbc66ba40a55dda63bde8b3a968129c", "MIT", "VBench as VideoAlign rewrote it: long prompts, clips named by the short ones",
    ),
}  # fmt: skip


def read_prompt_set(given: Path, download: bool = False) -> list[PromptRow]:
    """The prompts of a file, or of a set of ``SETS`` by its name where there is no such file.

    Args:
        download: permit fetching a set that is not there.

    Raises:
        VideoAlignError: the set is not there, or is another file than it should be; or as ``read_prompt_rows``.
    """
    name = given.name.lower()
    if given.exists() or str(given) != given.name or name not in SETS:
        return with_suite_of(read_prompt_rows(given), given)
    rows = read_prompt_rows(prompt_set_file(name, download))
    return (
        _with_dimensions(rows, read_prompt_rows(prompt_set_file("vbench", download))) if name == "vbench-long" else rows
    )


def prompt_set_file(name: str, download: bool) -> Path:
    """Where the file of a set lies, checked.

    Raises:
        VideoAlignError: it is not there and may not be fetched, or cannot be, or has another content.
    """
    one = SETS[name]
    file = prompt_folder() / one.file
    if not file.is_file():
        if not download:
            raise VideoAlignError(
                f"The prompts {name} ({one.about}; {one.licence}) are not in {file.parent}. Allow --download, or put {one.file} there from\n"
                f"  {one.address}\n(another folder: {FOLDER_VARIABLE}; or name a file of yours)."
            )
        write_bytes(file, _fetched(name, one))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != one.sha256:
        raise VideoAlignError(
            f"{file} is not the known file of {name} (its SHA-256 begins {found[:12]}, not {one.sha256[:12]}). Delete it and allow "
            "--download; or give it by its path, to use it as it is."
        )
    return file


def prompt_folder() -> Path:
    """Where sets of prompts are kept."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path.home() / ".cache" / "videoalign" / "prompts")


def _fetched(name: str, one: PromptSet) -> bytes:
    from urllib.request import urlopen

    try:
        with urlopen(one.address, timeout=_SECONDS) as answer:
            content = answer.read(one.size + 1)
    except OSError as error:  # URLError, HTTPError and timeouts are
        raise VideoAlignError(
            f"The prompts {name} could not be fetched from {one.address} ({error}). Check the connection, or put the file into {prompt_folder()}."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != one.sha256:
        raise VideoAlignError(
            f"What {one.address} gave is not the known file of {name} (its SHA-256 begins {found[:12]}, not {one.sha256[:12]}). Nothing is kept."
        )
    return content


def _with_dimensions(rows: list[PromptRow], known: list[PromptRow]) -> list[PromptRow]:
    """Long prompts with the dimensions of their short ones; one that stands twice takes them in the order of the list."""
    waiting: dict[str, list[tuple[str, ...]]] = {}
    for row in known:
        waiting.setdefault(row.prompt, []).append(row.dimensions)
    found = []
    for row in rows:
        dimensions = waiting.get(row.short or row.prompt) or [()]
        found.append(
            PromptRow(row.prompt, row.image, row.short, dimensions.pop(0) if len(dimensions) > 1 else dimensions[0])
        )
    return found
