"""Who goes on: as often as the weights say, and the same for the same seed."""

import numpy as np
import pytest

from videoalign.backbones.flow_path import generator_of
from videoalign.guidance.resampling.draws import effective_size, one, softmax, systematic, with_replacement

WEIGHTS = np.array([0.1, 0.45, 0.05, 0.4])


def test_weights_of_large_logarithms():
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0 - np.log(3)])), [0.75, 0.25])


def test_systematic_draws_give_every_index_its_share_up_to_one():
    drawn = [systematic(WEIGHTS, generator_of("a", seed)) for seed in range(4000)]
    counts = np.stack([np.bincount(indices, minlength=4) for indices in drawn])
    assert np.abs(counts - 4 * WEIGHTS).max() < 1
    # A count is one of two neighbouring numbers: its variance is at most 1/4.
    np.testing.assert_allclose(counts.mean(0), 4 * WEIGHTS, atol=4.5 * 0.5 / 4000**0.5)


def test_draws_with_replacement_are_multinomial():
    drawn = np.concatenate([with_replacement(WEIGHTS, generator_of("b", seed)) for seed in range(4000)])
    shares = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, WEIGHTS, atol=4.5 * 0.5 / len(drawn) ** 0.5)
    singles = np.bincount([one(WEIGHTS, generator_of("c", seed)) for seed in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(singles, WEIGHTS, atol=4.5 * 0.5 / 4000**0.5)


@pytest.mark.parametrize("count", [1, 3, 6, 7, 1000])
def test_equal_weights_draw_each_once(count):
    assert systematic(np.full(count, 1 / count), generator_of("d", count)).tolist() == list(range(count))


def test_a_seed_draws_the_same_again():
    for draw in (systematic, with_replacement):
        assert draw(WEIGHTS, generator_of("e")).tolist() == draw(WEIGHTS, generator_of("e")).tolist()
    assert effective_size(WEIGHTS) == pytest.approx(1 / 0.375)
