"""How often the embedded micro reward agrees with the truth on held-out clips, by dimension and size of the difference.

python benchmarks/micro_reward_accuracy.py [FILE] [--pairs N] [--seed N]
"""

import argparse
import tempfile
from pathlib import Path

from reward_losses import measure

from videoalign.micro_world import write_dataset
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.settings import EMBEDDED_FILE


def main() -> None:
    """Make fresh pairs, score them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=EMBEDDED_FILE)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=424_242)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "pairs", options.pairs, options.seed)
        found = measure(options.file, Path(folder) / "pairs" / "pairs.csv")
    print(
        f"{options.pairs} pairs of seed {options.seed}; accuracy [95 % interval over prompts] (pairs), by true difference"
    )
    for dimension in DIMENSIONS:
        cells = [
            f"{size}: {a:.3f} [{low:.3f}, {high:.3f}] ({n})"
            for size, (a, low, high, n) in found[dimension]["sizes"].items()
        ]
        print(f"{dimension}  all untied: {found[dimension]['agreement'].without_ties:.3f}   " + "   ".join(cells))


if __name__ == "__main__":
    main()
