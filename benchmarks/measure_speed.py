"""How fast are the measurements, on one core, against real time?

A clip of 480 x 832 pixels at 24 frames a second, a texture that moves, is measured from its decoded frames: each measurement
alone, as the watcher calls it, and all together. Decoding the file is apart. The aim is that measuring is faster than real time
on one core; what counts is the processor's time, of one thread.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
from results_section import Section, benchmark_parser
from timing import interleaved

FPS, HEIGHT, WIDTH = 24, 480, 832
HEADING = "Measurements: speed at 480p"


def moving_texture(frames: int) -> np.ndarray:
    """uint8 RGB [frames, 480, 832, 3]: soft noise that moves by 3 pixels a frame, under a little grain."""
    import cv2

    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH + 3 * frames, 3)).astype(np.float32), (0, 0), 4)
    wide = cv2.normalize(wide, None, 0, 240, cv2.NORM_MINMAX)
    grain = rng.integers(0, 8, (HEIGHT, WIDTH, 3))
    return np.stack([wide[:, 3 * one : 3 * one + WIDTH] + grain for one in range(frames)]).astype(np.uint8)


def main() -> None:
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of the clip (default: 4)")
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("opencv-python-headless", "numpy", "av")) as section:
        measure(section, options)


def measure(section: Section, options) -> None:
    import cv2

    from videoalign.clips.frames import View, every_frame, read_frames
    from videoalign.clips.video_file import write_video
    from videoalign.measures.clip_measures import clip_details, clip_marks
    from videoalign.measures.colour import saturation
    from videoalign.measures.cuts import colour_histogram
    from videoalign.measures.dynamic_degree import sampled_indices
    from videoalign.measures.flicker import mean_difference
    from videoalign.measures.flow import dense_flow, motion
    from videoalign.measures.light import light
    from videoalign.measures.sharpness import laplacian_variance
    from videoalign.measures.trace import ClipWatcher
    from videoalign.measures.working_size import DETAIL_SIDE, MOTION_SIDE, at_working_size

    cv2.setNumThreads(1)
    count = FPS * options.seconds
    frames = moving_texture(count)
    details = [at_working_size(frame, DETAIL_SIDE) for frame in frames]
    greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in details]
    smalls = [at_working_size(one, MOTION_SIDE) for one in details]
    sampled = [cv2.cvtColor(smalls[index], cv2.COLOR_RGB2GRAY) for index in sampled_indices(count, FPS)]

    def together() -> None:
        watcher = ClipWatcher(count, FPS)
        for frame in frames:
            watcher.see(frame)
        clip_marks(watcher.trace), clip_details(watcher.trace)

    class Nothing:
        def __init__(self, total: int, fps: float) -> None:
            pass

        def see(self, picture: np.ndarray) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, frames, FPS, "yuv420p")
        work = {
            "decoding to RGB (not measuring)": lambda: read_frames(path, View(every_frame, watch=Nothing)),
            f"to working sizes and grey: {DETAIL_SIDE} and {MOTION_SIDE} pixels": lambda: [
                (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), at_working_size(frame, MOTION_SIDE)) for frame in frames
            ],
            "flicker, still frames: full size": lambda: [mean_difference(*pair) for pair in itertools.pairwise(frames)],
            f"sharpness: {DETAIL_SIDE} pixels": lambda: [laplacian_variance(one) for one in greys],
            f"light: {DETAIL_SIDE} pixels": lambda: [light(one) for one in greys],
            f"saturation: {MOTION_SIDE} pixels": lambda: [saturation(one) for one in smalls],
            f"histograms of cuts: {MOTION_SIDE} pixels": lambda: [colour_histogram(one) for one in smalls],
            f"motion, camera: {MOTION_SIDE} pixels, 8 pairs a second": lambda: [
                motion(dense_flow(*pair)) for pair in itertools.pairwise(sampled)
            ],
            "all measurements together": together,
        }  # fmt: skip
        times = interleaved(options.repeats, work, warm_up=1)
    section.table(
        f"of a clip of {options.seconds} s, {HEIGHT} x {WIDTH} at {FPS} frames a second",
        "CPU ms a frame",
        "frames a second",
        "times real time",
    )
    for name, taken in times.items():
        rate = count / taken.cpu.fastest
        section.row(name, f"{1000 / rate:.2f}", f"{rate:.0f}", f"{rate / FPS:.1f}")
    rate = count / times["all measurements together"].cpu.fastest
    section.aim("frames a second of all measurements together, on one core", rate, at_least=float(FPS), form=".0f")


if __name__ == "__main__":
    main()
