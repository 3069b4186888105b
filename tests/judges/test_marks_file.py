"""Marks from a file: by path, name and caption; what cannot be read is the error of its clip, never a mark."""

import json

import pytest

from videoalign.clips.frames import Frames
from videoalign.errors import CaptionError, ClipError, TableError
from videoalign.judges import JudgeError, JudgeOptions, open_judge

# The layout and the answers of LiFT's demo/critic_output_13b.json; captions cut.
LIFT = [
    {
        "video_id": "demo_0.mp4", "video": "0.mp4", "caption": "A majestic crane stands in a wetland.",
        "semantic consistency": "Good. Basically correct.",
        "fidelity issues": "Bad. The crane's eyes in the video were not generated.",
        "motion issues": "Good. No obvious problems.",
    },
    {
        "video_id": "demo_1", "video": "1.mp4", "caption": "A fluffy panda wears a spacesuit.",
        "semantic consistency": "Bad. The video does not show the panda wearing a futuristic spacesuit.",
        "fidelity issues": "Bad. The panda's limbs are missing in the video.",
        "motion issues": "Normal. The panda's movements are basically normal.",
    },
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, encode):
    for name in ("0.mp4", "1.mp4"):
        encode(name, frames=4)
    return tmp_path


def write(path, rows):
    path.write_text(json.dumps(rows), encoding="utf-8")
    return open_judge(f"marks-file:{path}")


def marks(judge, clip, caption=None):
    [[result]] = judge.score_prepared([judge.prepare(clip)], [(caption,)])
    return result


def test_lifts_ratings_are_marks_with_their_reasons(folder):
    judge = write(folder / "critic.json", LIFT)
    crane, panda = marks(judge, folder / "0.mp4"), marks(judge, folder / "1.mp4", LIFT[1]["caption"])
    assert crane.marks == {"semantic_consistency": 2, "fidelity": 0, "motion_smoothness": 2}
    assert panda.marks == {"semantic_consistency": 0, "fidelity": 0, "motion_smoothness": 1}
    assert crane.reasons["fidelity"] == LIFT[0]["fidelity issues"] and judge.gives_reasons
    assert (crane.total_frames, crane.fps) == (4, 24)
    assert "not for commercial use" in judge.licence
    assert {(d.lowest, d.highest) for d in judge.dimensions} == {(0, 2)}


@pytest.mark.parametrize("answer", ["The crane looks good.", "", None, "Goodish.", 3])
def test_an_unreadable_answer_is_the_error_of_its_clip_and_is_shown(folder, answer):
    judge = write(folder / "critic.json", [{**LIFT[0], "fidelity issues": answer}, LIFT[1]])
    with pytest.raises(ClipError, match=r"marks of .*0.mp4 cannot be read.*'fidelity issues'") as caught:
        marks(judge, folder / "0.mp4")
    assert not answer or str(answer) in str(caught.value)
    assert marks(judge, folder / "1.mp4").marks["motion_smoothness"] == 1


def test_conversations_of_one_clip_make_one_set_of_marks(folder):
    def turn(topic, answer):
        question = f"<video>\n a crane Please identify the {topic} issues in this video."
        return {
            "video": "0.mp4",
            "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}],
        }

    judge = write(
        folder / "hra.json",
        [turn("fidelity", "Good."), turn("motion", "Bad. It jumps."), turn("fidelity", "Bad. A leg.")],
    )
    rated = marks(judge, folder / "0.mp4", "a crane")
    assert rated.marks == {"fidelity": 1.0, "motion_smoothness": 0.0}
    assert rated.reasons == {"fidelity": "Good.\nBad. A leg.", "motion_smoothness": "Bad. It jumps."}


def test_other_files_have_the_marks_of_their_columns_and_say_which_clip_and_caption(folder):
    (folder / "theirs.csv").write_text(
        "path,prompt,beauty,pace,pace_reason,seed,who\n0.mp4,a cat,3.5,,too slow,7,me\n1.mp4,a dog,4,2,,8,you\n1.mp4,a cow,1,2,,8,you\n"
    )
    judge = open_judge(f"marks-file:{folder / 'theirs.csv'}")
    assert [d.name for d in judge.dimensions] == ["beauty", "pace"]
    cat = marks(judge, folder / "0.mp4", "a cat")
    assert cat.marks == {"beauty": 3.5, "pace": None} and cat.reasons == {"pace": "too slow"}
    assert marks(judge, folder / "1.mp4", "a cow").marks == {"beauty": 1, "pace": 2}
    with pytest.raises(CaptionError, match="for several captions"):
        marks(judge, folder / "1.mp4")
    with pytest.raises(CaptionError, match=r"for another caption, 'a cat'"):
        marks(judge, folder / "0.mp4", "a horse")


def test_a_clip_is_known_by_its_path_else_by_a_name_that_is_its_own(folder, encode):
    (folder / "sub").mkdir()
    encode("sub/0.mp4", frames=3)
    encode("2.mp4", frames=3)
    rows = [{"id": "0", "mark": 1}, {"id": "x/1.mp4", "mark": 2}, {"id": "y/1.mp4", "mark": 3}]
    judge = write(folder / "marks.json", rows)
    assert marks(judge, folder / "sub" / "0.mp4").marks == {"mark": 1}
    with pytest.raises(ClipError, match=r"several clips called 1.mp4: x/1.mp4, y/1.mp4"):
        judge.prepare(folder / "1.mp4")
    with pytest.raises(ClipError, match=r"says nothing of 2.mp4"):
        judge.prepare(folder / "2.mp4")
    with pytest.raises(ClipError, match="knows clips by their files"):
        judge.prepare(Frames([[[[0]]]], 8.0))


def test_marks_that_a_command_wrote_are_read_back_and_a_failed_row_stays_an_error(folder, videoalign):
    first = folder / "first.csv"
    (folder / "broken.mp4").write_bytes(b"no clip")
    judge = f"marks-file:{folder / 'critic.json'}"
    write(folder / "critic.json", [*LIFT, {**LIFT[0], "video": "broken.mp4"}])
    outcome = videoalign("score", folder / "0.mp4", folder / "broken.mp4", "--judge", judge, "--output", first)
    assert outcome.status == 1
    again = videoalign("score", folder / "0.mp4", "--judge", f"marks-file:{first}", "--json")
    assert (
        again.status == 0 and again.rows[0]["fidelity"] == 0 and again.rows[0]["reasons"]["fidelity"].startswith("Bad.")
    )
    with pytest.raises(ClipError, match=r"broken\.mp4"):
        open_judge(f"marks-file:{first}").prepare(folder / "broken.mp4")


def test_files_without_marks_and_options_are_refused(folder):
    with pytest.raises(JudgeError, match="needs a file"):
        open_judge("marks-file")
    with pytest.raises(TableError, match="holds no marks of any clip"):
        write(folder / "empty.json", [{"path": "0.mp4", "who": "me"}])
    with pytest.raises(TableError, match="names no clip"):
        write(folder / "nameless.json", [{"mark": 1}])
    with pytest.raises(JudgeError, match="looks at no frames"):
        open_judge(f"marks-file:{folder / 'x.csv'}", JudgeOptions(sampling={"fps": 1}))
