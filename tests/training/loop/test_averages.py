"""Means of numbers that only some rows have."""

import pytest

from videoalign.training.loop.averages import Averages


def test_a_mean_weighs_micro_batches_by_their_rows_and_rare_numbers_by_their_own():
    averages = Averages()
    averages.add({"loss": 1.0, "rare": (10.0, 1.0)}, 3)
    averages.add({"loss": 5.0, "rare": (0.0, 0.0)}, 1)
    averages.add({"loss": 5.0, "rare": (4.0, 2.0)}, 1)
    assert averages.means() == pytest.approx({"loss": (3 + 5 + 5) / 5, "rare": 6.0})


def test_merging_two_processes_gives_the_mean_over_all_rows():
    rows = [0.5, 2.0, 3.5, 7.0, 1.0]
    parts = [Averages(), Averages()]
    for place, value in enumerate(rows):
        parts[place % 2].add({"loss": value}, 1)
    whole = Averages()
    for part in parts:
        whole.merge(part)
    assert whole.means()["loss"] == pytest.approx(sum(rows) / len(rows))
    assert Averages().means() == {}
