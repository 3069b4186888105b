"""VideoAlign's own code against ours on one clip: the same checkpoint, clips and captions, in turn, float32, one table.

    git clone https://github.com/KwaiVGI/VideoAlign CHECKOUT
    python benchmarks/official_speed.py CHECKOUT FOLDER               # tiny: the shipped random checkpoint
    python benchmarks/official_speed.py CHECKOUT FOLDER --size 265m   # 16 + 16 layers with random weights, 1.1 GB of disk

The official code is not part of this project: it is run from the checkout, in an environment that is made in FOLDER beside this one
(transformers 4.45.2 and what goes with it from the registry; torch is the one that is installed here). Each side is a process that
loads once and then answers in turn. Whatever the machine does meanwhile hits both alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

import torch
from official_checkpoint import SIZES, write_checkpoint
from results_section import Section, benchmark_parser
from timing import COLUMNS, Times

HEADING = "Scoring against the official code"
HERE = Path(__file__).resolve().parent
REQUIREMENTS = (
    "transformers==4.45.2",
    "peft==0.10.0",
    "accelerate<1",
    "decord==0.6.0",
    "pandas",
    "pillow",
    "requests",
    "numpy<2",
)
BORROWED = (
    "torch",
    "torchgen",
    "functorch",
    "torchvision",
    "torchvision.libs",
    "torch-*.dist-info",
    "torchvision-*.dist-info",
)
CLIPS = "datasets/train/videos/example_*.mp4"
ANIMALS = ("dog", "cat", "horse", "fox", "crab", "child", "robot", "bear")
CAPTIONS = [f"A {animal} runs along the beach at sunset, waves in the background." for animal in ANIMALS]
EQUAL = 5e-5  # four decimals
OFFICIAL = "import official_worker, sys; official_worker.serve(*sys.argv[1:])"
OURS = "import our_worker, sys; our_worker.serve(sys.argv[2])"


def main() -> None:
    """Measure everything and print the section."""
    parser = benchmark_parser(__doc__, repeats=3)
    parser.add_argument("checkout", type=Path, help="of KwaiVGI/VideoAlign, with its example clips")
    parser.add_argument("folder", type=Path, help="for the environment and the checkpoints; kept")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK), help="which rows; all by default")
    options = parser.parse_args()
    python = environment(options.folder / "environment")
    checkpoint = write_checkpoint(options.folder / options.size, SIZES[options.size])
    clips = [str(path.resolve()) for path in sorted(options.checkout.glob(CLIPS))]
    if not clips:
        parser.error(f"{options.checkout} has no {CLIPS}; give a checkout of KwaiVGI/VideoAlign.")
    with (
        Section(f"{HEADING}, {options.size}", options, libraries=("torch", "av")) as section,
        Side([python, "-c", OFFICIAL, options.checkout, checkpoint]) as official,
        Side([sys.executable, "-c", OURS, options.checkout, checkpoint]) as ours,
    ):
        section.paragraph(
            f"{SIZES[options.size].title}; float32; the official code with {', '.join(REQUIREMENTS[:2])}, sdpa; the first clip is "
            f"{Path(clips[0]).name} of its repository, the mixed ones are its {len(clips)} examples. Loaded in "
            f"{official.loaded['cpu']:.1f} (official) and {ours.loaded['cpu']:.1f} (ours) CPU s, imports among them."
        )
        section.table("", *COLUMNS)
        for name in options.work:
            WORK[name](section, official, ours, clips, options)
        section.note(
            f"Peak memory of the whole process: official {official.peak:.0f} MB (after loading {official.loaded['peak']:.0f}), ours "
            f"{ours.peak:.0f} MB (after loading {ours.loaded['peak']:.0f})."
        )


def one_clip(section: Section, official: Side, ours: Side, clips: list[str], options: argparse.Namespace) -> None:
    """One clip and caption by each; by ours with eight captions, too."""
    one, eight = (clips[:1], CAPTIONS[:1]), (clips[:1], CAPTIONS)
    if options.size == "tiny":  # whatever comes up with the first clip counts for little beside a minute of work
        official.ask(*one)
        ours.ask(*one)
    theirs, mine, many, apart = Times(), Times(), Times(), 0.0
    for _ in range(options.repeats):
        first, second = official.ask(*one, theirs), ours.ask(*one, mine)
        third = ours.ask(*eight, many)
        apart = max(apart, difference(first, second), difference(second, third[:1]))
    show(section, {"one clip, official": theirs, "one clip, ours": mine, "8 captions of it, ours": many})
    section.aim(f"one clip, official / ours, CPU s ({options.size})", theirs.ratio(mine)[0], at_least=3.0)
    section.aim("8 captions / 1 caption of ours, CPU s", many.ratio(mine)[0], at_most=1.15)
    section.aim("largest difference of a raw score", apart, at_most=EQUAL, form=".1e")


def mixed_clips(section: Section, official: Side, ours: Side, clips: list[str], options: argparse.Namespace) -> None:
    """All clips one by one by each, and in one batch by ours."""
    singles, batch = [([clip], CAPTIONS[:1]) for clip in clips], (clips, CAPTIONS[:1] * len(clips))
    theirs, mine, together, apart = Times(), Times(), Times(), 0.0
    for _ in range(options.repeats):
        first, second = official.one_by_one(singles, theirs), ours.one_by_one(singles, mine)
        apart = max(apart, difference(first, second), difference(second, ours.ask(*batch, together)))
    section.table("", *COLUMNS)
    names = ("one by one, official", "one by one, ours", "in one batch, ours")
    show(
        section,
        {
            f"{len(clips)} mixed clips {name}": taken
            for name, taken in zip(names, (theirs, mine, together), strict=True)
        },
    )
    section.note(f"One by one, official / ours: {theirs.ratio(mine)[0]:.2f} in fastest CPU seconds.")
    section.aim("batch / its singles of ours, CPU s", together.ratio(mine)[0], at_most=1.0)
    section.aim("largest difference of a raw score", apart, at_most=EQUAL, form=".1e")


WORK = {"one": one_clip, "mixed": mixed_clips}


def show(section: Section, rows: dict[str, Times]) -> None:
    """Rows of the table that was begun."""
    for name, taken in rows.items():
        section.row(name, *taken.cells())


def difference(one: list[list[float]], other: list[list[float]]) -> float:
    """The largest between two lists of raw scores."""
    return float((torch.tensor(one, dtype=torch.float64) - torch.tensor(other, dtype=torch.float64)).abs().max())


def environment(folder: Path) -> Path:
    """The Python of an environment with the official code's libraries; made where it is not there yet."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / "finished").exists():
        return python
    venv.create(folder, with_pip=False, clear=True)
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    for name in BORROWED:  # gigabytes that need not lie there twice
        for path in Path(torch.__file__).parents[1].glob(name):
            (packages / path.name).symlink_to(path)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        *REQUIREMENTS,
        f"torch=={torch.__version__}",
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    (folder / "finished").touch()
    return python


