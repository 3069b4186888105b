"""What a server answers to the page of A or B: aiohttp handlers, the same in ComfyUI's server and in ``videoalign choose``.

POST PATH/state | choose | back   a JSON object -> what to show; see `ChoiceSession.answer`
GET  PATH/clip?pair=&side=A       -> the clip, or the part of it that a header Range asks for
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping

from aiohttp import web

from ...clips.preview import content_type
from ...errors import FileError, VideoAlignError
from .page_origin import refusal
from .session import ACTIONS, ChoiceSession

MOST_BYTES = 1 << 16  # of a request; a page sends less than 30,000
MOST_SECONDS = 20.0  # until all of a request has come


class ChoiceHandlers:
    """The handlers of one server.

    Args:
        session_of: the session that a request is about, by the values that came with it (a JSON object, or the words of
            the address). It may raise VideoAlignError. It is called in a thread, as is the session.
        trusted: see `page_origin.refusal`.
    """

    def __init__(self, session_of: Callable[[Mapping], ChoiceSession], trusted: Collection[str] = ()) -> None:
        self._session_of = session_of
        self._trusted = trusted

    def routes(self, path: str) -> list[web.RouteDef]:
        """All routes, below ``path``."""
        return [
            web.get(f"{path}/clip", self.clip),
            web.post(f"{path}/{{action:{'|'.join(ACTIONS)}}}", self.answer),
        ]

    async def answer(self, request: web.Request) -> web.Response:
        """One request of the page, as JSON.

        Status 400: it cannot be met; 403: another site's page; 408: too slow; 413: too long; 503: the disk does not let it
        be met now.
        """
        reason = refusal(request.headers, self._trusted)
        if reason is not None:
            return _refused(403, reason)
        try:
            content = await asyncio.wait_for(_body(request), MOST_SECONDS)
        except asyncio.TimeoutError:
            return _refused(408, f"The request was not all here after {MOST_SECONDS:g} seconds.")
        if content is None:
            return _refused(413, f"The request is longer than {MOST_BYTES:,} bytes.")

        def answer() -> dict:
            values = _json_object(content)
            return self._session_of(values).answer(request.match_info["action"], values)

        try:
            return web.json_response(await asyncio.to_thread(answer))
        except (FileError, OSError) as error:  # a full disk, a lock: the page keeps the choice and asks again
            return _refused(503, str(error))
        except ValueError as error:  # of which VideoAlignError is one
            return _refused(400, str(error))

    async def clip(self, request: web.Request) -> web.StreamResponse:
        """A clip as browsers play it."""
        asked = dict(request.query)
        try:
            path = await asyncio.to_thread(
                lambda: self._session_of(asked).clip(asked.get("pair", ""), asked.get("side", ""))
            )
        except (ValueError, OSError) as error:  # of which VideoAlignError is one
            return _refused(400, str(error))
        headers = {
            "Content-Type": content_type(path),
            "Cache-Control": "private, max-age=600",
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(path, headers=headers)


async def _body(request: web.Request) -> bytes | None:
    """The whole of a request, in however many pieces it comes; None if it is too long."""
    pieces, size = [], 0
    if (request.content_length or 0) > MOST_BYTES:
        return None
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > MOST_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _json_object(content: bytes) -> dict:
    try:
        values = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise VideoAlignError("The request is no JSON object.")
    return values


def _refused(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)
