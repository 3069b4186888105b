"""A run: which levels are measured, what is recorded, and that nothing of another run counts."""

import itertools

import pytest
import torch

from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import RAW, GuidanceSettings
from videoalign.guidance.trace import RewardTrace

SIGMAS = [1.0, 0.9, 0.8, 0.6, 0.4, 0.2, 0.0]


class Counting:
    """A reward that counts its calls."""

    def __init__(self, reward):
        self.reward, self.calls = reward, []

    def __call__(self, x_t, sigma, conditioning):
        self.calls.append(round(float(sigma[0]), 4))
        return self.reward(x_t, sigma, conditioning)


def guided(reward, **settings):
    return FlowNRG(reward, GuidanceSettings({"VQ": 1.0}, 5.0, RAW, cap=None, **settings))


def euler(guidance, x, conditioning, sigmas, heun=False, listener=None):
    """One sampler over a schedule: (its last x, its run); heun evaluates again at the end of each step."""
    run = guidance.begin(sigmas, listener)
    for sigma, following in itertools.pairwise(sigmas):
        v = run.shift_velocity(x, torch.full((len(x),), sigma), torch.sin(x), conditioning)
        ahead = x + (following - sigma) * v
        if heun and following > 0:
            after = run.shift_velocity(ahead, torch.full((len(x),), following), torch.sin(ahead), conditioning)
            ahead = x + (following - sigma) * (v + after) / 2
        x = ahead
    return x, run


def test_two_samplers_in_a_row_equal_one_run(reward, drawn):
    x, _, conditioning = drawn
    guidance = guided(reward)
    expected, whole = euler(guidance, x, conditioning, SIGMAS)
    between, first = euler(guidance, x, conditioning, SIGMAS[:4])
    last, second = euler(guidance, between, conditioning, SIGMAS[3:])
    assert torch.equal(last, expected)
    assert first.trace.points[0].sigma == whole.trace.points[0].sigma
    assert [point.sigma for run in (first, second) for point in run.trace.points] == [
        point.sigma for point in whole.trace.points
    ]


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("before", [[], [SIGMAS], [SIGMAS[:4]], [SIGMAS[:3], SIGMAS[4:]]])
def test_a_run_depends_on_nothing_that_was_sampled_before(reward, drawn, every, before):
    x, _, conditioning = drawn
    expected, _ = euler(guided(reward, every=every), x, conditioning, SIGMAS[3:])
    guidance = guided(reward, every=every)
    for sigmas in before:
        euler(guidance, x + 1, conditioning, sigmas)
    assert torch.equal(euler(guidance, x, conditioning, SIGMAS[3:])[0], expected)


def test_two_runs_at_the_same_time_do_not_touch_each_other(reward, drawn):
    x, v, conditioning = drawn
    guidance = guided(reward, every=2)
    one, other = guidance.begin(), guidance.begin()
    level = torch.full((2,), 0.9)
    first = one.shift_velocity(x, level, v, conditioning)
    assert torch.equal(other.shift_velocity(x, level, v, conditioning), first)
    assert len(one.trace.points) == len(other.trace.points) == 1


def test_the_gradient_is_measured_at_every_nth_level_and_reused_between(reward, drawn):
    x, _, conditioning = drawn
    counting = Counting(reward)
    _, run = euler(guided(counting, every=2), x, conditioning, SIGMAS)
    assert counting.calls == [0.9, 0.6, 0.2]
    assert [point.reused for point in run.trace.points] == [False, True, False, True, False]
    assert [point.samples is None for point in run.trace.points] == [False, True, False, True, False]


def test_a_reused_gradient_gets_the_factor_of_its_own_level(reward, drawn):
    x, v, conditioning = drawn
    guidance = guided(reward, every=2).begin()
    first = guidance.shift_velocity(x, torch.full((2,), 0.9), v, conditioning) - v
    second = guidance.shift_velocity(x + 1, torch.full((2,), 0.5), v, conditioning) - v
    torch.testing.assert_close(second, first / 9, rtol=1e-4, atol=1e-6)


def test_levels_are_told_apart_by_sigma_not_by_the_number_of_calls(reward, drawn):
    x, _, conditioning = drawn
    counting = Counting(reward)
    euler(guided(counting, every=2), x, conditioning, SIGMAS, heun=True)
    # Heun comes twice to each level; 0.8 and 0.4 are the ones between.
    assert sorted(set(counting.calls), reverse=True) == [0.9, 0.6, 0.2]


def test_the_trace_tells_each_point_as_it_comes_with_its_place_in_the_schedule(reward, drawn):
    x, _, conditioning = drawn
    told = []
    euler(guided(reward), x, conditioning, SIGMAS[:4], listener=lambda place, point: told.append((place, point)))
    assert [place for place, _ in told] == [0, 1]
    assert [point.sigma for _, point in told] == pytest.approx([0.9, 0.8])
    assert [point.step for _, point in told] == pytest.approx([1, 2])


@pytest.mark.parametrize(
    ("sigma", "step"), [(1.0, 0), (0.95, 0.5), (0.9, 1), (0.5, 3.5), (0.2, 5), (0.05, 5.75), (0.0, 6), (1.2, 0)]
)
def test_a_noise_level_has_a_place_between_the_steps(sigma, step):
    assert RewardTrace(tuple(SIGMAS)).step_of(sigma) == pytest.approx(step)


def test_without_a_schedule_no_place_is_claimed(reward, drawn):
    x, v, conditioning = drawn
    run = guided(reward).begin()
    run.shift_velocity(x, torch.full((2,), 0.5), v, conditioning)
    assert run.trace.points[0].step is None


def test_the_recorded_rewards_are_those_of_the_latents_that_were_seen(reward, drawn):
    x, v, conditioning = drawn
    run = guided(reward).begin()
    guided_v = run.shift_velocity(x, torch.full((2,), 0.5), v, conditioning)
    (point,) = run.trace.to_dict()["points"]
    expected = reward(x, torch.full((2,), 0.5), conditioning)
    assert torch.tensor(point["samples"]) == pytest.approx(expected.numpy(), abs=1e-6)
    assert [point[name] for name in ("VQ", "MQ", "TA")] == pytest.approx(expected.mean(0).tolist(), abs=1e-6)
    ratio = (guided_v - v).flatten(1).norm(dim=1) / v.flatten(1).norm(dim=1)
    assert point["shift_ratio"] == pytest.approx(float(ratio.mean()), rel=1e-4)
    assert point["seconds"] > 0 and run.trace.seconds == point["seconds"]
