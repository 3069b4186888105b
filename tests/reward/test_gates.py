"""Gates as they are written on a command line."""

import pytest

from videoalign.errors import VideoAlignError
from videoalign.reward.gates import Gate, amount


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("VQ>0", Gate("VQ", ">", 0)),
        (" measures.motion >= 0.2 ", Gate("measures.motion", ">=", 0.2)),
        ("a b<=-1e-3", Gate("a b", "<=", -0.001)),
        ("dynamic==1", Gate("dynamic", "==", 1)),
        ("cuts!=0", Gate("cuts", "!=", 0)),
        ("x-y<.5", Gate("x-y", "<", 0.5)),
    ],
)
def test_a_gate_is_read_as_it_is_meant(text, gate):
    assert Gate.parse(text) == gate


@pytest.mark.parametrize("text", ["VQ", "VQ=1", ">1", "VQ>", "VQ>a", "VQ>nan", "VQ<inf", "0<VQ<1", "VQ>>1", "VQ > 1 2"])
def test_what_is_no_gate_is_refused_with_an_example(text):
    with pytest.raises(VideoAlignError, match=r"is no gate.*VQ>0"):
        Gate.parse(text)


def test_the_bound_itself_passes_only_where_it_says_so():
    assert [Gate.parse(f"a{sign}1").failure({"a": 1.0}) is None for sign in (">", ">=", "<", "<=", "==", "!=")] == [
        False, True, False, True, True, False,
    ]  # fmt: skip
    assert Gate.parse("a>1").failure({"a": 0.5}) == "a is 0.5, not > 1"
    assert Gate.parse("a>1").failure({"a": None}) == "it has no a"


def test_large_numbers_are_shown_whole():
    assert [amount(value) for value in (0.12345, 13062.4, -2.0)] == ["0.1235", "13062", "-2"]
