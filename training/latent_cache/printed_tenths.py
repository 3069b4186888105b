"""What building a cache says of itself where a person watches."""

from __future__ import annotations

import sys


class PrintedTenths:
    """A progress report of ``build_cache``: a line on stderr for each tenth of the work.

    Not tqdm: encoding runs for hours with its output in a file, where tqdm writes thousands of lines, or none at all.
    """

    def __init__(self) -> None:
        self._said: tuple[str, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = (what, 10 * done // max(total, 1))
        if tenth != self._said:
            self._said = tenth
            print(f"{what}: {done} of {total}", file=sys.stderr)
