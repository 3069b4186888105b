import csv
import itertools
import json

import numpy as np
import pytest

from videoalign.clips.video_file import read_video
from videoalign.micro_world.clip import Clip
from videoalign.micro_world.pairs import (
    CSV_COLUMNS,
    Pair,
    iterate_pairs,
    label_pair,
    sample_pair,
    write_dataset,
)
from videoalign.micro_world.scene import ClipFormat


def clip_of(vq, mq, ta):
    return Clip(
        np.zeros((0, 0, 0, 3), np.uint8), 8.0, "", {"VQ": vq, "MQ": mq, "TA": ta}, None, (), np.zeros((0, 0, 2))
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    native = write_dataset(folder, 6, seed=4, invalid_share=0.2)
    return folder, [json.loads(line) for line in native.read_text().splitlines()]


def test_labels_follow_from_the_true_degrees_with_a_tie_margin():
    labels = label_pair(clip_of(0.0, -0.5, -0.25), clip_of(-0.3, -0.1, -0.30), margin=0.1)
    assert labels == {"VQ": "A", "MQ": "B", "TA": "same", "Overall": "same"}
    assert label_pair(clip_of(0, -0.05, -0.25), clip_of(-0.04, 0, -0.25), 0.0) == {
        "VQ": "A", "MQ": "B", "TA": "same", "Overall": "B",
    }  # fmt: skip


def test_sampled_labels_agree_with_the_qualities():
    for pair in itertools.islice(iterate_pairs(1, ClipFormat(size=32, frames=5)), 100):
        for name in ("VQ", "MQ", "TA"):
            difference = pair.a.quality[name] - pair.b.quality[name]
            assert pair.labels[name] == ("same" if abs(difference) < 0.1 else "A" if difference > 0 else "B")
        assert pair.prompt == pair.a.caption == pair.b.caption


def test_the_chosen_clip_is_the_better_one_and_labels_are_mirrored_with_it():
    a, b = clip_of(-0.9, 0.0, -0.5), clip_of(0.0, -0.2, -0.5)
    chosen, rejected, labels = Pair("", a, b, label_pair(a, b)).ordered()
    assert chosen is b
    assert rejected is a
    assert labels == {"VQ": "A", "MQ": "B", "TA": "same", "Overall": "A"}


def test_equal_seeds_give_equal_pairs():
    a, b = (sample_pair(np.random.default_rng(3)) for _ in range(2))
    assert a.a.frames.tobytes() == b.a.frames.tobytes()
    assert a.b.frames.tobytes() == b.b.frames.tobytes()
    assert a.labels == b.labels


def test_missing_judgements_occur_at_the_asked_rate():
    pairs = itertools.islice(iterate_pairs(1, ClipFormat(size=32, frames=5), invalid_share=0.5), 60)
    labels = [label for pair in pairs for label in pair.labels.values()]
    assert 0.35 < np.mean([label == "invalid" for label in labels]) < 0.65


def test_written_files_hold_the_pairs_within_codec_error(dataset):
    folder, records = dataset
    for record, pair in zip(records, iterate_pairs(4, invalid_share=0.2), strict=False):
        chosen, rejected, labels = pair.ordered()
        assert record["prompt"] == pair.prompt
        assert record["labels"] == labels
        for name, clip in (("chosen", chosen), ("rejected", rejected)):
            frames, fps = read_video(folder / record[name])
            assert fps == record["fps"] == 8.0
            assert frames.shape == clip.frames.shape
            assert np.abs(frames.astype(int) - clip.frames).mean() < 3
            assert {k: pytest.approx(v, abs=1e-6) for k, v in clip.quality.items()} == {
                k: v for k, v in record[f"scores_{name}"].items() if k != "Overall"
            }


def test_the_better_clip_overall_is_the_chosen_one(dataset):
    for record in dataset[1]:
        assert record["scores_chosen"]["Overall"] >= record["scores_rejected"]["Overall"]
        assert record["labels"]["Overall"] != "B"


def test_the_table_holds_the_same_pairs_in_benchmark_shape(dataset):
    folder, records = dataset
    with open(folder / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == len(records) == 6
    for row, record in zip(rows, records, strict=True):
        assert {row["path_A"], row["path_B"]} == {record["chosen"], record["rejected"]}
        swapped = row["path_A"] != record["chosen"]
        mirror = {"A": "B", "B": "A"} if swapped else {}
        assert {name: mirror.get(row[name], row[name]) for name in record["labels"]} == record["labels"]
        assert float(row["num_frames_A"]) == 17
        side = "B" if swapped else "A"
        assert float(row[f"MOS_{side}_VQ"]) == pytest.approx(5 + 4 * record["scores_chosen"]["VQ"], abs=1e-4)
    assert {row["path_A"] == record["chosen"] for row, record in zip(rows, records, strict=True)} == {True, False}


def test_equal_seeds_write_equal_bytes_and_nothing_half_written_is_left(tmp_path):
    for name in ("a", "b"):
        write_dataset(tmp_path / name, 2, seed=9)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert [str(path) for path in files] == [
        "pairs.csv", "pairs.jsonl", "videos/000000_A.mp4", "videos/000000_B.mp4", "videos/000001_A.mp4",
        "videos/000001_B.mp4",
    ]  # fmt: skip
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_folder_with_a_data_set_and_bad_numbers_are_refused(dataset, tmp_path):
    with pytest.raises(ValueError, match="already holds a data set"):
        write_dataset(dataset[0], 1, seed=0)
    with pytest.raises(ValueError, match="n_pairs is 0"):
        write_dataset(tmp_path, 0, seed=0)
    with pytest.raises(ValueError, match="margin is -1"):
        next(iterate_pairs(0, margin=-1))
    with pytest.raises(ValueError, match="invalid_share is 2"):
        next(iterate_pairs(0, invalid_share=2))
