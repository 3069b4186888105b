"""A browser page with ComfyUI's frontend in it."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

READY = "window.app?.extensionManager && window.app.graph && window.app.canvas"
# Which prompts the page has heard the end of: what nodes show of a run is there by then.
HEAR = """() => {
    if (window.heardRuns) return;
    window.heardRuns = new Set();
    for (const end of ["execution_success", "execution_error", "execution_interrupted"])
        window.app.api.addEventListener(end, ({detail}) => window.heardRuns.add(detail.prompt_id));
}"""
# Until the view and the nodes have stood still for some frames, however long a frame takes here.
SETTLED = """async () => {
    const look = () => {
        const {scale, offset} = window.app.canvas.ds;
        return JSON.stringify([scale, [...offset], window.app.graph.nodes.map(node => [...node.pos, ...node.size])]);
    };
    let last = look();
    for (let same = 0, frames = 0; same < 10 && frames < 600; frames += 1) {
        await new Promise(requestAnimationFrame);
        const now = look();
        same = now === last ? same + 1 : 0;
        last = now;
    }
}"""


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
        self.settle()
        self.clear()

    def settle(self) -> None:
        """Wait until nothing in the graph moves."""
        self.page.evaluate(SETTLED)

    def until(self, look, wanted, seconds: float = 60):
        """What ``look()`` gives, as soon as it is ``wanted``; after so long whatever it gives then."""
        deadline = time.monotonic() + seconds
        while (seen := look()) != wanted and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        return seen

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
        self.page.wait_for_function("!document.querySelector('.videoalign-panel')")

    def load(self, workflow: dict) -> None:
        """Load a workflow file's content and bring all of it into view."""
        self.page.evaluate("workflow => window.app.loadGraphData(workflow)", workflow)
        self.settle()
        self.fit()

    def fit(self) -> None:
        """Zoom to the whole graph."""
        self.page.evaluate("window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.settle()

    def run(self, seconds: float = 120) -> None:
        """Queue the graph and wait, at most so long, until the page has heard the end and has drawn what came of it."""
        self.page.evaluate(HEAR)
        before = set(self.server.get("/history"))
        self.page.evaluate("window.app.queuePrompt(0, 1)")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            queue = self.server.get("/queue")
            ended = [prompt for prompt in self.server.get("/history") if prompt not in before]
            if ended and not queue["queue_running"] and not queue["queue_pending"]:
                self.page.wait_for_function(
                    "prompts => prompts.every(prompt => window.heardRuns.has(prompt))", arg=ended, timeout=60_000
                )
                self.settle()
                return
            time.sleep(0.1)
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
        self.settle()

    def capture(self) -> None:
        """Let the page note the graph as it is, for its undo, as it does after a click."""
        self.page.evaluate(
            """() => {
                const tracker = window.app.extensionManager.workflow.activeWorkflow.changeTracker;
                (tracker.captureCanvasState ?? tracker.checkState).call(tracker);
            }"""
        )

    def undo_steps(self) -> int:
        """How many steps can be undone."""
        return self.page.evaluate("window.app.extensionManager.workflow.activeWorkflow.changeTracker.undoQueue.length")

    def texts(self, selector: str) -> list[str]:
        """Text of all elements that match, in the page's order."""
        return self.page.eval_on_selector_all(selector, "found => found.map(one => one.textContent)")

    def prompt(self) -> dict:
        """The graph in API form."""
        return self.page.evaluate("window.app.graphToPrompt().then(both => both.output)")

    def saved(self) -> dict:
        """The graph as a workflow file."""
        return self.page.evaluate("window.app.graph.serialize()")

    def wait_for_draft(self, *parts) -> None:
        """Until the page has kept its graph for after a reload, with these texts in it; it does so some time after a change."""
        self.page.wait_for_function(
            """parts => [localStorage, sessionStorage].some(kept =>
                Object.values(kept).some(one => parts.every(part => one.includes(part))))""",
            arg=[str(part) for part in parts],
            timeout=300_000,
        )

    def shoot(self, name: str) -> Path:
        """Take a picture."""
        path = self.screenshots / f"{name}_{self.name}.png"
        self.page.screenshot(path=str(path))
        return path
