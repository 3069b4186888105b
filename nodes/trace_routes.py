"""Guided runs as they go on: sent to the page, and given to one that was loaded in the middle of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .comfy_compat import add_routes, last_prompt, send_to_page
from .live_traces import LiveTraces

if TYPE_CHECKING:
    from aiohttp.web import Request, Response, RouteDef

LIVE = LiveTraces(send_to_page, last_prompt)
_PATH = "/videoalign/reward_traces"


def register_trace_routes() -> None:
    """Add the route to ComfyUI's server, where one runs."""
    add_routes(_routes)


def _routes() -> list[RouteDef]:
    from aiohttp import web

    return [web.get(_PATH, _of_last_prompt)]


async def _of_last_prompt(_request: Request) -> Response:
    """The messages of the guided runs of the prompt that is being executed, or was last."""
    from aiohttp import web

    return web.json_response({"prompt": last_prompt(), "messages": LIVE.of_prompt(last_prompt())})
