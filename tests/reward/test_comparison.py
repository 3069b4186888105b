"""Comparisons of two clips, asked in both orders."""

import pytest

from videoalign.reward.comparison import Preference, compared_both_ways, position_bias

FIRST, SECOND, NEITHER = Preference.FIRST, Preference.SECOND, Preference.NEITHER


def both(forwards, backwards):
    return compared_both_ways((forwards, ""), (backwards, ""))


@pytest.mark.parametrize(
    ("forwards", "backwards", "winner", "by_place"),
    [
        (FIRST, SECOND, FIRST, False),
        (SECOND, FIRST, SECOND, False),
        (FIRST, FIRST, NEITHER, True),
        (SECOND, SECOND, NEITHER, True),
        (NEITHER, FIRST, NEITHER, False),
        (NEITHER, NEITHER, NEITHER, False),
    ],
)
def test_a_clip_wins_where_both_orders_name_it(forwards, backwards, winner, by_place):
    pair = both(forwards, backwards)
    assert pair.winner is winner and pair.by_place is by_place


def test_position_bias_is_1_for_always_the_first_and_0_for_whoever_follows_the_clips():
    assert position_bias([both(FIRST, FIRST)] * 3) == 1
    assert position_bias([both(SECOND, SECOND)] * 3) == -1
    assert position_bias([both(FIRST, SECOND), both(SECOND, FIRST), both(NEITHER, FIRST)]) == 0
    assert position_bias([both(FIRST, FIRST), both(FIRST, SECOND)]) == 0.5
    assert position_bias([]) is None
