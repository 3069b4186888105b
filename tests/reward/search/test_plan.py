"""Plans of a search over seeds, and what they cost, against a count of every step by itself."""

import itertools

import pytest

from videoalign.errors import VideoAlignError
from videoalign.reward.search.plan import affordable, checked_looks, cost, replayed_cost, schedule


def counted(plan, seeds, steps, replay):
    """Every step that is done, one by one."""
    done, alive, total = dict.fromkeys(range(seeds), 0), list(range(seeds)), 0
    for until, kept in [*plan, (steps, 0)]:
        for take in alive:
            if replay and done[take] < until:
                done[take] = 0
            while done[take] < until:
                done[take] += 1
                total += 1
        alive = alive[:kept]
    return total


def test_the_field_shrinks_by_the_same_share():
    assert schedule([4], 8, 1) == [(4, 1)]
    assert schedule([2, 4, 8], 8, 1) == [(2, 4), (4, 2), (8, 1)]
    assert schedule([2, 4], 8, 8) == [(2, 8), (4, 8)]


def test_costs_are_the_steps_that_are_done():
    assert cost([(5, 1)], 8, 50) == 85 and replayed_cost([(5, 1)], 8, 50) == 90  # 1.7 and 1.8 runs
    for looks, seeds, keep in itertools.product(([1], [3, 6], [2, 4, 8], [8]), (1, 5, 8), (1, 2)):
        plan = schedule(looks, seeds, min(keep, seeds))
        assert cost(plan, seeds, 8) == counted(plan, seeds, 8, replay=False)
        assert replayed_cost(plan, seeds, 8) == counted(plan, seeds, 8, replay=True)


def test_a_second_order_sampler_costs_what_its_steps_cost():
    heun = lambda step: 2 * (step - 1) + 1  # noqa: E731 - stopped when the first of a step's two evaluations is known
    assert replayed_cost([(3, 2)], 5, 8, heun) == 5 * 5 + 2 * 15
    assert replayed_cost([(8, 2)], 5, 8, heun) == 5 * 15


def test_a_budget_drafts_as_many_seeds_as_it_allows():
    work = lambda plan, seeds: cost(plan, seeds, 50)  # noqa: E731
    assert affordable([5], 8, 1, None, work, "") == 8
    assert affordable([5], 8, 1, 70, work, "") == 5  # 25 + 45
    with pytest.raises(VideoAlignError, match="too little"):
        affordable([5], 8, 1, 49, work, "too little")


def test_looks_are_ascending_steps_of_the_clip_a_quarter_by_default():
    assert checked_looks([], 30) == [8] and checked_looks([], 2) == [1] and checked_looks([6, 2, 6], 30) == [2, 6]
    with pytest.raises(VideoAlignError, match="look_after 9: the clips are sampled in 4 steps"):
        checked_looks([9], 4, "look_after")
    with pytest.raises(VideoAlignError, match="--look"):
        checked_looks([-1], 4)
