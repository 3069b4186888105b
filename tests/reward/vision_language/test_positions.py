"""Positions of text, pictures and clips: those of the version that the judges were made with (transformers 4.49 to 4.57)."""

import torch

from videoalign.reward.vision_language.positions import Grid, rope_positions


def columns(parts):
    positions, following = rope_positions(parts)
    return positions.T.tolist(), following


def test_text_counts_on_and_a_picture_has_its_place_in_its_grid():
    places, following = columns([2, Grid(1, 2, 2), 1])
    assert places == [[0, 0, 0], [1, 1, 1], [2, 2, 2], [2, 2, 3], [2, 3, 2], [2, 3, 3], [4, 4, 4]]
    assert following == 5


def test_pairs_of_frames_are_steps_apart_and_what_follows_begins_after_the_largest():
    # Four pairs at 2 positions a pair: the last is at 6, beyond the grid's width of 3; newer transformers begin at 3, on top of the clip.
    positions, following = rope_positions([Grid(4, 1, 3, step=2.0), 2])
    assert positions[0, :12].tolist() == [0] * 3 + [2] * 3 + [4] * 3 + [6] * 3
    assert positions[2, :12].tolist() == [0, 1, 2] * 4
    assert positions[:, 12:].tolist() == [[7, 8]] * 3 and following == 9


def test_a_fraction_of_a_step_is_cut_after_it_was_multiplied():
    positions, _ = rope_positions([Grid(4, 1, 1, step=1.5)])
    assert positions[0].tolist() == [0, 1, 3, 4]


def test_pictures_follow_each_other():
    positions, following = rope_positions([Grid(1, 1, 2), Grid(1, 2, 1), 0])
    assert torch.equal(positions, torch.tensor([[0, 0, 2, 2], [0, 0, 2, 3], [0, 1, 2, 2]])) and following == 4
