"""A row is always scored in the same company, whatever is left to do."""

import random
from pathlib import Path

import pytest

from videoalign.evaluation.scoring.score_batches import MAX_CAPTIONS, batches, left_batches
from videoalign.evaluation.scoring.score_rows import ScoreRow


def made_up_rows(count, seed):
    random_ = random.Random(seed)
    return [
        ScoreRow(
            str(n), Path(random_.choice("abc")), random_.choice(["x", "y", None]), random_.choice([None, None, 8.0])
        )
        for n in range(count)
    ]


def test_neighbours_with_the_same_clip_and_rate_share_a_reading():
    rows = [
        ScoreRow(str(n), Path(clip), "x", fps)
        for n, (clip, fps) in enumerate([("a", None), ("a", None), ("a", 8.0), ("b", None), ("a", None)])
    ]
    assert [[row.id for row in clip] for batch in batches(rows, 2) for clip in batch] == [
        ["0", "1"],
        ["2"],
        ["3"],
        ["4"],
    ]


def test_rows_without_a_caption_do_not_share_since_they_stop_reading_earlier():
    rows = [ScoreRow(str(n), Path("a"), prompt) for n, prompt in enumerate([None, None, "x", "y", None])]
    assert [len(clip) for batch in batches(rows, 9) for clip in batch] == [1, 1, 2, 1]


def test_a_clip_with_very_many_captions_is_read_anew_now_and_then():
    rows = [ScoreRow(str(n), Path("a"), "x") for n in range(2 * MAX_CAPTIONS + 1)]
    assert [len(clip) for batch in batches(rows, 2) for clip in batch] == [MAX_CAPTIONS, MAX_CAPTIONS, 1]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_are_whole_batches_whatever_is_done(seed):
    random_ = random.Random(seed)
    rows, size = made_up_rows(random_.randint(1, 60), seed), random_.randint(1, 5)
    done = {row.id for row in rows if random_.random() < random_.choice([0, 0.5, 1])}
    whole = list(batches(rows, size))
    assert [row for batch in whole for clip in batch for row in clip] == rows
    assert all(len(batch) == size for batch in whole[:-1])  # only the last of all may be short
    left = left_batches(rows, size, done)
    assert all(batch in whole for batch in left)
    given = [row.id for batch in left for clip in batch for row in clip]
    assert len(given) == len(set(given))
    assert {row.id for row in rows} - done <= set(given)


def test_nothing_is_left_when_everything_is_done():
    rows = made_up_rows(20, 0)
    assert left_batches(rows, 3, {row.id for row in rows}) == []
