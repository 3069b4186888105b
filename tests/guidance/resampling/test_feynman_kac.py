"""Feynman-Kac steering: the weighted particles are the tilted density; where the reward decides nothing they are the plain sampler's."""

import itertools

import numpy as np
import pytest
import torch
from mixture import FUNCTIONS, STRENGTH, as_run, chain_ends, expectations, normal, true_ends, velocity

from videoalign.backbones.flow_path import generator_of, sigmas
from videoalign.guidance.resampling.draws import effective_size
from videoalign.guidance.resampling.feynman_kac import Ways, feynman_kac
from videoalign.guidance.resampling.settings import (
    ALWAYS,
    DIFFERENCE,
    DRAWN,
    MAXIMUM,
    POTENTIALS,
    SUM,
    WHEN_FEW,
    FeynmanKacSettings,
)
from videoalign.guidance.resampling.stochastic import stochastic_step

ROWS, PARTICLES, STEPS = 24, 200, 12
SIGMAS = 4.5
"""Standard errors that a right estimate may be off: of the 6 x 4 that are looked at one in 6000 runs is further off by chance."""


def settings(**options):
    chosen = {"strength": STRENGTH, "particles": PARTICLES, "at_once": PARTICLES, "looks": 4, **options}
    return FeynmanKacSettings({"VQ": 1.0}, mode="raw", **chosen)


def levels(steps):
    return tuple(sigmas(steps).double().tolist())


def sampled(chosen, steps=STEPS, rows=ROWS, **about):
    x = normal(rows)
    return feynman_kac(as_run(levels(steps), [(row,) for row in range(rows)], chosen.at_once, **about), x, x, chosen)


def estimates(outcome, weights=None):
    """(mean, standard error) of each function over the rows, which are independent."""
    found = {name: [] for name in FUNCTIONS}
    for row, own in zip(outcome.rows, outcome.weights if weights is None else weights, strict=True):
        x0 = torch.stack([particle.x for particle in row]).flatten()
        for name, of in FUNCTIONS.items():
            found[name].append(float((torch.from_numpy(own) * of(x0)).sum()))
    return {name: (np.mean(values), np.std(values, ddof=1) / len(values) ** 0.5) for name, values in found.items()}


def off(found, expected):
    """The largest error, in standard errors."""
    return max(abs(found[name][0] - value) / found[name][1] for name, value in expected.items())


@pytest.mark.parametrize("resampling", [WHEN_FEW, ALWAYS])
@pytest.mark.parametrize("potential", POTENTIALS)
def test_the_weighted_particles_are_the_density_that_is_tilted_by_the_reward(potential, resampling):
    """Against the sampler's own density by quadrature, tilted: the steps are few, and no error of theirs is in the comparison."""
    outcome = sampled(settings(potential=potential, resampling=resampling))
    expected = expectations(*chain_ends(levels(STEPS), 1.0), STRENGTH)
    assert off(estimates(outcome), expected) < SIGMAS
    assert off(estimates(outcome), expectations(*chain_ends(levels(STEPS), 1.0), 0.0)) > 1.5 * SIGMAS
    drawn_anew = sum(len(set(look.kept)) < PARTICLES for row in outcome.looks for look in row[:-1])
    assert drawn_anew == 3 * ROWS if resampling == ALWAYS else drawn_anew < 3 * ROWS


@pytest.mark.parametrize(("potential", "resampling"), [(MAXIMUM, WHEN_FEW), (SUM, ALWAYS)])
def test_without_the_terminal_correction_it_is_another_density(potential, resampling, monkeypatch):
    plain = Ways.weigh
    monkeypatch.setattr(Ways, "weigh", lambda self, seen, chosen, at_end: plain(self, seen, chosen, False))
    outcome = sampled(settings(potential=potential, resampling=resampling))
    assert off(estimates(outcome), expectations(*chain_ends(levels(STEPS), 1.0), STRENGTH)) > 2 * SIGMAS


def test_with_many_steps_it_is_the_mixture_itself_that_is_tilted():
    """The sampler's density nears the mixture at first order, told by quadrature; the particles follow it."""
    true = expectations(*true_ends(), STRENGTH)
    gaps = {
        steps: max(
            abs(value - true[name]) for name, value in expectations(*chain_ends(levels(steps), 1.0), STRENGTH).items()
        )
        for steps in (30, 60)
    }
    assert gaps[60] < 0.1 and gaps[60] / gaps[30] == pytest.approx(0.5, abs=0.1)
    found = estimates(sampled(settings(particles=100, at_once=100, potential=SUM), steps=60, rows=20))
    assert all(abs(found[name][0] - value) < SIGMAS * found[name][1] + gaps[60] for name, value in true.items())
    assert off(found, expectations(*true_ends(), 0.0)) > 1.5 * SIGMAS


