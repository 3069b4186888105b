"""How long a run is, and what is said before one that cannot be seen."""

import math

import pytest

from videoalign.training.loop.config import LoopConfig
from videoalign.training.loop.run_length import RunLength, concerns, run_length
from videoalign.training.loop.schedule import rate_factor, rate_sum

RATE, VISIBLE = 5e-6, 1e-3  # 200 steps


def length(rows, earlier=None, world=1, rate=RATE, **given):
    return run_length(LoopConfig(**{"warmup": 0.0, **given}), rows, rate, VISIBLE, world, earlier)


@pytest.mark.parametrize(
    ("rows", "steps", "batch"),
    [
        (1, 200, 1),
        (5, 200, 5),
        (8, 200, 8),
        (40, 200, 8),
        (1600, 200, 8),
        (4000, 250, 16),  # 4000 / 200 = 20 rows a step, as a power of two 16
        (6400, 200, 32),
        (100_000, 3125, 32),  # many data: the options' own defaults, one pass of batches of 32
    ],
)
def test_without_options_the_steps_move_the_weights_visibly_and_few_rows_get_small_batches(rows, steps, batch):
    assert length(rows) == RunLength(steps, batch, chosen=True)


def test_a_chosen_batch_can_be_shared_by_the_processes():
    assert length(40, world=3).batch_size == 9


def test_a_run_whose_length_was_chosen_has_nothing_to_be_told_whatever_its_schedule():
    for schedule in ("constant", "linear", "cosine"):
        config = LoopConfig(warmup=0.3, schedule=schedule)
        chosen = run_length(config, 40, RATE, VISIBLE)
        assert chosen.steps > 200 and concerns(config, chosen, 40, RATE, VISIBLE) == []


def test_a_higher_rate_needs_fewer_steps_and_a_tiny_one_is_not_waited_for():
    assert length(40, rate=1e-4) == RunLength(10, 8, chosen=True)
    assert length(40, rate=1e-9).steps == 1000


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_steps": 7}, RunLength(7, 32)),
        ({"epochs": 2}, RunLength(3, 32)),  # 80 rows
        ({"batch_size": 4}, RunLength(10, 4)),
        ({"batch_size": 64, "epochs": 1}, RunLength(1, 64)),
    ],
)
def test_options_that_are_given_count_as_they_always_did(given, expected):
    assert length(40, **given) == expected


@pytest.mark.parametrize(
    ("given", "rows", "world", "expected"),
    [
        ({"max_steps": 7}, 15, 1, RunLength(7, 15)),  # the default batch is 32
        ({"epochs": 4}, 15, 1, RunLength(4, 15)),
        ({"max_steps": 7}, 15, 2, RunLength(7, 16)),
        ({"max_steps": 7, "batch_size": 32}, 15, 1, RunLength(7, 32)),
    ],
)
def test_a_batch_that_nobody_gave_is_not_larger_than_the_rows_and_nothing_is_said_of_it(given, rows, world, expected):
    chosen = length(rows, world=world, **given)
    assert chosen == expected
    told = concerns(LoopConfig(warmup=0.0, **given), chosen, rows, 3e-4, VISIBLE)
    assert len(told) == ("batch_size" in given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, RunLength(12, 6)),
        ({"max_steps": 20}, RunLength(20, 6)),
        ({"epochs": 3}, RunLength(20, 6)),
        ({"batch_size": 4, "max_steps": 20}, RunLength(20, 4)),  # which the checkpoint then refuses
    ],
)
def test_what_the_options_leave_open_is_as_the_run_began(given, expected):
    assert length(40, {"steps": 12, "batch_size": 6}, **given) == expected


def test_a_run_that_moves_nothing_is_told_with_numbers_and_a_remedy_that_moves_enough():
    config = LoopConfig(batch_size=64, epochs=1, warmup=0.0)
    told = concerns(config, run_length(config, 8, RATE, VISIBLE), 8, RATE, VISIBLE)
    assert len(told) == 2
    assert "A batch of 64 is larger than the 8 rows" in told[0] and "--batch-size 8" in told[0]
    assert told[1].startswith(
        "1 step at a learning rate of 5e-06 moves a weight by at most about 5e-06: no visible effect"
    )
    assert "--batch-size 8 --max-steps 20 --optimizer.learning-rate 5e-05, or --max-steps 200." in told[1]
    for remedy in ({"batch_size": 8, "max_steps": 20}, {"batch_size": 8, "max_steps": 200}):
        rate = 5e-5 if remedy["max_steps"] == 20 else RATE
        config = LoopConfig(**remedy, warmup=0.0)
        assert concerns(config, run_length(config, 8, rate, VISIBLE), 8, rate, VISIBLE) == []


def test_a_schedule_that_falls_moves_less_and_is_reckoned_so():
    config = LoopConfig(max_steps=200, batch_size=8, schedule="linear", warmup=0.0)
    [told] = concerns(config, run_length(config, 8, RATE, VISIBLE), 8, RATE, VISIBLE)
    assert "at most about 0.0005" in told


def test_the_schedules_are_those_of_their_formulas():
    config = LoopConfig(warmup=0.2)
    assert [rate_factor(config, step, 10) for step in (0, 1, 2, 9)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    cosine = LoopConfig(warmup=0.0, schedule="cosine")
    assert rate_factor(cosine, 5, 10) == pytest.approx(0.5) and rate_factor(cosine, 0, 10) == 1
    assert rate_sum(cosine, 10) == pytest.approx(sum(0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(10)))
