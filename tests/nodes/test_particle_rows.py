"""How particles of some rows are laid out in whole batches."""

import pytest

from videoalign.nodes.particle_rows import whole_batches


@pytest.mark.parametrize(
    ("rows", "batch", "source", "places"),
    [
        ([0], 1, [0], [0]),
        ([0, 0, 0], 1, [0, 1, 2], [0, 1, 2]),
        ([0, 1, 0, 1], 2, [0, 1, 2, 3], [0, 1, 2, 3]),
        ([1], 2, [0, 0], [1]),
        ([0, 2, 2], 3, [0, 0, 1, 0, 0, 2], [0, 2, 5]),
    ],
)
def test_each_latent_stands_in_its_rows_place_and_gaps_are_filled(rows, batch, source, places):
    assert whole_batches(rows, batch) == (source, places)
    assert [place % batch for place in places] == rows
    assert [source[place] for place in places] == list(range(len(rows)))
