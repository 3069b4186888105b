"""How much memory reading a clip takes: a large one, a long one, and both, for scores and for the preview of the choose page.

    python benchmarks/clip_memory.py
    git worktree add ../before 7fb4948 && python benchmarks/clip_memory.py --before ../before

Each measurement is a process of its own; told is the highest resident memory that the system saw of it (getrusage), with the
interpreter and its libraries (first row: a clip of 64 x 64). With --before the same is measured of another checkout.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from results_section import Section, benchmark_parser

HEADING = "Memory of reading a clip"
THIS = Path(__file__).resolve().parent.parent
# name, (width, height), frames, frames a second
CLIPS = [
    ("64 x 64, 17 frames", (64, 64), 17, 8),
    ("8K (7680 x 4320), 8 frames", (7680, 4320), 8, 8),
    ("4096 x 4096, 40 frames", (4096, 4096), 40, 8),
    ("320 x 240, ten minutes", (320, 240), 14400, 24),
]
CHILD = """
import importlib, resource, sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "") + str(finder)]
sys.path.insert(0, sys.argv[1])
what, clip, folder = sys.argv[2:5]

def one_of(*names):  # here, and where version 0.1.0 had it
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error
    raise missing

if what == "score":
    main = one_of("videoalign.cli.main", "videoalign.training.cli").main
    status = main(["score", clip, "--model", "micro", "--device", "cpu", "--json"])
else:
    from pathlib import Path
    playable = one_of("videoalign.clips.preview", "videoalign.training.choices.preview").playable
    status = int(not playable(Path(clip), Path(folder)).is_file())
print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    """Make the clips, measure each, print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--before", type=Path, help="another checkout to measure as well")
    parser.add_argument(
        "--clips", type=int, nargs="+", default=range(len(CLIPS)), help="which of the clips, from 0; all by default"
    )
    options = parser.parse_args()
    trees = {"": THIS, **({", before": options.before.resolve()} if options.before else {})}
    with tempfile.TemporaryDirectory() as folder, Section(HEADING, options, libraries=("torch", "av")) as section:
        section.paragraph(
            "GB (10^9 bytes), highest resident memory of a process that scores one clip with the micro reward, and of one that makes "
            "the choose page's preview of it."
        )
        section.table("clip", *(f"{what}{when}" for what in ("score", "preview") for when in trees))
        for name, size, frames, rate in [CLIPS[number] for number in options.clips]:
            clip = write_clip(Path(folder) / "clip.mkv", size, frames, rate)
            cells = [
                measured(tree, what, clip, Path(folder)) for what in ("score", "preview") for tree in trees.values()
            ]
            section.row(name, *cells)


def write_clip(path: Path, size: tuple[int, int], frames: int, rate: int) -> Path:
    """A bright square that moves over a grey ground, H.264 in Matroska, which no browser plays as it is."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "30"}
        picture = av.VideoFrame(width, height, "yuv420p")
        planes = [
            np.full((height, picture.planes[0].line_size), 90, np.uint8),
            *(np.full((height // 2, picture.planes[1].line_size), 128, np.uint8) for _ in range(2)),
        ]
        side = min(size) // 4
        for number in range(frames):
            shown = planes[0].copy()
            left = number * 4 % (width - side)
            shown[side : 2 * side, left : left + side] = 220
            for plane, values in zip(picture.planes, [shown, *planes[1:]], strict=True):
                plane.update(values)
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def measured(tree: Path, what: str, clip: Path, folder: Path) -> str:
    """Peak memory in GB and seconds of one process, or how it ended."""
    with tempfile.TemporaryDirectory(dir=folder) as packages:
        (Path(packages) / "videoalign").symlink_to(tree)
        previews = Path(packages) / "previews"
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", CHILD, packages, what, str(clip), str(previews)], capture_output=True, text=True
        )
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or [f'signal {-done.returncode}'])[-1][:60]}"
    status, kilobytes = done.stdout.split()[-2:]
    return (
        f"{int(kilobytes) * 1024 / 1e9:.2f}"
        + (f" ({time.monotonic() - started:.0f} s)")
        + (" (an error)" if int(status) else "")
    )


if __name__ == "__main__":
    main()
