"""The order of the data: reproducible, complete, and resumable from any step."""

import itertools

import pytest

from videoalign.training.loop.order import BatchOrder


def test_every_row_comes_once_in_each_pass():
    order = BatchOrder(10, 5, seed=1)
    for epoch in range(3):
        assert sorted(order.batch(2 * epoch) + order.batch(2 * epoch + 1)) == list(range(10))


def test_a_step_is_the_same_whatever_was_asked_before():
    forwards = [BatchOrder(7, 3, seed=4).batch(step) for step in range(12)]
    order = BatchOrder(7, 3, seed=4)
    backwards = [order.batch(step) for step in reversed(range(12))][::-1]
    assert forwards == backwards


def test_passes_and_seeds_differ_and_a_batch_may_be_larger_than_the_data():
    order = BatchOrder(50, 50, seed=1)
    assert order.batch(0) != order.batch(1)
    assert order.batch(0) != BatchOrder(50, 50, seed=2).batch(0)
    assert len(BatchOrder(2, 5, seed=0).batch(0)) == 5


def test_rows_of_a_group_stay_neighbours():
    groups = ["a", "b", "a", "c", "b", "a"]
    rows = BatchOrder(6, 6, seed=3, groups=groups).batch(0)
    names = [groups[row] for row in rows]
    runs = 1 + sum(first != second for first, second in itertools.pairwise(names))
    assert runs == 3


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        BatchOrder(0, 4, seed=0)
