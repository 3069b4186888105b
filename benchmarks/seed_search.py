"""What does an early look keep of the gain of best of N, and for how much work?

Of each prompt N seeds of the micro model are sampled to the end (classifier-free guidance 4), and looked at after several steps: by VideoReward
on the decoded clean clip that the sampler foresees, and by the latent reward on the noisy latent. Each look chooses one seed. What it
gains over a random seed is told by VideoReward on the finished clips and by the world's own measurement, which chose nothing, as
means over prompts with Student's intervals; and how far the look's order agrees with the finished one's, within a prompt (Spearman).
The work is (N k + T - k) / T of one clip's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from micro_clips import prompts_of
from results_section import Section, benchmark_parser, interval

from videoalign.clips.frames import Frames
from videoalign.clips.pixels import as_frames
from videoalign.generation.pipeline import load_pipeline
from videoalign.generation.search.judging import LatentJudge, PreviewJudge
from videoalign.generation.search.takes import PromptTakes
from videoalign.judges import open_judge
from videoalign.micro_world import measure
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.scoring_stream import score_clips
from videoalign.reward.search.plan import cost
from videoalign.reward.settings import EMBEDDED_LATENT_FILE
from videoalign.reward.student_interval import student_mean
from videoalign.reward.z_scores import weighted_z

HEADING = "Searching seeds of the micro model"
EQUAL = dict.fromkeys(DIMENSIONS, 1 / 3)
PREVIEW, LATENT, REWARD, WORLD = "preview, VideoReward", "latent reward", "VideoReward", "the measurement"


def main() -> None:
    """Run it."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=8, help="of each prompt (default: 8)")
    parser.add_argument("--steps", type=int, default=12, help="of a clip (default: 12)")
    parser.add_argument("--looks", type=int, nargs="+", default=[2, 3, 4, 6, 8], help="after so many steps")
    options = parser.parse_args()
    with Section(HEADING, options) as section:
        run(section, options)


def run(section: Section, options) -> None:
    """The table."""
    pipeline, reward = load_pipeline("micro"), open_judge("videoreward:micro")
    judges = {PREVIEW: PreviewJudge(reward), LATENT: LatentJudge(Path(EMBEDDED_LATENT_FILE), "cpu")}
    sampling = replace(pipeline.backbone.sampling, steps=options.steps, guidance_scale=4.0)
    looked: dict[tuple[str, int], list[list[float]]] = {}
    finished: dict[str, list[list[float]]] = {REWARD: [], WORLD: []}
    for prompt in prompts_of(options.prompts, 77):
        takes = PromptTakes(pipeline, sampling, prompt)
        marks: dict[tuple[str, int], list] = {}
        frames = []
        for seed in range(options.seeds):
            take = takes.begin(seed)
            for step in options.looks:
                take.go(step)
                for name, judge in judges.items():
                    marks.setdefault((name, step), []).append(judge.marks(take, prompt)[0])
            frames.append(as_frames(takes.decoded(take.go().x[0].float())))
        clips = [Frames(clip, sampling.fps) for clip in frames]
        final = [one.marks for one in score_clips(reward, clips, [prompt] * len(clips))]
        finished[REWARD].append(weighted_z(final, EQUAL))
        finished[WORLD].append([measure(clip, prompt, sampling.fps).overall for clip in frames])
        for key, rows in marks.items():
            looked.setdefault(key, []).append(weighted_z(rows, EQUAL))
    section.paragraph(
        f"{options.prompts} prompts, {options.seeds} seeds, {options.steps} steps. Gain of the chosen seed over the mean of its prompt's: by "
        f"{REWARD} in the mean of its z-scores, by {WORLD} in degrees of fault."
    )
    section.table(
        "chosen by",
        "after steps",
        "work, clips",
        "order, Spearman",
        f"gain by {REWARD}",
        f"gain by {WORLD}",
        "share of best of N's, by measurement",
    )
    best = finished[REWARD]
    whole = _gain(best, finished[WORLD])
    for (name, step), totals in sorted(looked.items(), key=lambda item: (item[0][0] == LATENT, item[0][1])):
        work = cost([(step, 1)], options.seeds, options.steps) / options.steps
        _row(section, name, str(step), work, totals, finished, whole)
    _row(section, "best of N, VideoReward", str(options.steps), float(options.seeds), best, finished, whole)


def _row(section: Section, name: str, step: str, work: float, totals: list, finished: dict, whole: np.ndarray) -> None:
    orders = [_spearman(one, final) for one, final in zip(totals, finished[REWARD], strict=True)]
    gains = {judge: _gain(totals, values) for judge, values in finished.items()}
    cells = [interval(gain.mean(), *_bounds(gain), digits=2) for gain in gains.values()]
    share = gains[WORLD].mean() / whole.mean() if whole.mean() > 0 else float("nan")
    section.row(
        name, step, f"{work:.2f}", interval(np.mean(orders), *_bounds(orders), digits=2), *cells, f"{100 * share:.0f} %"
    )


def _gain(totals: Sequence[Sequence[float]], values: Sequence[Sequence[float]]) -> np.ndarray:
    """Of each prompt: the value of the seed with the highest total, less the mean over seeds."""
    return np.array([of[int(np.argmax(one))] - np.mean(of) for one, of in zip(totals, values, strict=True)])


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    found = student_mean(values)
    return found.low, found.high


def _spearman(first: Sequence[float], second: Sequence[float]) -> float:
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


if __name__ == "__main__":
    main()
