"""Scores from a file stand in for a model; what does not fit is refused with the row that is to blame."""

import pytest

from videoalign.errors import VideoAlignError
from videoalign.evaluation.bench.known_scores import read_known_scores
from videoalign.evaluation.bench.pairs import bench_pairs
from videoalign.preferences.reading import read_preferences


@pytest.fixture
def read(table, tmp_path):
    """Read scores for two pairs: clips a, b under "one" and a, c under "two"."""
    rows = [("a.mp4", "b.mp4", "one"), ("a.mp4", "c.mp4", "two")]
    file = table("pairs.csv", [{"path_A": a, "path_B": b, "prompt": prompt, "VQ": "A"} for a, b, prompt in rows])
    preferences = read_preferences(file)
    pairs = bench_pairs(preferences)

    def call(rows, name="scores.csv", folder=None):
        path = table(name, rows)
        if folder:
            (tmp_path / folder).mkdir()
            path = path.rename(tmp_path / folder / name)
        known = read_known_scores(path, pairs, preferences.root)
        return {(clip.file.name, clip.prompt): scores for clip, scores in known.items()}

    return call


@pytest.mark.parametrize("name", ["scores.csv", "scores.jsonl"])
def test_each_clip_and_prompt_gets_its_own_scores(read, name):
    rows = [{"path": "a.mp4", "prompt": "one", "VQ": 1.5}, {"path": "a.mp4", "prompt": "two", "VQ": 2.5}]
    assert read(rows, name) == {("a.mp4", "one"): {"VQ": 1.5}, ("a.mp4", "two"): {"VQ": 2.5}}


def test_paths_may_be_absolute_or_start_at_the_benchmark_the_scores_or_the_current_folder(read, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rows = [
        {"path": str(tmp_path / "a.mp4"), "prompt": "one", "VQ": 1},
        {"path": "./a.mp4", "prompt": "two", "VQ": 2},
        {"path": "../b.mp4", "prompt": "one", "VQ": 3},
    ]
    known = read(rows, folder="deep")
    assert {key: scores["VQ"] for key, scores in known.items()} == {
        ("a.mp4", "one"): 1,
        ("a.mp4", "two"): 2,
        ("b.mp4", "one"): 3,
    }


def test_rows_of_other_clips_and_prompts_do_not_matter(read):
    rows = [{"path": "b.mp4", "prompt": "one", "VQ": 1}, {"path": "z.mp4", "prompt": "one", "VQ": "", "TA": ""}]
    rows = [{"TA": "", **row} for row in rows] + [{"path": "b.mp4", "prompt": "another", "VQ": 9, "TA": ""}]
    assert read(rows) == {("b.mp4", "one"): {"VQ": 1.0}}


def test_a_reward_that_reads_no_prompt_needs_no_prompt_column_while_each_clip_has_one_prompt(read):
    assert read([{"path": "b.mp4", "VQ": 1}]) == {("b.mp4", "one"): {"VQ": 1.0}}
    with pytest.raises(VideoAlignError, match=r"row 1.*'prompt'.*several prompts"):
        read([{"path": "a.mp4", "VQ": 1}])


def test_the_official_scripts_columns_are_understood(read):
    assert read([{"path": "b.mp4", "prompt": "one", "reward_VQ": 1, "reward_Overall": 2}]) == {
        ("b.mp4", "one"): {"VQ": 1.0, "Overall": 2.0}
    }


def test_a_row_that_failed_stays_failed(read):
    rows = [{"path": "b.mp4", "prompt": "one", "VQ": 1}, {"path": "c.mp4", "prompt": "two", "error": "it is broken."}]
    assert read(rows, "scores.jsonl")["c.mp4", "two"] == {"error": "it is broken."}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"clip": "a.mp4", "VQ": 1}], "column 'path' is missing"),
        ([{"path": "a.mp4", "prompt": "one", "quality": 1}], "no score column.*quality"),
        ([{"path": "a.mp4", "prompt": "one", "VQ": "good"}], "row 1.*'VQ'.*'good'.*number"),
        ([{"path": "a.mp4", "prompt": "one", "VQ": "nan"}], "row 1.*'VQ'.*finite"),
        ([{"path": "x.mp4", "prompt": "one", "VQ": 1}], "none of its 1 rows.*a.mp4.*--videos"),
        ([{"path": "a.mp4", "prompt": "one", "VQ": v} for v in (1, 2)], "row 2.*other scores for a.mp4.*row 1"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(read, rows, message):
    with pytest.raises(VideoAlignError, match=message):
        read(rows)
