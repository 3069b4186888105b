"""A benchmark's section of RESULTS.md: heading, command, machine, versions, date, then tables and notes as they come.

    parser = benchmark_parser(__doc__, repeats=3)
    options = parser.parse_args()
    with Section("Loading, 2B size", options, libraries=("torch",)) as section:
        section.table("", *COLUMNS)
        section.row("load the file", *times.cells())
        section.aim("file / folder", 0.2, at_most=0.5)

Every line is printed as soon as it is known. With ``--write`` the finished section also takes the old one's position in
RESULTS.md; a run that fails or is stopped changes nothing there.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
from pathlib import Path

from machine import command_line, machine, versions

from videoalign.files.atomic_file import write_bytes

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


def benchmark_parser(description: str | None, repeats: int | None = None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have.

    Args:
        description: the script's docstring.
        repeats: default of ``--repeats``; without one the script measures no time and has no such option.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = parser.add_argument_group("common to all benchmarks")
    if repeats is not None:
        common.add_argument("--repeats", type=int, default=repeats, help=f"rounds that are timed (default: {repeats})")
    common.add_argument("--write", action="store_true", help="replace the script's section of RESULTS.md as well")
    common.add_argument("--results", type=Path, default=RESULTS, help="file that --write changes, if not RESULTS.md")
    return parser


class Section:
    """A context manager that prints one section as Markdown.

    While it is open, whatever else prints to standard output goes to standard error.

    Attributes:
        heading: without the ``##``.
        text: all that was printed so far.

    Args:
        options: of ``benchmark_parser``; ``device`` among them is named where it is no CPU.
        libraries: distributions whose versions matter to the figures.
    """

    def __init__(self, heading: str, options: argparse.Namespace, libraries: tuple[str, ...] = ("torch",)) -> None:
        self.heading, self.text = heading, ""
        self._options, self._libraries = options, libraries
        self._output, self._block = sys.stdout, ""
        self._redirected = contextlib.redirect_stdout(sys.stderr)

    def __enter__(self) -> Section:
        self._redirected.__enter__()
        self._print("heading", f"## {self.heading}")
        self._print("command", f"`{command_line(sys.argv)}`")
        self.note(f"Machine: {machine(getattr(self._options, 'device', 'cpu'))}")
        self.note(f"Versions: {versions(self._libraries)}")
        self.note(f"Date: {datetime.date.today().isoformat()}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._redirected.__exit__(kind, error, trace)
        if kind is None and self._options.write:
            write_section(self._options.results, self.heading, self.text)

    def paragraph(self, text: str) -> None:
        """A paragraph."""
        self._block = ""
        self._print("paragraph", text)

    def note(self, text: str) -> None:
        """An item of a list."""
        self._print("note", f"- {text}")

    def aim(
        self, name: str, value: float, *, at_most: float | None = None, at_least: float | None = None, form: str = ".2f"
    ) -> None:
        """A note that says whether a number is within its limits (either may be None)."""
        met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        bounds = {"at least": at_least, "at most": at_most}
        limits = [f"{which} {bound:{form}}" for which, bound in bounds.items() if bound is not None]
        self.note(f"{'Aim met' if met else '**Aim missed**'}: {name} is {value:{form}} ({' and '.join(limits)})")

    def table(self, *columns: str) -> None:
        """Begin a table: the first column stands to the left, the others, which are numbers, to the right."""
        self._block = ""
        self._print("table", _line(columns))
        self._print("table", "|---|" + "---:|" * (len(columns) - 1))

    def row(self, *cells: str | float) -> None:
        """A line of the table that was begun last; numbers get two digits."""
        self._print("table", _line([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]))

    def _print(self, block: str, line: str) -> None:
        """One line; a block of another kind begins after an empty one."""
        text = ("\n" if self.text and block != self._block else "") + line + "\n"
        self.text, self._block = self.text + text, block
        self._output.write(text)
        self._output.flush()


def interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """A cell: a number and its interval."""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def write_section(file: Path, heading: str, text: str) -> None:
    """Write a section in the position of the one with this heading, or at the end; the rest stays byte for byte.

    A section goes from its ``## heading`` to the next heading of level 1 or 2, or to the end of the file.

    Args:
        text: the section, heading included, with ``\\n`` as its line ends; it gets the file's.

    Raises:
        FileError: the file cannot be written.
        ValueError: two sections have this heading.
    """
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    starts = [index for index, line in enumerate(lines) if _heading(lines, index) == f"## {heading}"]
    if len(starts) > 1:
        raise ValueError(
            f"{file.name} has {len(starts)} sections with the heading {heading!r}: one is expected. Rename one."
        )
    end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    new = text.rstrip("\n").encode().replace(b"\n", end) + end
    if not starts:
        before, after = b"".join(lines), b""
        if before:
            before += (b"" if before.endswith(b"\n") else end) + (b"" if before.endswith(2 * end) else end)
    else:
        stop = next((index for index in range(starts[0] + 1, len(lines)) if _heading(lines, index)), len(lines))
        before, after = b"".join(lines[: starts[0]]), b"".join(lines[stop:])
    write_bytes(file, before + new + (end + after if after else b""))


def headings(file: Path) -> list[str]:
    """Headings of level 2, in order, without the ``##``."""
    lines = file.read_bytes().splitlines(keepends=True)
    every = (_heading(lines, index) for index in range(len(lines)))
    return [line[3:] for line in every if line.startswith("## ")]


def _heading(lines: list[bytes], index: int) -> str:
    """The line where it is a heading of level 1 or 2 and stands in no block of code, otherwise nothing."""
    line = lines[index].decode("utf-8").rstrip()
    if not line.startswith(("# ", "## ")):
        return ""
    fences = sum(other.lstrip().startswith(b"```") for other in lines[:index])
    return "" if fences % 2 else line


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
