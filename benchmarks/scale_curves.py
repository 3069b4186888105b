"""Rows against CPU seconds and memory of all that reads or writes large files: is each linear, and is its memory bounded?

    python benchmarks/scale_curves.py
    python benchmarks/scale_curves.py --only score bench --rows 10000   # while one of them is being mended

Every figure is of a process of its own, which runs the operation with few rows first, so that imports do not count. Memory is the
highest that is the process's own, above what it had before. The exponent is of the last factor of ten: seconds grow as rows
to that power, 1 is linear. An operation that sorts may reach 1.1.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peak_memory import Measured
from results_section import Section, benchmark_parser
from scale_operations import OPERATIONS

HEADING = "Large files: rows against seconds and memory"
FEW = 40
STEEPEST = 1.15
RESUMED, MANIFEST = "score, every row in the journal", 10_000


def main() -> None:
    """Measure every operation at every size and print the section."""
    parser = benchmark_parser(__doc__, repeats=1)
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="operations whose name begins with one of these words"
    )
    parser.add_argument("--rows", type=int, help="leave larger sizes out")
    parser.add_argument("--one", nargs=2, metavar=("OPERATION", "ROWS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one[0], int(options.one[1]))))
        return
    wanted = [name for name in OPERATIONS if not options.only or name.startswith(tuple(options.only))]
    with Section(HEADING, options, libraries=("numpy", "pydantic")) as section:
        section.paragraph(f"The fastest of {options.repeats}; MB are 10^6 bytes, the highest of the runs.")
        section.table("", "rows", "CPU s", "clock s", "peak MB", "microseconds a row", "exponent")
        taken: dict[tuple[str, int], float] = {}
        exponents = {name: curve(section, name, options, taken) for name in wanted}
        known = {name: exponent for name, exponent in exponents.items() if exponent is not None}
        if known:
            name = max(known, key=known.__getitem__)
            section.aim(f"exponent of the steepest ({name})", known[name], at_most=STEEPEST)
        if (again := taken.get((RESUMED, MANIFEST))) is not None:
            section.aim(f"resuming a run of {MANIFEST:,} rows, CPU s", again, at_most=5.0)


def curve(section: Section, name: str, options: argparse.Namespace, taken: dict) -> float | None:
    """One operation's rows of the table, its CPU seconds by name and rows into ``taken``.

    Returns:
        the exponent of the last ten times as many rows; None where there are no two sizes.
    """
    before, exponent = None, None
    for rows in OPERATIONS[name].sizes:
        if options.rows and rows > options.rows:
            break
        runs = [in_a_fresh_process(name, rows) for _ in range(options.repeats)]
        cpu, clock = (min(run[key] for run in runs) for key in ("cpu", "clock"))
        memory = max(run["memory"] for run in runs)
        exponent = None if before is None else math.log10(cpu / before)
        shown = "" if exponent is None else f"{exponent:.2f}"
        section.row(name, f"{rows:,}", f"{cpu:.3f}", f"{clock:.2f}", f"{memory:.1f}", f"{1e6 * cpu / rows:.0f}", shown)
        before, taken[name, rows] = cpu, cpu
    return exponent


def in_a_fresh_process(name: str, rows: int) -> dict[str, float]:
    """Seconds and MB of an operation."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", name, str(rows)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, rows: int) -> dict[str, float]:
    """The same in this process, after a run with few rows."""
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        OPERATIONS[name].begin(Path(few), FEW)()
        work = OPERATIONS[name].begin(Path(many), rows)
        with Measured() as rest:
            time.sleep(0.02)
        with Measured() as busy:
            work()
    memory = 1e3 * (busy.private - rest.private)
    return {"cpu": busy.cpu_seconds, "clock": busy.seconds, "memory": memory}


if __name__ == "__main__":
    main()
