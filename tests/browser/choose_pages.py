"""The page of ``videoalign choose`` on clips of any shape, served from a thread and opened in Chromium."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from videoalign.clips.video_file import write_video
from videoalign.preferences.choices.page import ChoicePage
from videoalign.preferences.choices.session import ChoiceSession

VIEW = ".videoalign-choose"


def wait_until_ready(page) -> None:
    """Until both clips of a pair are on the screen."""
    page.wait_for_selector(f"{VIEW}[data-ready='1']", timeout=60_000)


def write_shapes(folder: Path, shape: tuple[int, int], pairs: int, prompt: str) -> Path:
    """Pairs of clips of a width and height (pixels), a square that moves, at 12 frames a second."""
    folder.mkdir(parents=True)
    width, height = shape
    lines = []
    for number in range(pairs):
        for side, level in (("one", 60), ("two", 160)):
            frames = np.full((12, height, width, 3), level, np.uint8)
            for index, frame in enumerate(frames):
                left = index * width // 24
                frame[height // 3 : height // 2, left : left + width // 6] = 255
            name = f"{number}_{side}.mp4"
            write_video(folder / name, frames, 12)
            lines.append({"path": name, "prompt": f"{number}: {prompt}", "group": str(number)})
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


class ChoosePages:
    """Opens pages, each on a folder and a server of its own; nothing may complain on them.

    Args:
        chromium: a Playwright browser.
        root: an empty folder.
    """

    def __init__(self, chromium, root: Path):
        self._chromium, self._root = chromium, root
        self._opened = ExitStack()
        self._complaints: list[str] = []

    def __call__(
        self,
        shape=(64, 64),
        pairs=2,
        *,
        size=(1280, 720),
        touch=False,
        theme="dark",
        prompt="a square moves",
        people=(),
    ):
        """A page whose first pair is on the screen; with `folder`, and `expected`, words of complaints that a test causes.

        Args:
            shape: width and height of the clips in pixels.
            pairs: how many.
            size: of the viewport, CSS pixels.
            touch: a phone.
            theme: "dark" or "light", as the system says.
            prompt: of all pairs, each with its number before it.
            people: names of others who have answered "A" everywhere before.
        """
        folder = write_shapes(self._root / str(len(list(self._root.iterdir()))), shape, pairs, prompt)
        for name in people:
            other = ChoiceSession(folder, name, previews=self._root / "previews")
            for pair in other.pairs():
                other.choose(pair, dict.fromkeys(("VQ", "MQ", "TA", "Overall"), "A"))
        server = self._opened.enter_context(ChoicePage(ChoiceSession(folder, previews=folder / "previews")))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        self._opened.callback(thread.join, 30)
        self._opened.callback(server.stop)
        context = self._chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=touch, is_mobile=touch, color_scheme=theme
        )
        self._opened.callback(context.close)
        page = context.new_page()
        page.folder, page.expected = folder, []
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("console", lambda message: self._listen(message, page.expected))
        page.goto(server.url)
        wait_until_ready(page)
        return page

    def _listen(self, message, expected: list[str]) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in expected):
            self._complaints.append(message.text)

    def close(self) -> None:
        """End all servers and pages."""
        self._opened.close()
        assert not self._complaints, self._complaints
