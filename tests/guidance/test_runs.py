"""State over a run: which levels are measured, what continues, what is recorded."""

import itertools

import pytest
import torch

from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import RAW, GuidanceSettings

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


def euler(guidance, x, conditioning, sigmas, heun=False):
    """One sampler over a schedule; heun evaluates again at the end of each step."""
    guidance.start_run(sigmas)
    for sigma, following in itertools.pairwise(sigmas):
        v = guidance.shift_velocity(x, torch.full((len(x),), sigma), torch.sin(x), conditioning)
        ahead = x + (following - sigma) * v
        if heun and following > 0:
            after = guidance.shift_velocity(ahead, torch.full((len(x),), following), torch.sin(ahead), conditioning)
            ahead = x + (following - sigma) * (v + after) / 2
        x = ahead
    guidance.end_run(sigmas)
    return x


@pytest.mark.parametrize("every", [1, 2, 3])
def test_two_samplers_in_a_row_equal_one_run(reward, drawn, every):
    x, _, conditioning = drawn
    whole, halves = (guided(reward, every=every) for _ in range(2))
    expected = euler(whole, x, conditioning, SIGMAS)
    between = euler(halves, x, conditioning, SIGMAS[:4])
    assert torch.equal(euler(halves, between, conditioning, SIGMAS[3:]), expected)
    assert halves.trace.run == 1
    assert [point.sigma for point in halves.trace.points] == [point.sigma for point in whole.trace.points]


def test_a_new_run_begins_where_the_last_one_cannot_go_on(reward, drawn):
    x, _, conditioning = drawn
    guidance = guided(reward)
    for expected_run, sigmas in enumerate([SIGMAS, SIGMAS, [0.6, 0.4, 0.0], [0.9, 0.5], [0.8, 0.3]], start=1):
        euler(guidance, x, conditioning, sigmas)
        assert guidance.trace.run == expected_run
        assert len(guidance.trace.points) == len(sigmas) - 1 - (sigmas[0] == 1)
    guidance.start_run([0.3, 0.1])  # interrupted: end_run is not called
    assert guidance.start_run([0.1, 0.0])


def test_the_gradient_is_measured_at_every_nth_level_and_reused_between(reward, drawn):
    x, _, conditioning = drawn
    counting = Counting(reward)
    guidance = guided(counting, every=2)
    euler(guidance, x, conditioning, SIGMAS)
    assert counting.calls == [0.9, 0.6, 0.2]
    assert [point.reused for point in guidance.trace.points] == [False, True, False, True, False]
    assert [point.samples is None for point in guidance.trace.points] == [False, True, False, True, False]


def test_a_reused_gradient_gets_the_factor_of_its_own_level(reward, drawn):
    x, v, conditioning = drawn
    guidance = guided(reward, every=2)
    first = guidance.shift_velocity(x, torch.full((2,), 0.9), v, conditioning) - v
    second = guidance.shift_velocity(x + 1, torch.full((2,), 0.5), v, conditioning) - v
    torch.testing.assert_close(second, first / 9, rtol=1e-4, atol=1e-6)


def test_levels_are_told_apart_by_sigma_not_by_the_number_of_calls(reward, drawn):
    x, _, conditioning = drawn
    counting = Counting(reward)
    euler(guided(counting, every=2), x, conditioning, SIGMAS, heun=True)
    # Heun comes twice to each level; 0.8 and 0.4 are the ones between.
    assert sorted(set(counting.calls), reverse=True) == [0.9, 0.6, 0.2]


def test_the_trace_tells_each_point_as_it_comes(reward, drawn):
    x, _, conditioning = drawn
    guidance, told = guided(reward), []
    guidance.trace.listener = lambda run, place, point: told.append((run, place, point and point.sigma))
    euler(guidance, x, conditioning, SIGMAS[:4])
    assert [entry[:2] for entry in told] == [(1, -1), (1, 0), (1, 1)]
    assert [entry[2] for entry in told[1:]] == pytest.approx([0.9, 0.8])


def test_the_recorded_rewards_are_those_of_the_latents_that_were_seen(reward, drawn):
    x, v, conditioning = drawn
    guidance = guided(reward)
    guidance.start_run()
    guided_v = guidance.shift_velocity(x, torch.full((2,), 0.5), v, conditioning)
    (point,) = guidance.trace.to_dict()["points"]
    expected = reward(x, torch.full((2,), 0.5), conditioning)
    assert torch.tensor(point["samples"]) == pytest.approx(expected.numpy(), abs=1e-6)
    assert [point[name] for name in ("VQ", "MQ", "TA")] == pytest.approx(expected.mean(0).tolist(), abs=1e-6)
    ratio = (guided_v - v).flatten(1).norm(dim=1) / v.flatten(1).norm(dim=1)
    assert point["shift_ratio"] == pytest.approx(float(ratio.mean()), rel=1e-4)
    assert point["seconds"] > 0 and guidance.trace.seconds == point["seconds"]
