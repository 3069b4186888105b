"""Clips that a reward of the micro world does not know are called so."""

import pytest

from videoalign.micro_world.domain import OUTSIDE, OUTSIDE_CAPTION, outside_note, unknown_captions_note
from videoalign.micro_world.scene import EXAMPLE

CAPTION = "one red circle moves left over a plain grey ground"


@pytest.mark.parametrize("caption", [None, CAPTION])
def test_a_clip_of_the_world_is_not_remarked_on(caption):
    assert outside_note((64, 64), 8.0, caption) is None


@pytest.mark.parametrize(
    ("size", "fps", "caption"),
    [((64, 112), 8.0, None), ((64, 64), 24.0, None), ((128, 128), 8.0, CAPTION)],
)
def test_any_other_clip_is(size, fps, caption):
    assert outside_note(size, fps, caption) == OUTSIDE


@pytest.mark.parametrize("caption", ["a red fox trots through snow", CAPTION.replace("one", "a"), CAPTION.capitalize()])
def test_a_caption_of_another_form_is_told_with_one_that_is_known(caption):
    assert outside_note((64, 64), 8.0, caption) == OUTSIDE_CAPTION
    assert outside_note((64, 64), 8.0, EXAMPLE) is None and EXAMPLE in OUTSIDE_CAPTION
    assert outside_note((128, 64), 8.0, caption) == OUTSIDE


def test_prompts_of_another_form_are_counted_before_they_are_drawn():
    assert unknown_captions_note([CAPTION, EXAMPLE]) is None and unknown_captions_note([]) is None
    note = unknown_captions_note([CAPTION, "red circle", "red circle", "a circle moves left", EXAMPLE])
    assert note.startswith("2 of 4 prompts") and "'red circle'" in note and repr(EXAMPLE) in note
