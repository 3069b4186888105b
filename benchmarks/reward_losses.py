"""The paper's Table 6 in kind, on the micro world: which loss, and where the scores are read.

Trains five small rewards from one base, on the same pairs in the same order, and measures how often each agrees with the
truth on held-out pairs, with intervals over prompts and by the size of the true difference.

    python benchmarks/reward_losses.py FOLDER [--steps N] [--batch N]

FOLDER holds (or gets) the base and the data of ``python -m videoalign.micro.video_reward FOLDER``.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from results_section import Section, benchmark_parser, interval

from videoalign.micro.video_reward.recipe import Recipe, make_base, make_data, training_config
from videoalign.preferences.reading import read_preferences
from videoalign.reward.agreement import label_values, measure_agreement
from videoalign.reward.bootstrap import bootstrap_mean
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.loading import load_video_reward
from videoalign.reward.scoring_stream import Request, score_stream
from videoalign.training import train_video_reward_command

HEADING = "Table 6 in kind: losses, and where the scores are read"
LAST = " Caption: {text_prompt} Visual quality, motion quality and text alignment:"
AFTER = (
    " Caption: {text_prompt} Visual quality: <|VQ_reward|> Motion quality: <|MQ_reward|> Text alignment: <|TA_reward|>"
)
VARIANTS = {
    "regression, last token": ("reg", LAST, "last"),
    "BT, last token": ("bt", LAST, "last"),
    "BTT, last token": ("btt", LAST, "last"),
    "BTT, separate tokens": ("btt", "micro", "special"),
    "BTT, separate tokens after the caption": ("btt", AFTER, "special"),
}
SIZES = ((0.1, 0.25), (0.25, 0.4), (0.4, 1.01))


def main() -> None:
    """Train and measure every variant; results already in FOLDER are not made again."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=36)
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "transformers", "av")) as section:
        section.paragraph(
            f"Five rewards from one base, {options.steps} steps of {options.batch} pairs each, same pairs and order; accuracy on held-out pairs "
            "without ties, 95 % interval over prompts."
        )
        compare(section, options.folder, options.steps, options.batch)


def compare(section: Section, workspace: Path, steps: int, batch: int) -> None:
    """The table: a row a variant."""
    recipe = replace(Recipe(), steps=steps, batch_size=batch)
    base = make_base(workspace, recipe)
    (drawn, _), held_out = make_data(workspace, recipe)
    section.table("", *DIMENSIONS, "mean")
    for name, (loss, template, token) in VARIANTS.items():
        folder = workspace / "losses" / f"{loss}-{token}-{abs(hash_text(template)) % 10_000}-{steps}"
        model = {"reward_token": token, "output_dim": 3 if token == "last" else 1}
        changes = {"loss": {"type": loss}, "model": model, "data": {"template": template}, "eval_every": 10**9}
        config = training_config(folder, base, [drawn], held_out, recipe, **changes)
        if not (folder / "videoreward.safetensors").exists():
            train_video_reward_command.run(config)
        section.row(name, *cells(folder / "videoreward.safetensors", held_out))


def hash_text(text: str) -> int:
    """A stable number for a text (Python's own hash changes from run to run)."""
    return int.from_bytes(text.encode()[:64], "big")


def cells(file: Path, held_out: Path) -> list[str]:
    """VQ, MQ, TA and their mean: one line of the table."""
    measured = measure(file, held_out)
    agreements = [measured[dimension]["agreement"] for dimension in DIMENSIONS]
    bounds = [agreement.without_ties_interval for agreement in agreements]
    shown = [interval(one.without_ties, of.low, of.high) for one, of in zip(agreements, bounds, strict=True)]
    return [*shown, f"{np.mean([agreement.without_ties for agreement in agreements]):.3f}"]


def measure(file: Path, held_out: Path) -> dict:
    """Agreement of a reward with the truth by dimension, and by the size of the true difference."""
    model = load_video_reward(file, device="cpu")
    pairs = read_preferences(held_out)
    clips = {}
    for index, pair in enumerate(pairs):
        for side in ("chosen", "rejected"):
            clips[(pairs.clip(index, side), pair.prompt)] = None
    requests = [Request(path, (prompt,), None, (path, prompt)) for path, prompt in clips]
    for request, scores in score_stream(model, requests, batch_size=16):
        clips[request.key] = scores[0]
    result = {}
    for dimension in DIMENSIONS:
        difference, truth = [], []
        for index, pair in enumerate(pairs):
            a, b = (clips[(pairs.clip(index, side), pair.prompt)] for side in ("chosen", "rejected"))
            difference.append(getattr(a, dimension) - getattr(b, dimension))
            truth.append(pair.scores_chosen[dimension] - pair.scores_rejected[dimension])
        labels = label_values([pair.labels[dimension] for pair in pairs])
        agreement = measure_agreement(labels, difference, [pair.prompt for pair in pairs])
        result[dimension] = {"agreement": agreement, "sizes": by_size(np.array(difference), np.array(truth), pairs)}
    return result


def by_size(difference: np.ndarray, truth: np.ndarray, pairs) -> dict[str, tuple[float, float, float, int]]:
    """Accuracy, interval and count for small, middle and large true differences (in degrees, 0 to 1)."""
    prompts = np.array([pair.prompt for pair in pairs])
    sizes = {}
    for low, high in SIZES:
        # Likert scores are 5 + 4 * quality; back to degrees.
        inside = (np.abs(truth) / 4 >= low - 1e-6) & (np.abs(truth) / 4 < high)
        if inside.any():
            right = (np.sign(difference[inside]) == np.sign(truth[inside])).astype(float)
            interval = bootstrap_mean(right, prompts[inside].tolist())
            sizes[f"{low}-{min(high, 1.0)}"] = (float(right.mean()), interval.low, interval.high, int(inside.sum()))
    return sizes


if __name__ == "__main__":
    main()
