"""A folder of micro clips to choose between, and its page."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from written_clips import write_clips

from videoalign.micro_world import ClipFormat
from videoalign.preferences.choices.page import ChoicePage
from videoalign.preferences.choices.session import ChoiceSession


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three prompts with two clips each."""
    write_clips(tmp_path / "clips", 3, ClipFormat(size=32, frames=5))
    return tmp_path / "clips"


@pytest.fixture
def session_of(folder, tmp_path):
    """Make a session of a person in that folder."""

    def make(chooser: str = "", **options) -> ChoiceSession:
        return ChoiceSession(folder, chooser, previews=tmp_path / "previews", **options)

    return make


@pytest.fixture
def page(session_of) -> Iterator[ChoicePage]:
    """The page of a session, answering."""
    with ChoicePage(session_of()) as page:
        thread = threading.Thread(target=page.serve, daemon=True)
        thread.start()
        yield page
        page.stop()
        thread.join(30)
        assert not thread.is_alive()
