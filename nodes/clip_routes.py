"""Clips that a node has shown, to be played in the page for as long as ComfyUI has them in memory.

Nothing is written before somebody wants to see a clip: of two hundred candidates a few are looked at.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from typing import TYPE_CHECKING

from .comfy_compat import add_routes

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.web import Request, RouteDef, StreamResponse

_PATH = "/videoalign/clip"
_clips: weakref.WeakValueDictionary[str, object] = weakref.WeakValueDictionary()
_names: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
_writing = threading.Lock()


def offered(video: object | None) -> str | None:
    """A name that nobody can guess, under which the page may ask for a VIDEO; None for none."""
    if video is None:
        return None
    try:
        name = _names.setdefault(video, uuid.uuid4().hex)
        _clips[name] = video
    except TypeError:  # another pack's VIDEO, of which no weak reference can be had
        return None
    return name


def register_clip_routes() -> None:
    """Add the route to ComfyUI's server, where one runs."""
    add_routes(_routes)


def file_of(video: object) -> Path:
    """A file with a VIDEO that browsers play; its own where it is one.

    Raises:
        VideoAlignError: it cannot be decoded or written.
    """
    from .clip_files import playable_file
    from .clip_input import input_clips

    (clip,) = input_clips(video, 0.0, 1, None)
    with _writing:
        return playable_file(clip.source)


def _routes() -> list[RouteDef]:
    from aiohttp import web

    return [web.get(_PATH, _clip)]


async def _clip(request: Request) -> StreamResponse:
    import asyncio

    from aiohttp import web

    from ..errors import VideoAlignError

    video = _clips.get(request.query.get("clip", ""))
    if video is None:
        return web.json_response(
            {"error": "ComfyUI has let go of this clip. Run the graph again to play it."}, status=404
        )
    try:
        path = await asyncio.to_thread(file_of, video)
    except VideoAlignError as error:
        return web.json_response({"error": str(error)}, status=422)
    return web.FileResponse(path, headers={"Cache-Control": "no-store"})
