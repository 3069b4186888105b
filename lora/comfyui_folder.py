"""ComfyUI's ``models/loras``: where it is, and how a LoRA gets there without replacing another one."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from ..backbones.experts import EXPERTS
from ..errors import LoraFileError
from ..files.atomic_file import replacing


def loras_folder(comfyui: Path | str | None = None) -> Path:
    """The folder that ComfyUI's LoRA loader lists.

    Args:
        comfyui: ComfyUI's folder, its ``models`` folder, or a ``loras`` folder; by default ``COMFYUI_PATH``, else the ComfyUI
            around this pack when it lies in ``custom_nodes``.

    Raises:
        LoraFileError: no such folder, or none is known.
    """
    if comfyui is None:
        pack = Path(__file__).resolve().parents[1]
        if os.environ.get("COMFYUI_PATH"):
            comfyui = os.environ["COMFYUI_PATH"]
        elif pack.parent.name == "custom_nodes":
            comfyui = pack.parent.parent
        else:
            raise LoraFileError("Which ComfyUI? Name its folder, or set COMFYUI_PATH.")
    folder = Path(os.path.expanduser(comfyui))
    for candidate in (folder / "models" / "loras", folder / "loras", folder):
        if candidate.name == "loras" and candidate.is_dir():
            return candidate
    raise LoraFileError(
        f"{folder} has no models/loras folder, so it is not ComfyUI's. Name ComfyUI's folder, or the loras folder itself."
    )


def check_loras_folder(comfyui: Path | str | None = None) -> None:
    """Find out before hours of work whether a LoRA can be copied into ComfyUI's folder.

    Raises:
        LoraFileError: no such folder, or it cannot be written to.
    """
    folder = loras_folder(comfyui)
    with replacing(folder / ".videoalign-check", LoraFileError):
        pass
    (folder / ".videoalign-check").unlink(missing_ok=True)


def copy_into_loras(file: Path | str, comfyui: Path | str | None = None, overwrite: bool = False) -> Path:
    """Copy a finished LoRA into ComfyUI's folder, whole or not at all; returns where it is.

    A file of that name with other content is left alone: the copy is then called ``name-2``, ``name-3``, ... A LoRA that is
    there already is not copied again.

    Raises:
        LoraFileError: the folder is not there or cannot be written to.
    """
    file, folder = Path(file), loras_folder(comfyui)
    target, number = folder / file.name, 1
    while not overwrite and target.exists():
        if filecmp.cmp(file, target, shallow=False):
            return target
        number += 1
        target = folder / f"{file.stem}-{number}{file.suffix}"
    with replacing(target, LoraFileError, "Free some space, or copy it yourself.") as temporary:
        shutil.copyfile(file, temporary)
    return target


def expert_path(path: Path | str, expert: str | None) -> Path:
    """The file of one of Wan 2.2 A14B's experts: ``name_high_noise.safetensors`` beside ``name_low_noise.safetensors``.

    Raises:
        ValueError: ``expert`` is neither None nor one of the two.
    """
    path = Path(path)
    if expert is None or path.stem.endswith(f"_{expert}"):
        return path
    if expert not in EXPERTS:
        raise ValueError(f"expert must be one of {EXPERTS} or None, got {expert!r}")
    return path.with_name(f"{path.stem}_{expert}{path.suffix}")
