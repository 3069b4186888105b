"""Several judges in one pass, each with a file of its own: byte for byte what each writes alone, however it came about."""

import pytest

import videoalign.clips.frames as frames_module
from videoalign.evaluation.scoring.score_journal import ScoreJournal, csv_columns
from videoalign.evaluation.scoring.score_rows import rows_from_manifest
from videoalign.evaluation.scoring.scoring_apart import score_apart
from videoalign.evaluation.scoring.scoring_run import Process, ScoringOptions, run_settings, score_rows
from videoalign.judges import JudgeOptions, open_judge

pytest.importorskip("cv2", reason="the judge measures needs OpenCV: pip install '.[measure]'")
NAMES = ("videoreward:micro", "measures", "micro-world")
CAPTION = "two red circles move left over a plain grey ground"


@pytest.fixture(scope="module")
def judges():
    return [open_judge(name, JudgeOptions(device="cpu")) for name in NAMES]


@pytest.fixture
def rows(small_clips, manifest):
    """Two captions for each clip, one of them foreign to one judge, and a file that is none."""
    (small_clips / "broken.mp4").write_bytes(b"no video")
    given = [(f"{name}.mp4", text) for name in "abcd" for text in (CAPTION, "a fox")]
    return rows_from_manifest(manifest(*given, ("broken.mp4", CAPTION)))


def journals_in(folder, judges):
    folder.mkdir(exist_ok=True)
    return [
        ScoreJournal(folder / f"{judge.name}.jsonl", run_settings(judge), 0, 1, False, csv_columns(judge))
        for judge in judges
    ]


def apart(judges, rows, folder):
    options = ScoringOptions(batch_size=2)
    return score_apart(judges, rows, options, Process(0, 1), journals_in(folder, judges))


def texts(folder, judges):
    return [(folder / f"{judge.name}.jsonl").read_bytes() for judge in judges]


@pytest.fixture
def alone(judges, rows, tmp_path):
    """The files that each judge writes by itself, and how many of its rows failed."""
    failed = []
    for judge, journal in zip(judges, journals_in(tmp_path / "alone", judges), strict=True):
        failed.append(score_rows(judge, rows, ScoringOptions(batch_size=2), Process(0, 1), journal).failed)
    return texts(tmp_path / "alone", judges), failed


def test_each_file_is_what_the_judge_writes_alone(judges, rows, alone, tmp_path):
    outcomes = apart(judges, rows, tmp_path / "apart")
    assert texts(tmp_path / "apart", judges) == alone[0]
    assert [outcome.failed for outcome in outcomes] == alone[1] == [1, 1, 9]


def test_a_judge_that_is_added_later_gets_its_file_and_the_others_are_not_asked_again(
    judges, rows, alone, tmp_path, monkeypatch
):
    sound = [row for row in rows if row.path.name != "broken.mp4"]
    first = apart(judges[:1], sound, tmp_path / "apart")
    monkeypatch.setattr(judges[0], "score_prepared", None)  # whoever asks it again fails
    both = apart(judges[:2], sound, tmp_path / "apart")
    assert [one.results for one in both][:1] == [first[0].results] and both[1].failed == 0


@pytest.mark.parametrize("stopped_after", [0, 3])
def test_a_run_that_was_stopped_ends_in_the_same_files(judges, rows, alone, tmp_path, interrupt_after, stopped_after):
    interrupt_after(stopped_after)
    with pytest.raises(KeyboardInterrupt):
        apart(judges, rows, tmp_path / "apart")
    interrupt_after(None)
    apart(judges, rows, tmp_path / "apart")
    assert texts(tmp_path / "apart", judges) == alone[0]


def test_clips_are_decoded_once_for_all_judges(judges, rows, tmp_path, monkeypatch):
    real, counted = frames_module.decode_frames, []
    monkeypatch.setattr(
        frames_module,
        "decode_frames",
        lambda source, *rest, **more: (counted.append(source), real(source, *rest, **more))[1],
    )
    known = [row for row in rows if row.prompt == CAPTION and row.path.name != "broken.mp4"]
    apart(judges[:2], known, tmp_path / "apart")
    assert sorted(counted) == sorted(row.path for row in known)
