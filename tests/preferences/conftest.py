"""What the commands here are tried on."""

import pytest


@pytest.fixture
def clips(small_clips):
    return small_clips
