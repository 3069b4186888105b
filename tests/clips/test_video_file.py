import subprocess
import sys

import numpy as np
import pytest

from videoalign.clips import video_file
from videoalign.clips.video_file import read_video, write_video
from videoalign.micro_world.render import render
from videoalign.micro_world.scene import sample_scene

FRAMES = render(sample_scene(np.random.default_rng(0)))


@pytest.mark.parametrize(("pixel_format", "error"), [("yuv444p", 1.0), ("yuv420p", 2.5)])
def test_a_file_decodes_back_within_the_codecs_error(tmp_path, pixel_format, error):
    write_video(tmp_path / "clip.mp4", FRAMES, 8.0, pixel_format)
    frames, fps = read_video(tmp_path / "clip.mp4")
    assert fps == 8.0
    assert frames.shape == FRAMES.shape
    assert np.abs(frames.astype(int) - FRAMES).mean() < error


def test_fractional_frame_rates_are_kept(tmp_path):
    write_video(tmp_path / "clip.mp4", FRAMES, 30000 / 1001)
    assert read_video(tmp_path / "clip.mp4")[1] == pytest.approx(30000 / 1001)


@pytest.mark.parametrize(
    ("frames", "named"),
    [
        (FRAMES[..., :1], "17, 64, 64, 1"),
        (FRAMES.astype(float), "float64"),
        (FRAMES[:0], "0, 64"),
        (FRAMES[:, :63], "64x63"),
    ],
)
def test_unsuitable_frames_are_refused_and_leave_no_file(tmp_path, frames, named):
    with pytest.raises(ValueError, match=named):
        write_video(tmp_path / "clip.mp4", frames, 8.0)
    assert not list(tmp_path.iterdir())


def test_a_failure_while_writing_keeps_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"old")
    with pytest.raises(ValueError, match="yuv1p"):
        write_video(tmp_path / "clip.mp4", FRAMES, 8.0, "yuv1p")
    with pytest.raises(ValueError, match="fps is 0"):
        write_video(tmp_path / "clip.mp4", FRAMES, 0)

    left = iter(range(3))
    monkeypatch.setattr(video_file.np, "ascontiguousarray", lambda frame: frame if next(left) < 2 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "clip.mp4", FRAMES, 8.0)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"old"


DISTURBED = """
import hashlib, random, sys
import numpy as np
from videoalign.clips.video_file import write_video
folder, seed = sys.argv[1], int(sys.argv[2])
frames = np.load(folder + "/frames.npy")
chance, held = random.Random(seed), []
for number in range(10):
    held = [np.full(chance.randrange(1, 300_000), chance.randrange(256), np.uint8) for _ in range(chance.randrange(1, 60))]
    held = held[:: chance.randrange(1, 3)]  # holes between what is still held
    file = f"{folder}/{seed}_{number}.mp4"
    write_video(file, frames.copy(), 8.0)
    print(hashlib.sha256(open(file, "rb").read()).hexdigest())
"""


def test_equal_frames_give_equal_files_wherever_they_lie_in_memory(tmp_path):
    """x264's macroblock tree made up to 16 files of 40 on some machines: it depends on the memory that it finds."""
    scene = sample_scene(np.random.default_rng(3))
    np.save(tmp_path / "frames.npy", render(scene))
    processes = [
        subprocess.Popen([sys.executable, "-c", DISTURBED, str(tmp_path), str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    digests = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert len(digests) == 40 and len(set(digests)) == 1
    written = (tmp_path / "0_0.mp4").read_bytes()  # x264 tells in the file what it was asked for
    assert b" mbtree=0 " in written and b" threads=1 " in written
