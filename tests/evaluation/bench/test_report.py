"""The table for people: whatever the numbers, no two of its columns run into each other."""

import re

import pytest

from videoalign.evaluation.bench.known_scores import read_known_scores
from videoalign.evaluation.bench.measure import compare, measure
from videoalign.evaluation.bench.pairs import bench_pairs
from videoalign.evaluation.bench.protocol import REWARD_BENCH
from videoalign.evaluation.bench.report import judges_table, measurement_table
from videoalign.preferences.reading import read_preferences

NUMBER = r"\d{1,3}\.\d|-"
ESTIMATE = rf"(?:{NUMBER})(?: \(\s*\d{{1,3}}\.\d\s*-\s*\d{{1,3}}\.\d\s*\))?"


@pytest.mark.parametrize("right", [1.0, -1.0])
def test_a_reward_that_is_always_right_or_always_wrong_has_a_table_with_spaces_between_its_numbers(benchmark_of, right):
    labels = [1, -1] * 20 + [0] * 4
    differences = [right * label for label in labels[:40]] + [0.0] * 4
    files, scores = benchmark_of({"VQ": (labels, differences), "TA": (labels, differences)})
    preferences = read_preferences(files)
    pairs = bench_pairs(preferences)
    measured = measure(
        compare(pairs, read_known_scores(scores, pairs, preferences.root), REWARD_BENCH), REWARD_BENCH, resamples=20
    )
    for table in (
        measurement_table(measured, REWARD_BENCH, "a title"),
        judges_table({"one": (measured, REWARD_BENCH), "two": (measured, REWARD_BENCH)}, "a title"),
    ):
        rows = [line for line in table.splitlines() if re.search(r" 44 +4 ", line)]
        assert len(rows) in (2, 4), table
        for row in rows:
            cells = rf".*\S +44 +4 +{ESTIMATE} +{ESTIMATE} +(?:{NUMBER}) +(?:{NUMBER}) +(?:{NUMBER})"
            assert re.fullmatch(cells, row), row
