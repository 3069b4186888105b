import pytest

from videoalign.reward.differences import difference, rate_row, signed, verdict_line
from videoalign.reward.dimensions import SIGMA
from videoalign.reward.judge import Dimension
from videoalign.reward.win_rates import win_rate

VQ = Dimension("VQ", "visual quality", SIGMA)
NOISE = Dimension("Noise", "noise", "levels", 0.0, 4.0, higher_is_better=False)


def test_numbers_have_a_sign_and_nothing_has_none():
    assert [signed(one) for one in (0.294, -1.0, 0.004, -0.004)] == ["+0.29", "\N{MINUS SIGN}1.00", "0.00", "0.00"]


def test_a_difference_that_is_not_seen_has_no_colour():
    found = difference(VQ, 0.8301, 0.8344)
    assert (found["base"], found["candidate"], found["text"]) == ("+0.83", "+0.83", f"0.00 {SIGMA}")
    assert (found["kind"], found["gain"], found["bar"]) == ("", 0.0, 0.0)
    assert difference(VQ, 0.83, 0.84)["kind"] == "better"


def test_less_of_what_is_bad_is_better():
    found = difference(NOISE, 3.0, 1.0)
    assert (found["text"], found["gain"], found["kind"], found["bar"]) == ("\N{MINUS SIGN}2.00", 2.0, "better", 0.5)


def test_a_mark_that_is_not_there_makes_no_difference():
    found = difference(VQ, None, 1.0)
    assert (found["base"], found["candidate"], found["gain"], found["kind"]) == ("\N{EN DASH}", "+1.00", None, "")


@pytest.mark.parametrize(
    ("leads", "said"),
    [
        (
            [1, 1, 1, -1],
            "won 3 of 4 pairs by visual quality, mean difference +0.50 \u03c3: too few to tell, it takes 6 pairs",
        ),
        ([1] * 8, "won 8 of 8 pairs by visual quality, mean difference +1.00 \u03c3: after is better (95 % interval"),
        ([-1] * 8, "won 0 of 8 pairs by visual quality, mean difference \u22121.00 \u03c3: after is worse"),
        ([0] * 8, "won 0 of 8 pairs (8 equal) by visual quality, mean difference 0.00 \u03c3: about equal"),
    ],
)
def test_the_verdict_in_words(leads, said):
    rate = win_rate([0.0] * len(leads), leads, range(len(leads)))
    assert f"after {said}" in verdict_line(("before", "after"), [VQ, NOISE], {"VQ": rate})
    row = rate_row(VQ, rate)
    assert bool(row["interval"]) == (len(leads) >= 6) and row["verdict"] == rate.in_words


def test_nothing_rated_is_no_verdict():
    assert verdict_line(("a", "b"), [VQ], {}) == ""
