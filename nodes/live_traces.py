"""What the page is told while a guided sampler works. Nothing here imports ComfyUI."""

from __future__ import annotations

from collections.abc import Callable

EVENT = "videoalign.reward_trace"


class LiveTraces:
    """What the page is told while a run samples, and told again when it asks, as after a reload.

    Messages are ``{node, run, index, point}``; index -1 begins a run, with its seed, its number of steps and the ``points`` of
    the samplers that it goes on from; index None ends it, with ``ended`` one of done, stopped, failed.

    Args:
        send: ``send(event, message)``.
        prompt: the id of the prompt that is being executed.
    """

    def __init__(self, send: Callable[[str, dict], None], prompt: Callable[[], str | None]) -> None:
        self._send, self._prompt = send, prompt
        self._runs: dict[str, int] = {}
        self._messages: dict[str, list[dict]] = {}
        self._of_prompt: dict[str, str | None] = {}

    def next_run(self, node: str) -> int:
        """The number of a guidance node's next run, from 1."""
        self._runs[node] = self._runs.get(node, 0) + 1
        return self._runs[node]

    def begin(self, node: str, run: int, seed: int | None, steps: int, points: list[dict]) -> None:
        """A run begins."""
        message = {"node": node, "run": run, "index": -1, "point": None, "seed": seed, "steps": steps, "points": points}
        self._messages[node], self._of_prompt[node] = [], self._prompt()
        self._tell(message)

    def point(self, node: str, run: int, index: int, point: dict) -> None:
        """A point has come."""
        self._tell({"node": node, "run": run, "index": index, "point": point})

    def end(self, node: str, run: int, ended: str) -> None:
        """The run has ended: done, stopped or failed."""
        self._tell({"node": node, "run": run, "index": None, "point": None, "ended": ended})

    def of_prompt(self, prompt: str | None) -> list[dict]:
        """The messages of the last run of each node in this prompt, in their order."""
        return [
            message
            for node, messages in list(self._messages.items())
            if prompt is not None and self._of_prompt[node] == prompt
            for message in list(messages)
        ]

    def _tell(self, message: dict) -> None:
        self._messages[message["node"]].append(message)
        self._send(EVENT, message)
