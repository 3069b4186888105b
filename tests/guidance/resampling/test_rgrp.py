"""RGRP: each particle is the plain sampler's, the better go on, and it costs what it says."""

import itertools

import numpy as np
import pytest
import torch
from mixture import as_run, clean, normal, reward, velocity

from videoalign.backbones.flow_path import generator_of, sigmas
from videoalign.errors import GuidanceError
from videoalign.guidance.resampling.particles import Run
from videoalign.guidance.resampling.rgrp import rgrp
from videoalign.guidance.resampling.settings import RGRPSettings
from videoalign.reward.search.plan import cost


def settings(**options):
    return RGRPSettings({"VQ": 1.0}, mode="raw", **options)


def euler(x, levels):
    for level, following in itertools.pairwise(levels):
        x = x + (following - level) * velocity(x.flatten(), level).view_as(x)
    return x


def first_noise(x, row, number, spread):
    """What a particle begins with, by the formula."""
    if number == 0:
        return x
    eps = torch.randn(tuple(x.shape), generator=generator_of("particle", row, number)).double()
    return (1 - spread**2) ** 0.5 * x + spread * eps


def searched(chosen, rows=40, steps=20, seed=0):
    x, levels = normal(rows, seed), sigmas(steps).double().tolist()
    return rgrp(as_run(levels, [(row,) for row in range(rows)], chosen.at_once), x, x, chosen), x, levels


def test_a_clip_is_the_plain_samplers_of_its_particles_noise():
    outcome, x, levels = searched(settings(spread=0.5))
    for row, (particle,) in enumerate(outcome.rows):
        expected = euler(first_noise(x[row], row, particle.number, 0.5), levels)
        torch.testing.assert_close(particle.x, expected, rtol=1e-12, atol=1e-12)
    assert len({particle.number for (particle,) in outcome.rows}) == 6


@pytest.mark.parametrize("options", [{"particles": 1}, {"strength": 0.0}])
def test_one_particle_or_lambda_0_is_the_plain_sampler_bit_for_bit(options):
    outcome, x, levels = searched(settings(**options), rows=3)
    for row, sample in enumerate(outcome.samples):
        assert torch.equal(sample, euler(x[row], levels))


def test_weights_are_products_of_softmaxes_and_the_largest_wins():
    outcome, x, levels = searched(settings(strength=3.0, spread=1.0))
    for row, looks in enumerate(outcome.looks):
        weights = {number: 1.0 for number in looks[0].numbers}
        for look in looks:
            sigma, at = levels[look.step], []
            for number in look.numbers:
                stopped = euler(first_noise(x[row], row, number, 1.0), levels[: look.step + 1])
                at.append(float(reward(clean(stopped.flatten(), sigma))))
            np.testing.assert_allclose(look.rewards, at, rtol=1e-9)
            soft = np.exp(3 * np.array(at)) / np.exp(3 * np.array(at)).sum()
            weights = {number: weights[number] * own for number, own in zip(look.numbers, soft, strict=True)}
            total = sum(weights.values())
            np.testing.assert_allclose(look.weights, [weights[number] / total for number in look.numbers], rtol=1e-9)
            assert set(look.kept) <= set(look.numbers) and len(set(look.kept)) == len(look.kept)
        if looks[-1].step == 8:  # else one was left before
            assert looks[-1].kept == (max(weights, key=weights.get),)


def test_the_search_finds_clips_that_are_worth_more():
    """With a reward that sees where a particle will end, by far more than the error of the means."""
    found, x, levels = searched(settings(strength=20.0, spread=1.0), rows=60)
    gain = reward(found.samples.flatten()) - reward(torch.stack([euler(one, levels) for one in x]).flatten())
    assert float(gain.mean()) > 5 * float(gain.std()) / 60**0.5


def test_the_looks_are_latsearchs_and_shares_of_other_numbers_of_steps():
    steps = {50: (11, 16, 21), 20: (4, 6, 8), 12: (3, 4, 5), 4: (1, 2), 1: (1,)}
    assert {count: settings().look_steps(count) for count in steps} == steps
    assert settings(looks=1).look_steps(50) == (21,)


@pytest.mark.parametrize("sharp", [0.0, 1.0, 300.0])
def test_the_cost_is_counted_and_within_the_published_bounds(sharp):
    """N = 6, 50 steps: 2.10 to 3.10 runs; equal rewards leave 4.0 and 2.7 of 6 on average, which is 2.57 runs."""
    levels, rows, x = sigmas(50).tolist(), 60, normal(60).float()
    calls = {row: 0 for row in range(rows)}
    inner = as_run(levels, [(row,) for row in range(rows)], 1)

    def predict(x, sigma, of):
        for row in of:
            calls[row] += 1
        return torch.zeros_like(x)

    def total(x, sigma, of):
        return sharp * torch.sin(1e3 * x.flatten()).double().numpy()

    outcome = rgrp(Run(predict, total, levels, inner.keys), x, x, settings())
    for row, looks in enumerate(outcome.looks):
        told = [(look.step, len(look.kept)) for look in looks]
        assert calls[row] == cost(told, 6, 50)
        assert 2.10 <= calls[row] / 50 <= 3.10
    mean = np.mean(list(calls.values())) / 50
    assert 2.10 <= mean <= 2.65
    if sharp == 0:
        # One to six particles left of six: the standard deviation over rows is below 0.12 runs.
        assert mean == pytest.approx((6 * 11 + 5 * 3.99 + 5 * 2.73 + 29) / 50, abs=4.5 * 0.12 / 60**0.5)


def test_noise_over_a_latent_is_exchanged_and_the_latent_stays():
    """At sigma = 0.6 a particle is 0.4 x0 + 0.6 (its noise)."""
    x0, z = normal(1, 5), normal(1, 6)
    seen = []
    inner = as_run([0.6, 0.3, 0.0], [(0,)], 6)
    run = Run(lambda x, s, of: seen.append(x) or inner.predict(x, s, of), inner.total, inner.levels, inner.keys, 6)
    rgrp(run, 0.4 * x0 + 0.6 * z, z, settings(spread=0.3, at_once=6))
    for number, x in enumerate(seen[0]):
        torch.testing.assert_close(x, 0.4 * x0[0] + 0.6 * first_noise(z[0], 0, number, 0.3), rtol=1e-12, atol=1e-12)
        assert number == 0 or float((x - seen[0][0]).abs()) / 0.6 > 0.03


def test_a_latent_that_is_sampled_on_is_refused():
    x = normal(1)
    with pytest.raises(GuidanceError, match="Give the search the first sampler"):
        rgrp(as_run([0.5, 0.0], [(0,)], 1), x, 0 * x, settings())
