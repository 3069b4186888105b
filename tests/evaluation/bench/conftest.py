"""Pairs and scores made up on the spot; no clip has to exist."""

import csv
import itertools
import json
import random

import pytest

LABELS = {1: "A", -1: "B", 0: "same"}


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path):
    """Write rows as CSV or JSONL by the name's ending; returns the path."""

    def write(name, rows):
        path = tmp_path / name
        if path.suffix == ".csv":
            return write_csv(path, rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def benchmark_of(table):
    """A benchmark whose pairs have given labels and differences of scores: paths of the CSV and of the scores.

    Takes {dimension: (labels 1, -1, 0 or NaN, differences)} and optionally a prompt and other columns for each pair.
    """

    def write(columns, prompts=None, **others):
        count = len(next(iter(columns.values()))[0])
        pairs, scores = [], []
        for i in range(count):
            prompt = prompts[i] if prompts else f"prompt {i}"
            cells = {name: LABELS.get(labels[i], "invalid") for name, (labels, _) in columns.items()}
            extra = {name: values[i] for name, values in others.items()}
            pairs.append({"path_A": f"{i}_A.mp4", "path_B": f"{i}_B.mp4", "prompt": prompt, **cells, **extra})
            for side, sign in (("A", 1.0), ("B", 0.0)):
                own = {name: sign * differences[i] for name, (_, differences) in columns.items()}
                scores.append({"path": f"{i}_{side}.mp4", "prompt": prompt, **own})
        return table("pairs.csv", pairs), table("scores.csv", scores)

    return write


@pytest.fixture
def noisy():
    """Labels and differences of 48 pairs, 6 for each of 8 prompts, of a reward that is right more often than not."""
    rng = random.Random(4)
    prompts = [f"prompt {i // 6}" for i in range(48)]
    labels = [rng.choice([1, 1, -1, -1, 0]) for _ in prompts]
    differences = [round(rng.gauss(label, 1.0), 1) for label in labels]  # rounded: equal differences occur
    return prompts, labels, differences


class BruteForce:
    """The measures by their definitions, pair by pair, threshold by threshold, split by split."""

    def without_ties(self, labels, differences):
        points = [
            0.5 if d == 0 else float((d > 0) == (h > 0)) for h, d in zip(labels, differences, strict=True) if h != 0
        ]
        return sum(points) / len(points)

    def with_ties(self, labels, differences, threshold):
        right = 0
        for h, d in zip(labels, differences, strict=True):
            verdict = 0 if abs(d) <= threshold else (1 if d > 0 else -1)
            right += verdict == h
        return right / len(labels)

    def best_threshold(self, labels, differences):
        return max(
            sorted({0.0, *map(abs, differences)}), key=lambda threshold: self.with_ties(labels, differences, threshold)
        )

    def held_out(self, prompts, labels, differences):
        """Mean over all splits of the prompts into halves."""
        names = sorted(set(prompts))
        rows = list(zip(prompts, labels, differences, strict=True))
        accuracies = []
        for half in itertools.combinations(names, len(names) // 2):
            fitted = [row[1:] for row in rows if row[0] in half]
            tested = [row[1:] for row in rows if row[0] not in half]
            threshold = self.best_threshold(*zip(*fitted, strict=True))
            accuracies.append(self.with_ties(*zip(*tested, strict=True), threshold))
        return sum(accuracies) / len(accuracies)

    def interval_without_ties(self, prompts, labels, differences, resamples=4000):
        """95 % of what whole prompts, drawn with replacement, give."""
        rng, names = random.Random(0), sorted(set(prompts))
        means = []
        for _ in range(resamples):
            drawn = [rng.choice(names) for _ in names]
            rows = [(h, d) for name in drawn for p, h, d in zip(prompts, labels, differences, strict=True) if p == name]
            means.append(self.without_ties(*zip(*rows, strict=True)))
        means.sort()
        return means[int(0.025 * resamples)], means[int(0.975 * resamples)]


@pytest.fixture
def brute_force():
    return BruteForce()
