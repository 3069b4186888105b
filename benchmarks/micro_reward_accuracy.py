"""How often the embedded micro reward agrees with the truth on held-out clips, by dimension and size of the difference.

python benchmarks/micro_reward_accuracy.py [FILE] [--pairs N] [--seed N]
"""

import tempfile
from pathlib import Path

from results_section import Section, benchmark_parser, interval
from reward_losses import SIZES, measure

from videoalign.micro_world import write_dataset
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.settings import EMBEDDED_FILE

HEADING = "The embedded micro reward"
AIM = 0.9  # on clear differences


def main() -> None:
    """Make fresh pairs, score them, print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=EMBEDDED_FILE)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=424_242)
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "transformers", "av")) as section:
        section.paragraph(
            f"{options.pairs} pairs of seed {options.seed}: share ranked as the truth does, 95 % interval over prompts, number of pairs, by "
            "the difference of the true degrees."
        )
        with tempfile.TemporaryDirectory() as folder:
            write_dataset(Path(folder) / "pairs", options.pairs, options.seed)
            agreement = measure(options.file, Path(folder) / "pairs" / "pairs.csv")
        sizes = [f"{low:g}-{min(high, 1.0)}" for low, high in SIZES]
        section.table("", "all untied", *(size.replace("-", " to ") for size in sizes))
        for dimension in DIMENSIONS:
            cells = []
            for size in sizes:
                accuracy, low, high, count = agreement[dimension]["sizes"].get(size, (None, None, None, 0))
                cells.append(f"{interval(accuracy, low, high)} ({count})" if count else "")
            section.row(dimension, f"{agreement[dimension]['agreement'].without_ties:.3f}", *cells)
        for dimension in DIMENSIONS:
            if sizes[-1] in agreement[dimension]["sizes"]:
                clear = agreement[dimension]["sizes"][sizes[-1]][0]
                section.aim(f"{dimension} on clear differences", clear, at_least=AIM, form=".3f")


if __name__ == "__main__":
    main()
