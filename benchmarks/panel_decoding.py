"""What does it save to decode a clip once for several judges, in the place of once for each?

A clip of 480 x 832 pixels at 24 frames a second is read and made ready for real judges (``Judge.prepare``): by their panel in one pass,
and by each for itself, in turn in one run. VideoReward samples as the released one does (2 frames a second, at most 448 x 448
pixels); micro-world keeps every frame; the measurements look at every frame while it is decoded, which is most of their work. What
the judges do afterwards costs the same either way. The aim is that one pass never takes longer.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from measure_speed import FPS, HEIGHT, WIDTH, moving_texture
from results_section import Section, benchmark_parser
from timing import interleaved

HEADING = "A panel of judges: decoding once"
RELEASED = {"fps": 2.0, "max_pixels": 448 * 448}


def main() -> None:
    """Run it."""
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("--seconds", type=int, default=2, help="length of the clip (default: 2)")
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "av", "opencv-python-headless")) as section:
        measure(section, options)


def measure(section: Section, options) -> None:
    """Time every panel against its judges one after another."""
    import cv2

    from videoalign.clips.video_file import write_video
    from videoalign.judges import JudgeOptions, open_judge
    from videoalign.reward.panel import Panel

    cv2.setNumThreads(1)
    reward = open_judge("videoreward:micro", JudgeOptions(device="cpu", sampling=RELEASED))
    world, measures = open_judge("micro-world"), open_judge("measures")
    panels = [Panel(judges) for judges in ([reward, world], [reward, reward, world], [reward, world, measures])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, moving_texture(FPS * options.seconds), FPS, "yuv420p")

        def one_by_one(panel: Panel) -> None:
            for seat in panel.seats:
                seat.judge.prepare(path)

        work = {}
        for panel in panels:
            work[panel.name, "once"] = partial(panel.prepare, path)
            work[panel.name, "each"] = partial(one_by_one, panel)
        times = interleaved(options.repeats, work, warm_up=1)
    section.table(
        f"a clip of {options.seconds} s, {HEIGHT} x {WIDTH} at {FPS} frames a second",
        "judges",
        "decoded once, CPU s",
        "once for each, CPU s",
        "ratio, CPU",
        "ratio, clock",
    )
    ratios = []
    for panel in panels:
        once, each = times[panel.name, "once"], times[panel.name, "each"]
        cpu, clock = once.ratio(each)
        ratios.append(cpu)
        cells = (f"{once.cpu.fastest:.2f}", f"{each.cpu.fastest:.2f}", f"{cpu:.2f}", f"{clock:.2f}")
        section.row(panel.name, len(panel.seats), *cells)
    section.aim("decoded once / once for each, CPU, the worst of these", max(ratios), at_most=1.0, form=".2f")


if __name__ == "__main__":
    main()
