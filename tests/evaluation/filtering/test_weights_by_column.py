"""How much each column counts, as it is written on a command line."""

import pytest

from videoalign.evaluation.filtering.weights_by_column import parse_weight


def test_weights():
    assert parse_weight("VQ") == ("VQ", 1.0) and parse_weight("shake = -0.5") == ("shake", -0.5)
    for text in ("", "VQ=", "VQ=0", "=1", "VQ=inf", "VQ=nan"):
        with pytest.raises(ValueError, match="is no column with a weight"):
            parse_weight(text)
