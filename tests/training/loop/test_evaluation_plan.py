"""How many evaluations a run has: counted passes, not time."""

import itertools

import pytest

from videoalign.training.loop.evaluation_plan import MOST, SHARE, EvaluationCost, evaluation_plan


@pytest.mark.parametrize(
    ("steps", "batch", "evaluation"), list(itertools.product((1, 7, 60, 100, 101, 2000), (4, 64), (8.0, 40.0, 512.0)))
)
def test_evaluations_take_a_twentieth_at_most_where_the_one_at_the_end_allows_it(steps, batch, evaluation):
    cost = EvaluationCost(8.0, evaluation, evaluation, True)
    plan = evaluation_plan(steps, batch, cost, None)
    assert 1 <= plan.times <= MOST and plan.beginning
    done = [step for step in range(1, steps + 1) if step % plan.every == 0 or step == steps]  # as the loop does
    assert len(done) == plan.times
    passes = evaluation * (1 + plan.times)
    assert passes <= SHARE * steps * batch * 8.0 or plan.times == 1


def test_as_many_are_made_as_the_twentieth_allows():
    cost = EvaluationCost(8.0, 80.0, 80.0, True)
    assert evaluation_plan(100, 8, cost, None).times == 3  # 320 of 6400 passes, 80 of them the reference's
    assert evaluation_plan(1000, 8, cost, None).times == MOST


def test_a_given_interval_is_kept_without_one_at_the_beginning():
    plan = evaluation_plan(100, 8, EvaluationCost(8.0, 512.0, 512.0, True, "of 64 pairs at 4 noise levels"), 20)
    assert (plan.every, plan.times, plan.beginning) == (20, 5, False)
    assert plan.said == (
        "Held-out evaluations: 5 (every 20 steps and at the end), of 64 pairs at 4 noise levels; 48 % of the training's passes."
    )


def test_what_is_not_counted_is_judged_after_each_tenth_and_nothing_is_said_of_nothing():
    plan = evaluation_plan(105, 8, None, None)
    assert (plan.every, plan.times, plan.said) == (10, 11, "")
    assert evaluation_plan(100, 8, EvaluationCost(8.0, 0.0), None).said == ""
