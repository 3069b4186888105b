"""How much each column counts, as it is written on a command line."""

import pytest

from videoalign.evaluation.filtering.weights_by_column import parse_weighted_column


def test_weights():
    assert parse_weighted_column("VQ") == ("VQ", 1.0) and parse_weighted_column("shake = -0.5") == ("shake", -0.5)
    for text in ("", "VQ=", "VQ=0", "=1", "VQ=inf", "VQ=nan"):
        with pytest.raises(ValueError, match="is no column with a weight"):
            parse_weighted_column(text)