def test_a_drawn_clip_is_a_sample_of_the_tilted_density():
    outcome = sampled(settings(particles=32, at_once=32, pick=DRAWN), rows=250)
    chosen = [np.eye(32)[index] for index in outcome.chosen]
    tilted = expectations(*chain_ends(levels(STEPS), 1.0), STRENGTH)
    assert off(estimates(outcome, chosen), tilted) < SIGMAS
    best = sampled(settings(particles=32, at_once=32), rows=20)
    for row, index, look in zip(best.rows, best.chosen, best.looks, strict=True):
        assert look[-1].rewards[index] == max(look[-1].rewards) and len(row) == 32


def plain_sampler(x, steps, key, place, eta=1.0):
    """One particle by the formula, without the package's loop."""
    stream = generator_of("noise", *key, place)
    for level, following in itertools.pairwise(levels(steps)):
        own = torch.randn(tuple(x.shape), generator=stream).to(x)
        x = stochastic_step(x, velocity(x.flatten(), level).view_as(x), level, following, eta, own)
    return x


@pytest.mark.parametrize("resampling", [WHEN_FEW, ALWAYS])
@pytest.mark.parametrize("potential", POTENTIALS)
def test_a_reward_that_tells_nothing_leaves_every_particle_the_plain_samplers(potential, resampling):
    chosen = settings(particles=6, at_once=2, potential=potential, resampling=resampling)
    outcome = sampled(chosen, rows=3, plain=lambda x0: 0 * x0 + 0.7)
    x = normal(3)
    for row, particles in enumerate(outcome.rows):
        assert torch.equal(particles[0].x, plain_sampler(x[row], STEPS, (row,), 0))
        for place, particle in enumerate(particles[1:], 1):
            eps = torch.randn(1, 1, 1, 1, generator=generator_of("particle", row, place)).double()
            expected = plain_sampler(eps, STEPS, (row,), place)
            torch.testing.assert_close(particle.x, expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(outcome.weights[row], 1 / 6, rtol=1e-12)


def test_lambda_0_is_the_plain_stochastic_sampler_bit_for_bit():
    outcome = sampled(settings(strength=0.0, particles=6, at_once=1), rows=3)
    x = normal(3)
    for row, sample in enumerate(outcome.samples):
        assert torch.equal(sample, plain_sampler(x[row], STEPS, (row,), 0))
    assert all(len(row) == 1 for row in outcome.rows) and outcome.looks == [[], [], []]


def test_rows_are_searches_of_their_own_and_groups_change_nothing():
    whole = sampled(settings(particles=6, at_once=6), rows=3)
    single = sampled(settings(particles=6, at_once=1), rows=3)
    torch.testing.assert_close(whole.samples, single.samples, rtol=1e-12, atol=1e-12)
    x = normal(3)[1:2]
    alone = feynman_kac(as_run(levels(STEPS), [(1,)], 6), x, x, settings(particles=6, at_once=6))
    torch.testing.assert_close(alone.samples[0], whole.samples[1], rtol=1e-12, atol=1e-12)


def test_a_latent_that_is_sampled_on_has_particles_that_part_by_the_samplers_noise():
    x = normal(2)
    half = levels(STEPS)[6:]
    outcome = feynman_kac(as_run(half, [(0,), (1,)], 4), 0.5 * x, 0 * x, settings(particles=4, at_once=4))
    for row in outcome.rows:
        assert len({float(particle.x) for particle in row}) == 4


def test_potentials_by_hand():
    """Rewards 1, 3, 2 at three looks and lambda = 1/2; a copy takes its way's past along."""
    seen = [np.array([1.0, 0.0]), np.array([3.0, 0.0]), np.array([2.0, 0.0])]
    expected = {DIFFERENCE: [0.5, 1.0, -0.5], MAXIMUM: [0.5, 1.5, -1.0], SUM: [0.5, 2.0, -1.5]}
    for potential, gains in expected.items():
        ways = Ways.of(2)
        for place, rewards in enumerate(seen):
            ways = ways.drawn(np.array([0, 0])) if place == 2 else ways
            before = ways.log_weights
            ways.weigh(
                np.full(2, 2.0) if place == 2 else rewards, settings(strength=0.5, potential=potential), place == 2
            )
            assert (ways.log_weights - before)[0] == pytest.approx(gains[place])
        assert ways.log_weights[0] == ways.log_weights[1]


def test_resampling_begins_below_half_the_effective_size():
    assert effective_size(np.array([0.25, 0.25, 0.25, 0.25])) == 4
    assert effective_size(np.array([1.0, 0, 0, 0])) == 1
    outcome = sampled(settings(strength=6.0, particles=16, at_once=16, looks=6), rows=10)
    anew = [
        (effective_size(np.array(look.weights)) < 8, look.kept != look.numbers)
        for row in outcome.looks
        for look in row[:-1]
    ]
    assert {few for few, _ in anew} == {True, False}
    assert all(few or not drawn for few, drawn in anew)
    assert sum(drawn for few, drawn in anew if few) >= 0.9 * sum(few for few, _ in anew)
