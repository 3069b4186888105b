"""A clip is read once for all who look at it."""

import weakref

import numpy as np
import pytest
import torch

from videoalign.clips import frames as reading
from videoalign.clips.frames import Frames, View, read_for_several, read_frames
from videoalign.clips.video_decoding import decode_frames

SECOND_HALF = View(lambda total, fps: list(range(total // 2, total)))
ENDS_SMALL = View(lambda total, fps: [0, total - 1], lambda frames: frames[:, :, ::2, ::2])


@pytest.fixture
def path(clips):
    return clips / "s02_8fps_16f_320x240.mp4"


def test_two_views_are_what_each_alone_would_be_and_the_file_is_decoded_once(path, monkeypatch):
    alone = [read_frames(path, view) for view in (SECOND_HALF, ENDS_SMALL)]
    calls = []
    monkeypatch.setattr(reading, "decode_frames", lambda *a, **k: calls.append(a) or decode_frames(*a, **k))
    together = read_for_several(path, [SECOND_HALF, ENDS_SMALL])
    assert len(calls) == 1
    for one, other in zip(together, alone, strict=True):
        assert one.indices == other.indices and torch.equal(one.pixels, other.pixels)
    assert together[1].pixels.shape == (2, 3, 120, 160)


def test_frames_are_those_of_the_decoder(path):
    read = read_frames(path, SECOND_HALF)
    assert np.array_equal(read.as_bytes(), decode_frames(path, SECOND_HALF.choose).frames)
    assert (read.total_frames, read.fps) == (16, 8.0)


def test_frames_in_memory_are_seen_alike_as_bytes_and_as_floats(path):
    whole = decode_frames(path, lambda total, fps: list(range(total))).frames
    as_bytes, as_floats = (
        read_for_several(Frames(pixels, 8.0), [SECOND_HALF, ENDS_SMALL]) for pixels in (whole, whole / np.float32(255))
    )
    for one, other in zip(as_bytes, as_floats, strict=True):
        assert torch.equal(one.pixels.float(), other.pixels)


class Seen:
    """Keeps the frames that it sees."""

    def __init__(self, total, fps):
        self.total, self.fps, self.pictures = total, fps, []

    def see(self, picture):
        self.pictures.append(picture)


WATCHED = View(lambda total, fps: list(range(1, total)), watch=Seen)


def test_a_watcher_sees_each_chosen_frame_once_in_order_beside_other_views(path):
    watched, ends = read_for_several(path, [WATCHED, ENDS_SMALL])
    whole = decode_frames(path, lambda total, fps: list(range(total))).frames
    assert np.array_equal(np.stack(watched.watcher.pictures), whole[1:])
    assert (watched.watcher.total, watched.watcher.fps) == (16, 8.0) and watched.pixels.numel() == 0
    assert torch.equal(ends.pixels, read_frames(path, ENDS_SMALL).pixels) and ends.watcher is None


def test_frames_in_memory_are_watched_as_those_of_a_file(path):
    whole = decode_frames(path, lambda total, fps: list(range(total))).frames
    for pixels in (whole, whole / np.float32(255), torch.from_numpy(whole)):
        assert np.array_equal(np.stack(read_frames(Frames(pixels, 8.0), WATCHED).watcher.pictures), whole[1:])


def test_frames_that_come_early_wait_and_a_new_count_begins_anew(path, monkeypatch):
    whole = decode_frames(path, lambda total, fps: list(range(total)))

    def out_of_order(source, choose, fps, convert_at):
        choose(16, 8.0)
        convert_at(1, whole.frames[1])  # then it comes to light that there are fewer frames
        indices = choose(15, 8.0)
        rows = {index: convert_at(index, whole.frames[index]) for index in (1, 3, 4, 14, 2, *range(5, 14))}
        return type(whole)(np.stack([rows[index] for index in indices]), indices, 15, 8.0)

    monkeypatch.setattr(reading, "decode_frames", out_of_order)
    [seen] = read_for_several(path, [WATCHED])
    assert seen.watcher.total == 15 and np.array_equal(np.stack(seen.watcher.pictures), whole.frames[1:15])


def test_a_watched_clip_is_never_in_memory_whole(encode):
    counts = []

    class Counting(Seen):
        def see(self, picture):
            self.pictures = [weakref.ref(picture), *self.pictures]
            counts.append(sum(one() is not None for one in self.pictures))

    path = encode("long.mp4", 200, size=(320, 240))
    read_frames(path, View(reading.every_frame, watch=Counting))
    assert len(counts) == 200 and max(counts) <= 3  # this one, the decoder's last, and what is being collected