class Side:
    """A process that scores; a context manager.

    Attributes:
        loaded: CPU seconds of loading, and the process's MB then.
        peak: its most MB so far.
    """

    def __init__(self, command: list) -> None:
        self._process = subprocess.Popen(
            list(map(str, command)), cwd=HERE, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.loaded = self._answer()
        self.peak = self.loaded["peak"]

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def ask(self, clips: list[str], captions: list[str], times: Times | None = None) -> list[list[float]]:
        """Raw scores; the seconds go into ``times``."""
        return self.one_by_one([(clips, captions)], times)

    def one_by_one(self, requests: list[tuple[list[str], list[str]]], times: Times | None = None) -> list[list[float]]:
        """Raw scores of several requests; the sum of their seconds goes into ``times``."""
        raw, clock, cpu = [], 0.0, 0.0
        for clips, captions in requests:
            self._process.stdin.write(json.dumps({"clips": clips, "captions": captions}) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
            raw, clock, cpu = raw + answer["raw"], clock + answer["clock"], cpu + answer["cpu"]
            self.peak = max(self.peak, answer["peak"])
        if times is not None:
            times.runs.append((clock, cpu))
        return raw

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args[2]!r} ended; what it said stands above.")
        return json.loads(line)


if __name__ == "__main__":
    main()
