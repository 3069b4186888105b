"""Seconds and peak memory of a piece of code; memory is sampled from the operating system while it runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

_STATUS = Path("/proc/self/status")


class Measured:
    """A context manager; afterwards seconds and, on Linux, the highest memory seen, in GB (10^9 bytes).

    Attributes:
        seconds: by the clock.
        cpu_seconds: of the processor over all threads, those of the sampling included.
        private: memory of the process's own, without files that it maps: what a computer must have free.
        resident: the same and the pages of mapped files that are in memory, which the system may drop at will.
    """

    def __init__(self, interval: float = 0.01) -> None:
        self.seconds = self.cpu_seconds = self.private = self.resident = 0.0
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Measured:
        self._thread.start()
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start[0]
        self.cpu_seconds = time.process_time() - self._start[1]
        self._stop.set()
        self._thread.join()

    def __str__(self) -> str:
        memory = f", peak memory {self.private:.2f} GB of its own, {self.resident:.2f} GB with mapped files"
        return f"{self.seconds:.2f} s" + (memory if _STATUS.exists() else "")

    def _sample(self) -> None:
        while _STATUS.exists():
            fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            anonymous, mapped = (int(fields[name].split()[0]) * 1024 / 1e9 for name in ("RssAnon", "RssFile"))
            self.private, self.resident = max(self.private, anonymous), max(self.resident, anonymous + mapped)
            if self._stop.wait(self._interval):
                return
