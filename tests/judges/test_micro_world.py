"""The micro world's measurement through the protocol is the measurement itself."""

import numpy as np
import pytest

from videoalign.clips.video_file import read_video, write_video
from videoalign.errors import CaptionError, ClipError
from videoalign.judges import open_judge
from videoalign.micro_world import Fault, make_clip, measure, sample_scene
from videoalign.reward.clip import Frames
from videoalign.reward.scoring_stream import score_clips


@pytest.fixture
def clips(tmp_path):
    files = []
    for number, faults in enumerate(([], [Fault("blur", 0.9)], [Fault("jitter", 0.7)])):
        clip = make_clip(np.random.default_rng(number), sample_scene(np.random.default_rng(number)), faults)
        files.append((tmp_path / f"{number}.mp4", clip))
        write_video(files[-1][0], clip.frames, clip.fps)
    return files


def test_files_are_measured_as_their_decoded_frames_to_the_last_digit(clips):
    judged = score_clips(open_judge("micro-world"), [file for file, _ in clips], [clip.caption for _, clip in clips])
    for (file, clip), marks in zip(clips, judged, strict=True):
        frames, fps = read_video(file)
        expected = measure(frames, clip.caption, fps)
        values = {name: getattr(expected, name) for name in ("VQ", "MQ", "TA")}
        assert marks.marks == {**values, "Overall": expected.overall}


def test_frames_in_memory_are_measured_as_they_are(clips):
    _, clip = clips[1]
    [marks] = score_clips(open_judge("micro-world"), [Frames(clip.frames, clip.fps)], [clip.caption])
    assert marks.marks["VQ"] == measure(clip.frames, clip.caption, clip.fps).VQ


def test_what_the_world_cannot_measure_is_an_error_of_that_clip(clips):
    judge = open_judge("micro-world")
    for caption in (None, "", "a cat in the rain"):
        with pytest.raises(CaptionError):
            judge.check_caption(caption)
    with pytest.raises(ClipError, match="cannot be measured"):
        score_clips(judge, [Frames(np.zeros((9, 48, 80, 3), np.uint8), 8.0)], [clips[0][1].caption])
