"""The page of *Choose A or B* in ComfyUI's server; only folders inside the output folder are answered for.

The routes are those of `preferences.choices.handlers` below /videoalign/choices; ``folder`` and ``chooser`` come with every
request.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VideoAlignError
from .choice_clips import choice_folder
from .comfy_compat import add_routes, folder_paths, trusted_origins

if TYPE_CHECKING:
    from aiohttp.web import RouteDef

    from ..preferences.choices.session import ChoiceSession

_PATH = "/videoalign/choices"


def register_choice_routes() -> None:
    """Add the routes to ComfyUI's server, where one runs."""
    add_routes(_routes)


@functools.lru_cache(maxsize=32)
def choice_session(folder: str, chooser: str, output: str) -> ChoiceSession:
    """The session of a person in a folder inside ``output``.

    Raises:
        VideoAlignError: the folder leads out of it, or the name cannot be used.
    """
    from ..preferences.choices.session import ChoiceSession

    return ChoiceSession(
        choice_folder(folder, Path(output)),
        chooser.strip(),
        previews=preview_folder(),
        within=Path(output),
        to_come=True,  # no clip may have been kept yet
    )


def preview_folder() -> Path:
    """Where copies lie of those clips that browsers do not play."""
    return Path(folder_paths.get_temp_directory()) / "videoalign" / "previews"


def _routes() -> list[RouteDef]:
    from ..preferences.choices.handlers import ChoiceHandlers

    return ChoiceHandlers(_session, trusted_origins()).routes(_PATH)


def _session(values: Mapping) -> ChoiceSession:
    folder, chooser = values.get("folder"), values.get("chooser", "")
    if not isinstance(folder, str) or not isinstance(chooser, str):
        raise VideoAlignError("The request needs a folder and a chooser.")
    return choice_session(folder, chooser, folder_paths.get_output_directory())
