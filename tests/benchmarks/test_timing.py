"""Timing: everything in turn, and what the numbers are."""

import time

from timing import COLUMNS, Stopwatch, Times, interleaved


def test_everything_runs_in_turn_and_the_warm_up_does_not_count():
    order = []
    times = interleaved(2, {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, warm_up=1)
    assert "".join(order) == "ababab"
    assert {name: len(taken.runs) for name, taken in times.items()} == {"a": 2, "b": 2}


def test_cells_are_fastest_median_and_slowest_of_the_processor_and_of_the_clock():
    times = Times([(3.0, 0.3), (1.0, 0.5), (10.0, 0.1)])
    assert times.cells(digits=1) == ["0.1", "0.3", "0.5", "1.0", "3.0", "10.0"]
    assert len(COLUMNS) == 6
    assert Times([(2.0, 1.0)]).ratio(times) == (10.0, 2.0)


def test_waiting_takes_time_by_the_clock_and_little_of_the_processor():
    watch = Stopwatch()
    assert watch.run("sleep", lambda: watch.run("within", time.sleep, 0.05) or "result") == "result"
    taken = watch.times["sleep"]
    assert taken.clock.fastest >= watch.times["within"].clock.fastest >= 0.05
    assert taken.cpu.fastest < 0.05
