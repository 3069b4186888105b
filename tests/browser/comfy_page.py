"""A browser page with ComfyUI's frontend in it."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

READY = "window.app?.extensionManager && window.app.graph && window.app.canvas"


class ComfyPage:
    """Drives the frontend.

    Args:
        page: a Playwright page.
        server: the ComfyServer.
        vue: Nodes 2.0 instead of the classic canvas.
        screenshots: folder for pictures.
        name: of the frontend, put into the pictures' names.

    Attributes:
        complaints: what the pack's scripts wrote to the console as errors or warnings of deprecation.
    """

    def __init__(self, page, server, vue: bool, screenshots: Path, name: str):
        self.page, self.server, self.screenshots, self.name = page, server, screenshots, name
        self.complaints: list[str] = []
        page.set_default_timeout(240_000)  # of a page that shares its machine
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.set_setting("Comfy.TutorialCompleted", True)
        self.set_setting("Comfy.VueNodes.Enabled", vue)
        self.set_setting("Comfy.Minimap.Visible", False)  # it lies over the graph's corner
        self.open()
        actual = page.evaluate("window.app.extensionManager.setting.get('Comfy.VueNodes.Enabled')")
        assert actual == vue

    def set_setting(self, name: str, value) -> None:
        """Set one of the user's settings on the server; a page reads them when it is loaded."""
        body = json.dumps(value).encode()
        url = f"{self.server.url}/settings/{name}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()

    def _listen(self, message) -> None:
        place = message.location.get("url", "")
        if "/extensions/ComfyUI-VideoAlign/" in place and (
            message.type == "error" or "deprecat" in message.text.lower()
        ):
            self.complaints.append(f"{message.type}: {message.text} ({place})")

    def open(self) -> None:
        """Load the page and wait for an empty graph."""
        self.page.goto(self.server.url)
        self.page.wait_for_function(READY, timeout=300_000)
        self.page.wait_for_timeout(500)
        self.clear()

    def clear(self) -> None:
        """Close what lies over the graph, and empty it; new nodes get new ids, as the frontend remembers the old ones' values."""
        self.page.keyboard.press("Escape")
        self.page.evaluate(
            """() => {
                const graph = window.app.graph, last = graph.state.lastNodeId;
                graph.clear();
                graph.state.lastNodeId = last;
            }"""
        )
        self.page.wait_for_timeout(200)

    def load(self, workflow: dict) -> None:
        """Load a workflow file's content and bring all of it into view."""
        self.page.evaluate("workflow => window.app.loadGraphData(workflow)", workflow)
        self.page.wait_for_timeout(800)
        self.fit()

    def fit(self) -> None:
        """Zoom to the whole graph."""
        self.page.evaluate("window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(600)

    def run(self, seconds: float = 120) -> None:
        """Queue the graph and wait, at most so long, until the server has nothing left to do."""
        before = len(self.server.get("/history"))
        self.page.evaluate("window.app.queuePrompt(0, 1)")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            queue = self.server.get("/queue")
            idle = not queue["queue_running"] and not queue["queue_pending"]
            if idle and len(self.server.get("/history")) > before:
                self.page.wait_for_timeout(1200)
                return
            time.sleep(0.2)
        raise AssertionError("the prompt did not end")

    def widget(self, node: int, name: str):
        """A widget's value."""
        return self.page.evaluate(
            "([node, name]) => window.app.graph.getNodeById(node).widgets.find(one => one.name === name).value",
            [node, name],
        )

    def set_widget(self, node: int, name: str, value) -> None:
        """Set a widget as the user interface does."""
        self.page.evaluate(
            """([id, name, value]) => {
                const node = window.app.graph.getNodeById(id);
                const widget = node.widgets.find(one => one.name === name);
                widget.value = value;
                widget.callback?.(value, window.app.canvas, node);
            }""",
            [node, name, value],
        )
        self.page.wait_for_timeout(300)

    def texts(self, selector: str) -> list[str]:
        """Text of all elements that match, in the page's order."""
        return self.page.eval_on_selector_all(selector, "found => found.map(one => one.textContent)")

    def prompt(self) -> dict:
        """The graph in API form."""
        return self.page.evaluate("window.app.graphToPrompt().then(both => both.output)")

    def saved(self) -> dict:
        """The graph as a workflow file."""
        return self.page.evaluate("window.app.graph.serialize()")

    def shoot(self, name: str) -> Path:
        """Take a picture."""
        path = self.screenshots / f"{name}_{self.name}.png"
        self.page.screenshot(path=str(path))
        return path
