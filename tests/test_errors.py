"""What is said first when cleaning up fails too."""

import pytest

from videoalign.errors import VideoAlignError, afterwards


def fail(text):
    raise OSError(text)


def test_the_cause_is_raised_and_the_cleanups_complaint_is_a_note_of_it():
    with pytest.raises(VideoAlignError, match="the cause") as caught, afterwards(lambda: fail("the page")):
        raise VideoAlignError("the cause")
    assert caught.value.__notes__ == ["Besides: the page"]


def test_without_a_cause_the_cleanups_complaint_is_raised():
    with pytest.raises(OSError, match="the page"), afterwards(lambda: fail("the page")):
        pass


def test_the_cleanup_runs_however_the_block_ends():
    runs = []
    with afterwards(lambda: runs.append(1)):
        pass
    with pytest.raises(KeyboardInterrupt), afterwards(lambda: runs.append(2)):
        raise KeyboardInterrupt
    assert runs == [1, 2]
