"""The local page of ``videoalign choose``: this computer only, and only for whoever knows the address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ...errors import VideoAlignError
from ...pages.render import render
from .handlers import MOST_SECONDS, ChoiceHandlers
from .session import ChoiceSession

_WEB = Path(__file__).parents[2] / "web"
_FILES = {
    "": ("choose_page.html", "text/html; charset=utf-8"),
    "videoalign.css": ("videoalign.css", "text/css; charset=utf-8"),
} | {
    name: (name, "text/javascript; charset=utf-8")
    for name in (
        "choose_view.js",
        "choose_questions.js",
        "choose_tools.js",
        "choose_ends.js",
        "choose_judged.js",
        "choose_prompt.js",
        "choose_players.js",
        "choose_layout.js",
        "choose_server.js",
        "two_clips.js",
        "element.js",
    )
}


_LOG = logging.getLogger(__name__)
# A request that is no HTTP is answered with 400; its traceback is nobody's.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))


class ChoicePage:
    """Serves the page of one session on 127.0.0.1.

    It listens from the start; `serve` answers.

    Args:
        session: what is chosen.
        port: to listen on; 0 takes a free one.

    Attributes:
        word: a random word that nobody can guess, the first part of every address.
        url: the page's address.

    Raises:
        VideoAlignError: the port is in use.
    """

    def __init__(self, session: ChoiceSession, port: int = 0) -> None:
        self.session = session
        self.word = secrets.token_urlsafe(24)
        try:
            self._socket = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise VideoAlignError(
                f"Port {port} cannot be listened on ({error.strerror or error}). Give another --port, or 0."
            ) from None
        self.address: tuple[str, int] = self._socket.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}/{self.word}/"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._stopped = False

    def __enter__(self) -> ChoicePage:
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()

    def serve(self, ready: Callable[[], None] | None = None) -> None:
        """Answer until Ctrl-C, SIGTERM, or `stop` in another thread. A choice that is being kept is kept first.

        Args:
            ready: called once it answers.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
        """
        asyncio.run(self._serve(ready))

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self._stopped = True  # in case it has not begun yet
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._ended.set)

    def application(self) -> web.Application:
        """The routes, all below the secret word."""
        handlers = ChoiceHandlers(lambda _: self.session)
        application = web.Application(middlewares=[self._only_with_the_word])
        application.router.add_routes(handlers.routes(f"/{self.word}"))
        application.router.add_get(f"/{self.word}/{{name:[^/]*}}", _file)
        application.on_response_prepare.append(_private)
        return application

    @web.middleware
    async def _only_with_the_word(self, request: web.Request, handler) -> web.StreamResponse:
        word = request.path.split("/")[1]
        if not secrets.compare_digest(word.encode("utf-8", "replace"), self.word.encode()):
            return web.Response(status=404)
        return await handler(request)

    async def _serve(self, ready: Callable[[], None] | None) -> None:
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            self._loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        # A connection that sends nothing, or half of a request, is closed after the keep-alive time.
        runner = web.AppRunner(
            self.application(),
            access_log=None,  # the terminal is for the address and the result
            logger=_LOG,
            keepalive_timeout=MOST_SECONDS,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            if ready is not None:
                ready()
            if not self._stopped:
                await self._ended.wait()
        finally:
            await runner.cleanup()


async def _file(request: web.Request) -> web.StreamResponse:
    """The page, its scripts and its style sheet; nothing else."""
    try:
        name, kind = _FILES[request.match_info["name"]]
    except KeyError:
        return web.Response(status=404)
    return web.FileResponse(_WEB / name, headers={"Content-Type": kind, "Cache-Control": "no-store"})


async def _private(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Referrer-Policy"] = "no-referrer"  # the address has the secret word
    response.headers["X-Content-Type-Options"] = "nosniff"


def write_opener(url: str, folder: Path) -> Path:
    """A file that only this user can read and that leads a browser to ``url``.

    The command line of a browser can be read by everybody on a computer, so the secret word must not be in it.
    """
    path = Path(folder) / "open_the_page.html"
    text = render("open.html.j2", url=url, title="Choose A or B")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path
