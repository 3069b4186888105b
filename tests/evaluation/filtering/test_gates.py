"""Gates and weights as they are written on a command line."""

import pytest

from videoalign.evaluation.filtering.gates import Gate, amount, parse_gate, parse_weight


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
    assert parse_gate(text) == gate


@pytest.mark.parametrize("text", ["VQ", "VQ=1", ">1", "VQ>", "VQ>a", "VQ>nan", "VQ<inf", "0<VQ<1", "VQ>>1", "VQ > 1 2"])
def test_what_is_no_gate_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"is no gate.*--keep"):
        parse_gate(text)


def test_the_bound_itself_passes_only_where_it_says_so():
    assert [parse_gate(f"a{sign}1").failure(1.0) is None for sign in (">", ">=", "<", "<=", "==", "!=")] == [
        False, True, False, True, True, False,
    ]  # fmt: skip
    assert parse_gate("a>1").failure(0.5) == "a is 0.5, not > 1"
    assert parse_gate("a>1").failure(None) == "it has no a"


def test_weights():
    assert parse_weight("VQ") == ("VQ", 1.0) and parse_weight("shake = -0.5") == ("shake", -0.5)
    for text in ("", "VQ=", "VQ=0", "=1", "VQ=inf", "VQ=nan"):
        with pytest.raises(ValueError, match="is no column with a weight"):
            parse_weight(text)


def test_large_numbers_are_shown_whole():
    assert [amount(value) for value in (0.12345, 13062.4, -2.0)] == ["0.1235", "13062", "-2"]
