"""Judges are opened by name: the files of the room, and what a user registers."""

import subprocess
import sys

import pytest
from documented import load_example

import videoalign.judges as judges
from videoalign.judges import JudgeError, JudgeOptions, judge_names, judge_or_reward, open_judge, parse_judge


@pytest.fixture
def brightness():
    load_example("toy_judge.py")  # registers it
    yield "brightness"
    judges.unregister_judge("brightness")


def test_every_file_of_the_room_is_a_judge_that_says_who_it_is():
    public = {"videoscore2", "unified-reward", "hpsv3", "pickscore", "marks-file"}
    assert {"videoreward", "micro-world"} | public <= set(judge_names())
    for name in public:
        with pytest.raises(JudgeError, match=rf"The judge {name} needs"):
            open_judge(name)
    for text in ("videoreward:micro", "micro-world"):
        judge = open_judge(text, JudgeOptions(device="cpu"))
        assert judge.name == text.partition(":")[0]
        assert judge.licence and judge.title and judge.identity()
        assert len({dimension.name for dimension in judge.dimensions}) == len(judge.dimensions) > 0


def test_listing_the_judges_imports_none_of_them():
    code = "import sys, videoalign.judges as j; j.judge_names(); print([m for m in sys.modules if m.startswith('videoalign.judges.') or m == 'torch'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_name_is_told_from_its_source_at_the_first_colon(brightness):
    assert parse_judge("videoreward:C:\\models\\a.safetensors") == ("videoreward", "C:\\models\\a.safetensors")
    assert parse_judge("brightness") == ("brightness", None)
    assert judge_or_reward("brightness") == "brightness"
    assert judge_or_reward("models/a.safetensors") == "videoreward:models/a.safetensors"
    with pytest.raises(JudgeError, match=r"no judge 'nobody'.*micro-world"):
        parse_judge("nobody:x")


def test_a_name_that_is_taken_cannot_be_registered_again(brightness):
    for name in ("brightness", "videoreward", "a:b", ""):
        with pytest.raises(JudgeError):
            judges.register_judge(name, lambda source, options: None)


def test_what_a_judge_cannot_follow_is_refused():
    with pytest.raises(JudgeError, match="needs its weights"):
        open_judge("videoreward")
    with pytest.raises(JudgeError, match="no source"):
        open_judge("micro-world:x")
    with pytest.raises(JudgeError, match="every frame as it is"):
        open_judge("micro-world", JudgeOptions(sampling={"fps": 2.0}))


def test_a_registered_judge_scores_on_the_command_line_and_its_file_says_so(
    brightness, videoalign, small_clips, tmp_path
):
    import csv
    import json

    output = tmp_path / "light.csv"
    outcome = videoalign("score", small_clips, "--judge", "brightness", "--output", output, "--json")
    assert outcome.status == 0
    assert [list(row) for row in outcome.rows] == [
        ["id", "path", "prompt", "light", "total_frames", "fps", "judge"]
    ] * 4
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "path", "prompt", "light", "total_frames", "fps", "error", "judge", "notes"]
    assert {row["judge"] for row in rows} == {"brightness"} and float(rows[0]["light"]) == outcome.rows[0]["light"]
    assert json.loads((tmp_path / "light.csv.run" / "run.json").read_text()) == {"judge": "brightness", "version": 1}
    other = videoalign("score", small_clips, "--judge", "micro-world", "--output", output)
    assert other.status == 1 and "another judge" in other.err


def test_a_table_marks_the_lowest_where_less_is_better(brightness, videoalign, small_clips):
    outcome = videoalign("score", small_clips, "--prompt", "a cat", "--judge", "brightness")
    lines = [line for line in outcome.out.splitlines() if ".mp4" in line]
    marks = {line[0]: float(line.split()[2 if line[0] == "*" else 1]) for line in lines}
    values = [float(line.split()[2 if line[0] == "*" else 1]) for line in lines]
    assert marks["*"] == min(values)
    assert "Marks are share of white." in outcome.out


def test_the_embedded_reward_remarks_on_clips_that_it_does_not_know():
    import numpy as np

    from videoalign.clips.frames import Frames
    from videoalign.judges import open_judge
    from videoalign.micro_world.clip import iterate_clips

    judge, drawn = open_judge("videoreward:micro"), next(iterate_clips(3))
    large = np.repeat(np.repeat(drawn.frames, 2, axis=1), 2, axis=2)
    clips = [Frames(drawn.frames, 8.0), Frames(drawn.frames, 8.0), Frames(large, 8.0)]
    scored = judge.score(clips, [drawn.caption, "a red fox", drawn.caption])
    assert [len(one.notes) for one in scored] == [0, 1, 1]
