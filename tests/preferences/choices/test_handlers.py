"""Requests as a network and other people's pages send them."""

import json
import os
import socket
import time

import pytest

from videoalign.preferences.choices import handlers
from videoalign.preferences.choices import page as local_page
from videoalign.preferences.choices.handlers import MOST_BYTES
from videoalign.preferences.reading import read_preferences


class Connection:
    """Bytes to a page and back."""

    def __init__(self, page, seconds: float = 30) -> None:
        self.page = page
        self.socket = socket.create_connection(page.address, timeout=seconds)

    def head(self, action: str, length: int | str, **headers: str) -> bytes:
        """What comes before the body of a POST."""
        lines = {"Host": "{}:{}".format(*self.page.address), "Content-Length": str(length), **headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST /{self.page.word}/{action} HTTP/1.1\r\n{text}\r\n".encode()

    def send(self, *pieces: bytes, pause: float = 0.1) -> None:
        for piece in pieces:
            self.socket.sendall(piece)
            time.sleep(pause)

    def answer(self) -> tuple[int, bytes]:
        """Status and body."""
        content = b""
        while b"\r\n\r\n" not in content:
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise ConnectionError("closed without an answer")
            content += piece
        head, _, body = content.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(lines.get(b"content-length", 0))
        while len(body) < length:
            body += self.socket.recv(1 << 16)
        return int(head.split()[1]), body


def ask(page, action: str, content: bytes, *, pieces: int = 1, **headers: str) -> tuple[int, dict]:
    connection = Connection(page)
    step = max(-(-len(content) // pieces), 1)
    connection.send(
        connection.head(action, len(content), **headers),
        *(content[start : start + step] for start in range(0, len(content), step)),
        pause=0.05 if pieces > 1 else 0,
    )
    status, body = connection.answer()
    return status, json.loads(body)


def choice(page, **more) -> tuple[str, bytes]:
    """A pair that waits, and a choice for it as a page sends it."""
    pair = ask(page, "state", b"{}")[1]["waiting"][0]["pair"]
    return pair, json.dumps({"pair": pair, "answers": {"VQ": "A", "Overall": "B"}, **more}).encode()


def test_a_choice_that_comes_in_pieces_is_kept(page, folder):
    pair, content = choice(page)
    status, state = ask(page, "choose", content, pieces=4)
    assert (status, state["done"]) == (200, 1)
    assert [kept.id for kept in read_preferences(folder / "choices.jsonl")] == [pair]


def test_a_choice_that_comes_in_chunks_of_unknown_length_is_kept(page):
    _, content = choice(page)
    connection = Connection(page)
    half = len(content) // 2
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:half], content[half:])]
    head = connection.head("choose", 0, **{"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    connection.send(head, *chunks, b"0\r\n\r\n")
    status, body = connection.answer()
    assert (status, json.loads(body)["done"]) == (200, 1)


def test_the_longest_request_is_kept_and_a_longer_one_is_called_too_long(page):
    _, content = choice(page, skipped=[])
    space = MOST_BYTES - len(content)
    status, state = ask(page, "choose", content[:-1] + b" " * space + b"}")
    assert (status, state["done"]) == (200, 1)
    _, content = choice(page)
    status, answer = ask(page, "choose", content + b" " * MOST_BYTES)
    assert status == 413 and "longer than 65,536 bytes" in answer["error"]
    assert ask(page, "state", b"{}")[1]["done"] == 1


def test_without_a_length_the_limit_counts_too(page):
    connection = Connection(page)
    head = connection.head("choose", 0, **{"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    part = b" " * 30_000
    connection.send(head, *[b"%x\r\n%s\r\n" % (len(part), part)] * 3)
    assert connection.answer()[0] == 413


def test_half_a_choice_is_no_choice_and_is_not_waited_for_for_ever(page, monkeypatch):
    _, content = choice(page)
    monkeypatch.setattr(handlers, "MOST_SECONDS", 0.3)
    connection = Connection(page)
    connection.send(connection.head("choose", len(content)), content[:-5])
    status, body = connection.answer()
    assert status == 408 and "not all here after 0.3 seconds" in json.loads(body)["error"]
    assert ask(page, "state", b"{}")[1]["done"] == 0


def test_connections_that_say_nothing_or_half_a_head_are_closed(session_of, monkeypatch, request):
    monkeypatch.setattr(local_page, "MOST_SECONDS", 0.5)
    page = request.getfixturevalue("page")
    silent, half = Connection(page), Connection(page)
    half.send(half.head("state", 2)[:40])
    for connection in (silent, half):
        assert connection.socket.recv(1) == b""
    assert ask(page, "state", b"{}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
def test_a_page_of_another_site_changes_nothing_even_if_it_knows_the_word(page, headers):
    _, content = choice(page)
    assert ask(page, "choose", content)[0] == 200
    for action in ("choose", "back", "state"):
        assert ask(page, action, content, **headers, **{"Content-Type": "text/plain"})[0] == 403
    assert ask(page, "state", b"{}")[1]["done"] == 1


def test_the_page_itself_may_write(page):
    _, content = choice(page)
    origin = "http://{}:{}".format(*page.address)
    status, state = ask(page, "choose", content, Origin=origin, **{"Sec-Fetch-Site": "same-origin"})
    assert (status, state["done"]) == (200, 1)


def test_a_file_that_cannot_be_written_now_is_no_refusal_so_that_the_page_asks_again(page, folder):
    _, content = choice(page)
    (folder / "choices.jsonl").mkdir()
    status, answer = ask(page, "choose", content)
    assert status == 503 and "choices.jsonl" in answer["error"]
    (folder / "choices.jsonl").rmdir()
    status, state = ask(page, "choose", content)
    assert (status, state["done"]) == (200, 1)


@pytest.mark.parametrize("content", [b"[" * 60_000, b'{"pair": ' + b"1" * 5000 + b"}", b"\xff", b"{"])
def test_what_is_no_json_is_refused_with_a_reason(page, content, capfd):
    status, answer = ask(page, "choose", content)
    assert status == 400 and answer["error"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_length_that_is_no_number_and_a_range_beyond_the_end_say_nothing_on_the_terminal(page, capfd):
    connection = Connection(page)
    connection.send(connection.head("state", "abc"))
    assert connection.answer()[0] == 400
    pair, _ = choice(page)
    for asked in (f"bytes={10**12}-", f"bytes={'9' * 300}-", "bytes=5-2"):
        connection = Connection(page)
        host = "{}:{}".format(*page.address)
        connection.send(
            f"GET /{page.word}/clip?pair={pair}&side=A HTTP/1.1\r\nHost: {host}\r\nRange: {asked}\r\n\r\n".encode()
        )
        assert connection.answer()[0] in (400, 416)
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out


def test_a_clip_that_became_a_link_to_elsewhere_is_not_given_out(session_of, folder, tmp_path):
    from videoalign.errors import VideoAlignError

    session = session_of(within=folder)
    (pair, *_) = session.pairs()
    clip = session.pairs()[pair].a.path
    (tmp_path / "elsewhere.mp4").write_bytes(clip.read_bytes())
    assert session.clip(pair, "A").exists()
    clip.unlink()
    os.symlink(tmp_path / "elsewhere.mp4", clip)
    with pytest.raises(VideoAlignError, match="lies outside"):
        session.clip(pair, "A")
