"""A real ComfyUI for tests: one process with its own folders, driven over HTTP and websocket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTING_NODES = Path(__file__).resolve().parent / "testing_nodes"
START_SECONDS = 600
RUN_SECONDS = 120


@dataclass
class Run:
    """What one prompt did.

    Attributes:
        outputs: ui output by node id.
        errors: ``execution_error`` messages.
        cached: ids of the nodes whose results were taken from the cache.
        executed: ids of the nodes that ran.
        interrupted: whether it was cancelled.
    """

    outputs: dict = field(default_factory=dict)
    errors: list[dict] = field(default_factory=list)
    cached: set[str] = field(default_factory=set)
    executed: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def error(self) -> str:
        """All error messages of the run."""
        return "\n".join(error["exception_message"] for error in self.errors)


class RefusedError(Exception):
    """The server did not take the prompt; ``nodes`` are its complaints by node id."""

    def __init__(self, answer: dict):
        super().__init__(json.dumps(answer))
        self.nodes = answer.get("node_errors", {})


class ComfyServer:
    """One server process.

    Args:
        tree: the ComfyUI checkout.
        base: an empty folder for its models, input, output, temp and custom nodes.
        arguments: further command line arguments.
    """

    def __init__(self, tree: Path, base: Path, arguments: tuple[str, ...] = ()):
        self.base, self.arguments = base, arguments
        for name in ("models/reward_models", "input", "output", "temp", "user", "custom_nodes"):
            (base / name).mkdir(parents=True, exist_ok=True)
        (base / "custom_nodes" / "ComfyUI-VideoAlign").symlink_to(REPOSITORY, target_is_directory=True)
        (base / "custom_nodes" / "videoalign_testing").symlink_to(TESTING_NODES, target_is_directory=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = base / "server.log"
        python = os.environ.get("COMFYUI_PYTHON", sys.executable)
        command = [
            python, "main.py", "--cpu", "--use-pytorch-cross-attention", "--listen", "127.0.0.1", "--port", str(self.port),
            "--base-directory", str(base), "--temp-directory", str(base), "--disable-api-nodes",
            "--database-url", f"sqlite:///{base}/user/comfyui.db", *arguments,
        ]  # fmt: skip
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        environment.pop("COMFYUI_PATH", None)  # the reward library would look for models there
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=tree, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            try:
                self.get("/system_stats")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.25)
        self.stop()
        raise RuntimeError(f"ComfyUI did not answer within {START_SECONDS} s:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def version(self) -> str:
        """ComfyUI's version."""
        return self.get("/system_stats")["system"]["comfyui_version"]

    def get(self, path: str):
        """JSON of a GET request."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, content: dict):
        """JSON (or None) of a POST request."""
        body = json.dumps(content).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def queue(self, prompt: dict, client: str) -> str:
        """Queue a prompt in API form; returns its id.

        Raises:
            RefusedError: the server's validation did not take it.
        """
        try:
            answer = self.post("/prompt", {"prompt": prompt, "client_id": client})
        except urllib.error.HTTPError as error:
            raise RefusedError(json.load(error)) from None
        if answer.get("node_errors"):
            raise RefusedError(answer)
        return answer["prompt_id"]

    def connect(self) -> Session:
        """A websocket session, closed by the caller."""
        return Session(self)

    def run(self, prompt: dict) -> Run:
        """Queue a prompt and wait for its end."""
        session = self.connect()
        try:
            return session.wait(self.queue(prompt, session.client))
        finally:
            session.close()


class Session:
    """A client: a websocket and the messages that came over it."""

    def __init__(self, server: ComfyServer):
        import websocket

        self.server = server
        self.client = uuid.uuid4().hex
        address = f"ws://127.0.0.1:{server.port}/ws?clientId={self.client}"
        self.socket = websocket.create_connection(address, timeout=RUN_SECONDS)
        self.runs: dict[str, Run] = {}
        self.ended: list[str] = []

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def wait(self, prompt_id: str) -> Run:
        """Read messages until this prompt has ended; its outputs come from the history."""
        while prompt_id not in self.ended:
            self.read()
        run = self.runs.setdefault(prompt_id, Run())
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # an error is told before the history has its entry
            history = self.server.get(f"/history/{prompt_id}").get(prompt_id)
            if history:
                run.outputs = history["outputs"]
                return run
            time.sleep(0.05)
        raise AssertionError(f"prompt {prompt_id} ended but is not in the history")

    def read(self) -> tuple[str, dict]:
        """Take one message."""
        content = self.socket.recv()
        if isinstance(content, bytes):
            return "preview", {}
        message = json.loads(content)
        kind, data = message["type"], message.get("data", {})
        prompt_id = data.get("prompt_id")
        if prompt_id is None:
            return kind, data
        run = self.runs.setdefault(prompt_id, Run())
        if kind == "executing" and data["node"] is not None:
            run.executed.append(data["node"])
        elif kind == "execution_cached":
            run.cached |= set(data["nodes"])
        elif kind == "execution_error":
            run.errors.append(data)
        elif kind == "execution_interrupted":
            run.interrupted = True
        if kind == "executing" and data["node"] is None:
            self.ended.append(prompt_id)
        return kind, data
