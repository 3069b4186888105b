"""The demo: real clips, trained scores that make sense, and a page."""

import pytest

from videoalign.cli.main import main
from videoalign.evaluation.demo_clips import SPOILT, make_demo_clips


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--output", str(folder)]) == 0
    return folder


def test_the_demo_writes_real_clips_that_decode_to_what_was_drawn(demo):
    from videoalign.micro_world import read_video

    for clip in make_demo_clips(7):
        frames, fps = read_video(demo / f"{clip.name}.mp4")
        assert fps == clip.fps and frames.shape == clip.frames.shape
        assert abs(frames.astype(int) - clip.frames).mean() < 3


def test_the_page_is_one_file_that_names_every_clip_and_what_was_done_to_it(demo):
    page = (demo / "index.html").read_text(encoding="utf-8")
    assert page.count('class="card') == len(SPOILT)
    for name, note, _, _ in SPOILT:
        assert name in page and note in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_clean_clip_is_ranked_first_and_the_one_with_every_fault_last(demo):
    page = (demo / "index.html").read_text(encoding="utf-8")
    places = {name: page.index(f">{name}<") for name, _, _, _ in SPOILT}
    assert min(places, key=places.get) == "clean"
    assert max(places, key=places.get) == "everything-wrong"
