"""What the page of *Choose A or B* asks ComfyUI's server; only folders inside the output folder are answered for.

POST /videoalign/choices/state | choose | back   {folder, chooser, ...} -> what to show; see ChoiceSession.answer
GET  /videoalign/choices/clip?folder=&chooser=&pair=&side=A             -> the clip
"""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VideoAlignError
from .choice_clips import choice_folder
from .comfy_compat import add_route, folder_paths

if TYPE_CHECKING:
    from ..preferences.choices.session import ChoiceSession

_PATH = "/videoalign/choices"
_MOST_BYTES = 1 << 16  # of a request


def register_choice_routes() -> None:
    """Add the routes to ComfyUI's server."""
    add_route("GET", f"{_PATH}/clip", _clip)
    add_route("POST", f"{_PATH}/{{action}}", _answer)


@functools.lru_cache(maxsize=32)
def choice_session(folder: str, chooser: str, output: str) -> ChoiceSession:
    """The session of a person in a folder inside ``output``.

    Raises:
        VideoAlignError: the folder leads out of it, or the name cannot be used.
    """
    from ..preferences.choices.session import ChoiceSession

    return ChoiceSession(
        choice_folder(folder, Path(output)), chooser.strip(), previews=preview_folder(), within=Path(output)
    )


def preview_folder() -> Path:
    """Where copies lie of those clips that browsers do not play."""
    return Path(folder_paths.get_temp_directory()) / "videoalign" / "previews"


def _session(values: dict) -> ChoiceSession:
    folder, chooser = values.get("folder"), values.get("chooser", "")
    if not isinstance(folder, str) or not isinstance(chooser, str):
        raise VideoAlignError("The request needs a folder and a chooser.")
    return choice_session(folder, chooser, folder_paths.get_output_directory())


async def _answer(request):
    from aiohttp import web

    def answer() -> dict:
        session = _session(values)
        if not session.folder.exists():  # no clip has been kept yet
            return {"total": 0, "done": 0, "file": session.file.path.name, "waiting": []}
        return session.answer(request.match_info["action"], values)

    try:
        content = await request.content.read(_MOST_BYTES)
        values = json.loads(content)
        if not isinstance(values, dict):
            raise VideoAlignError("The request is no JSON object.")
        return web.json_response(await asyncio.to_thread(answer))
    except (ValueError, OSError) as error:  # of which VideoAlignError is one
        return web.json_response({"error": str(error)}, status=400)


async def _clip(request):
    from aiohttp import web

    asked = dict(request.query)

    def find() -> Path:
        return _session(asked).clip(asked.get("pair", ""), asked.get("side", ""))

    try:
        return web.FileResponse(await asyncio.to_thread(find), headers={"Cache-Control": "private, max-age=600"})
    except (ValueError, OSError) as error:
        return web.json_response({"error": str(error)}, status=400)
