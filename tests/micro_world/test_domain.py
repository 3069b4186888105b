"""Clips that a reward of the micro world does not know are called so."""

import pytest

from videoalign.micro_world.domain import OUTSIDE, outside_note

CAPTION = "one red circle moves left over a plain grey ground"


@pytest.mark.parametrize("caption", [None, CAPTION])
def test_a_clip_of_the_world_is_not_remarked_on(caption):
    assert outside_note((64, 64), 8.0, caption) is None


@pytest.mark.parametrize(
    ("size", "fps", "caption"),
    [((64, 112), 8.0, None), ((64, 64), 24.0, None), ((64, 64), 8.0, "a red fox trots through snow"), ((128, 128), 8.0, CAPTION)],
)  # fmt: skip
def test_any_other_clip_or_caption_is(size, fps, caption):
    assert outside_note(size, fps, caption) == OUTSIDE
