"""The local page of ``videoalign choose``: this computer only, and only for whoever knows the address."""

from __future__ import annotations

import json
import re
import secrets
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ...clips.preview import content_type
from ...errors import VideoAlignError
from .session import ChoiceSession

_WEB = Path(__file__).parents[2] / "web"
_FILES = {
    "": ("choose_page.html", "text/html; charset=utf-8"),
    "choose_view.js": ("choose_view.js", "text/javascript; charset=utf-8"),
    "two_clips.js": ("two_clips.js", "text/javascript; charset=utf-8"),
    "element.js": ("element.js", "text/javascript; charset=utf-8"),
    "videoalign.css": ("videoalign.css", "text/css; charset=utf-8"),
}
_MOST_BYTES = 1 << 16  # of a request


class ChoicePage(ThreadingHTTPServer):
    """Serves the page of one session on 127.0.0.1.

    Args:
        session: what is chosen.
        port: to listen on; 0 takes a free one.

    Attributes:
        url: the page's address, with a random word that nobody can guess.

    Raises:
        OSError: the port is in use.
    """

    daemon_threads = True

    def __init__(self, session: ChoiceSession, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.session = session
        self.word = secrets.token_urlsafe(24)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{self.word}/"


class _Handler(BaseHTTPRequestHandler):
    server: ChoicePage
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page, its scripts, and clips."""
        address = urllib.parse.urlsplit(self.path)
        name = self._inside(address.path)
        if name in _FILES:
            file, kind = _FILES[name]
            self._send((_WEB / file).read_bytes(), kind)
        elif name == "clip":
            asked = dict(urllib.parse.parse_qsl(address.query))
            self._answer(lambda: self.server.session.clip(asked.get("pair", ""), asked.get("side", "")))
        else:
            self._send(b"", "text/plain", HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """A request of the page: state, choose, back."""
        name = self._inside(urllib.parse.urlsplit(self.path).path)
        length = int(self.headers.get("Content-Length") or 0)
        if name is None or not 0 <= length <= _MOST_BYTES:
            self.close_connection = True
            self._send(b"", "text/plain", HTTPStatus.NOT_FOUND)
            return
        content = self.rfile.read(length)
        self._answer(lambda: self.server.session.answer(name, _object(content)))

    def log_message(self, *_) -> None:
        """Quiet: the terminal is for the address and the result."""

    def _inside(self, path: str) -> str | None:
        """The part of a path after the secret word, or None without it."""
        start, _, rest = path.removeprefix("/").partition("/")
        return rest if secrets.compare_digest(start.encode(), self.server.word.encode()) else None

    def _answer(self, ask) -> None:
        try:
            found = ask()
        except (VideoAlignError, OSError) as error:
            self._send(json.dumps({"error": str(error)}).encode(), "application/json", HTTPStatus.BAD_REQUEST)
            return
        if isinstance(found, Path):
            self._send_part(found.read_bytes(), content_type(found))
        else:
            self._send(json.dumps(found).encode(), "application/json")

    def _send_part(self, content: bytes, kind: str) -> None:
        """A clip, or the part of it that the browser asks for: without parts it could not go back to the beginning."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        if not asked or first >= len(content):
            self._send(content, kind)
            return
        part = content[first : int(asked[2]) + 1 if asked[2] else None]
        where = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
        self._send(part, kind, HTTPStatus.PARTIAL_CONTENT, {"Content-Range": where})

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "private, max-age=600" if kind.startswith("video/") else "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # the page went on to another pair
            self.close_connection = True


def _object(content: bytes) -> dict:
    try:
        values = json.loads(content or b"{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise VideoAlignError("The request is no JSON object.")
    return values
