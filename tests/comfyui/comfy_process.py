"""ComfyUI's modules in one process without its server, called function by function.

``ComfyProcess.call("name", ...)`` runs ``name`` of ``sampling_calls.py`` there and returns what it returns; what it raises
is raised here, as ``RemoteError``. ``call("file.name", ...)`` runs one of another file of this folder.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

from comfy_server import REPOSITORY

_HERE = Path(__file__).resolve().parent


class RemoteError(Exception):
    """An exception in the process: its class name, its text, and its traceback as text."""

    def __init__(self, kind: str, text: str, trace: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text, self.trace = kind, text, trace


class ComfyProcess:
    """One process; it ends with ``stop``."""

    def __init__(self, tree: Path, log: Path) -> None:
        self.log = log
        python = os.environ.get("COMFYUI_PYTHON", sys.executable)
        path = os.pathsep.join([str(tree), str(_HERE), str(REPOSITORY / "tests" / "backbones")])
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [python, str(_HERE / "sampling_calls.py"), str(REPOSITORY)],
                cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip

    def call(self, name: str, **arguments):
        """Run a function there."""
        send(self.process.stdin, (name, arguments))
        answer = receive(self.process.stdout)
        if answer is None:
            raise RuntimeError(f"the process ended:\n{self.log.read_text()[-4000:]}")
        ok, value = answer
        if not ok:
            raise RemoteError(*value)
        return value

    def stop(self) -> None:
        """End the process."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def send(stream, value) -> None:
    """Write one object."""
    body = pickle.dumps(value)
    stream.write(struct.pack("<Q", len(body)) + body)
    stream.flush()


def receive(stream):
    """Read one object; None at the end of the stream."""
    head = stream.read(8)
    return pickle.loads(stream.read(struct.unpack("<Q", head)[0])) if len(head) == 8 else None
