"""Several judges as one: each gives what it gives alone, a clip is decoded once, and one that refuses takes nobody along."""

import io

import numpy as np
import pytest

import videoalign.clips.frames as frames_module
from videoalign.clips.frames import Frames, View, every_frame, read_for_several, read_frames
from videoalign.errors import CaptionError, ClipError
from videoalign.judges import JudgeOptions, open_judge
from videoalign.micro_world import Fault, make_clip, sample_scene, write_video
from videoalign.reward.judge import ClipMarks, Dimension, Judge, all_dimensions
from videoalign.reward.panel import Panel, PanelError, PanelMarks, seats_of
from videoalign.reward.scoring_stream import Request, score_stream

pytest.importorskip("cv2", reason="the judge measures needs OpenCV: pip install '.[measure]'")
NAMES = ("videoreward:micro", "measures", "micro-world")
FOREIGN = "a fox in the snow"


@pytest.fixture(scope="module")
def judges():
    return [open_judge(name, JudgeOptions(device="cpu")) for name in NAMES]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips of the micro world, and one of a single frame more than none: two frames, which micro-world cannot measure."""
    folder, made = tmp_path_factory.mktemp("clips"), []
    for number, faults in enumerate(([], [Fault("blur", 0.9)])):
        clip = make_clip(np.random.default_rng(number), sample_scene(np.random.default_rng(number)), faults)
        write_video(folder / f"{number}.mp4", clip.frames, clip.fps)
        made.append((folder / f"{number}.mp4", clip.caption))
    write_video(folder / "short.mp4", clip.frames[:2], clip.fps)
    return [*made, (folder / "short.mp4", clip.caption)]


@pytest.fixture
def opened(monkeypatch):
    """How often a clip was decoded, by the real decoder."""
    real, counted = frames_module.decode_frames, []

    def decode_frames(*arguments, **options):
        counted.append(arguments[0])
        return real(*arguments, **options)

    monkeypatch.setattr(frames_module, "decode_frames", decode_frames)
    return counted


def asked(judge, *requests, **options):
    return [answer for _, answer in score_stream(judge, requests, **options)]


def own(answer, seat):
    """What a judge of a panel said, as the judge itself would give it."""
    return [marks.said[seat.name] for marks in answer]


def test_each_judge_gives_what_it_gives_alone_bit_for_bit(judges, clips):
    captions = (
        "two red circles move left over a plain grey ground",
        "one purple triangle moves up over a plain black ground",
    )
    requests = [Request(path, (caption, *captions)) for path, caption in clips[:2]]
    panel = Panel(judges)
    together = asked(panel, *requests, batch_size=2)
    for seat in panel.seats:
        alone = asked(seat.judge, *requests, batch_size=2)
        assert [own(answer, seat) for answer in together] == alone
        assert [[one.to_dict() for one in own(answer, seat)] for answer in together] == [
            [one.to_dict() for one in answer] for answer in alone
        ]


def test_a_clip_is_decoded_once_for_all_judges(judges, clips, opened):
    path, caption = clips[0]
    panel = Panel(judges)
    [[marks]] = asked(panel, Request(path, (caption,)))
    assert opened == [path] and not marks.refused
    for judge in judges:
        asked(judge, Request(path, (caption,)))
    assert len(opened) == 1 + len(judges)


def test_a_judge_that_refuses_a_clip_takes_nobody_along_and_has_no_marks(judges, clips):
    panel = Panel(judges)
    [whole], [short] = asked(panel, *(Request(path, (caption,)) for path, caption in (clips[0], clips[2])))
    assert not whole.refused and list(short.refused) == ["micro-world"]
    [alone] = asked(judges[2], Request(clips[2][0], (clips[2][1],)))
    assert isinstance(alone, ClipError) and short.refused["micro-world"] == str(alone)
    mine = [one.name for one in panel.seats[2].dimensions]
    assert {name for name, mark in short.marks.items() if mark is None} == set(mine)
    assert all(whole.marks[name] is not None for name in mine)
    row = short.to_dict()
    assert row["errors"] == short.refused and row["micro-world.VQ"] is None and "errors" not in whole.to_dict()
    assert [short.said["measures"]] == asked(judges[1], Request(clips[2][0], (clips[2][1],)))[0]


class Level(Judge):
    """Mean grey level, of a single picture too; reads its clips by itself where told so."""

    name, title, licence = "level", "level", "Apache-2.0"
    dimensions = (Dimension("level", "mean level", "levels of 255"),)

    def identity(self):
        return {"version": 1}

    def prepare_frames(self, frames):
        return frames

    def score_prepared(self, clips, captions):
        return [
            [
                ClipMarks({"level": float(clip.pixels.float().mean())}, text, clip.total_frames, clip.fps)
                for text in texts
            ]
            for clip, texts in zip(clips, captions, strict=True)
        ]


class Reader(Level):
    """The same, by a ``prepare`` of its own."""

    name, prepare_frames = "reader", Judge.prepare_frames

    def prepare(self, source, fps=None):
        return read_frames(source, View(every_frame), fps)


def test_where_one_judge_cannot_even_choose_frames_each_reads_the_clip_by_itself(judges, tmp_path, opened):
    picture = tmp_path / "picture.mp4"
    write_video(picture, np.full((1, 64, 64, 3), 90, np.uint8), 8)
    [[marks]] = asked(Panel([judges[0], judges[1], Level()]), Request(picture, ("any",)))
    assert list(marks.refused) == ["videoreward", "measures"] and marks.marks["level.level"] == pytest.approx(90, abs=2)
    [alone] = asked(judges[0], Request(picture, ("any",)))
    assert marks.refused["videoreward"] == str(alone)


def test_what_others_want_to_see_of_a_clip_comes_from_the_same_reading_or_from_one_of_its_own(
    judges, clips, tmp_path, opened
):
    small = View(every_frame, lambda frames: frames[:, :, ::4, ::4])
    (path, _), panel = clips[0], Panel(judges)
    prepared, (seen,) = panel.prepare_beside(path, [small])
    assert opened == [path] and seen.pixels.shape == (17, 3, 16, 16)
    assert (
        panel.score_prepared([prepared], [(None,)])[0][0].marks
        == panel.score_prepared([panel.prepare(path)], [(None,)])[0][0].marks
    )
    picture = tmp_path / "picture.mp4"
    write_video(picture, np.full((1, 64, 64, 3), 90, np.uint8), 8)
    opened.clear()
    with picture.open("rb") as file:  # measures refuses it while it chooses: all read the file again from its start
        prepared, (seen,) = Panel([judges[1], Level()]).prepare_beside(file, [small])
    assert seen.total_frames == 1 and [isinstance(one, ClipError) for one in prepared.prepared] == [True, False]
    assert len(opened) == 4


def test_a_judge_with_a_way_of_reading_of_its_own_sits_beside_the_others(judges, clips, opened):
    path, caption = clips[0]
    panel = Panel([judges[1], Level(), Reader()])
    [[marks]] = asked(panel, Request(io.BytesIO(path.read_bytes()), (caption,)))
    assert not marks.refused and marks.marks["reader.level"] == marks.marks["level.level"]
    assert len(opened) == 2  # once for the two that share, once for the one that reads by itself
    assert len(panel.views) == 2
    with pytest.raises(ClipError, match="by itself"):
        panel.prepare_views(read_for_several(path, panel.views))


def test_a_clip_that_nobody_can_judge_is_an_error_with_each_judges_cause(judges, tmp_path):
    gone = tmp_path / "gone.mp4"
    [error] = asked(Panel(judges), Request(gone, ("two red circles move left over a plain grey ground",)))
    assert isinstance(error, PanelError) and isinstance(error, ClipError)
    assert list(error.causes) == ["videoreward", "measures", "micro-world"]
    [alone] = asked(judges[1], Request(gone))
    assert {str(cause) for cause in error.causes.values()} == {str(alone)} == {str(error)}


def test_a_caption_that_one_judge_refuses_is_judged_by_the_others_as_they_would_alone(judges, clips):
    path, caption = clips[0]
    request = Request(path, (caption, FOREIGN))
    panel = Panel(judges)
    [(known, foreign)] = asked(panel, request)
    assert not known.refused and list(foreign.refused) == ["micro-world"]
    assert "does not know this caption" in foreign.refused["micro-world"]
    [alone] = asked(judges[0], request)
    assert own((known, foreign), panel.seats[0]) == list(alone)
    [[separately]] = asked(judges[2], Request(path, (caption,)))
    assert known.said["micro-world"] == separately
    with pytest.raises(CaptionError):
        judges[2].check_caption(FOREIGN)
    panel.check_caption(FOREIGN)  # others take it
    with pytest.raises(PanelError, match="empty"):
        panel.check_caption(" ")


def test_marks_stand_under_their_judges_name_and_videorewards_stay_bare_in_the_first_place_only(judges):
    reward, measures, world = judges
    first = Panel([reward, measures])
    assert [one.name for one in all_dimensions(first)][:3] == ["VQ", "MQ", "TA"] and first.overall.name == "Overall"
    assert "measures.motion" in {one.name for one in first.dimensions} and first.name == "videoreward+measures"
    second = Panel([measures, reward])
    assert {"measures.motion", "videoreward.VQ"} <= {one.name for one in second.dimensions} and second.overall is None
    twice = Panel([reward, reward, world])
    assert [seat.name for seat in twice.seats] == ["videoreward", "videoreward-2", "micro-world"]
    names = [one.name for one in all_dimensions(twice)]
    assert len(set(names)) == len(names) == 12 and {"VQ", "videoreward-2.VQ", "micro-world.VQ"} <= set(names)
    still = next(one for one in first.dimensions if one.name == "measures.still")
    assert not still.higher_is_better and still.unit == "share of the frames"
    assert [seat.name for seat in seats_of(world)] == ["micro-world"]


def test_the_panels_identity_changes_with_any_of_its_judges(judges):
    reward, measures, world = judges
    identities = [repr(Panel(some).identity()) for some in ([reward, measures], [reward, world], [measures, reward])]
    assert len(set(identities)) == 3
    assert Panel([reward, measures]).identity()["judges"]["measures"] == {"judge": "measures", "measures": 1}
    assert Panel(judges).modules == reward.modules


def test_open_files_and_frames_in_memory_are_judged_like_the_file(judges, clips):
    path, caption = clips[2]  # which one judge refuses: the others must find the file where it stood
    panel = Panel(judges)
    [[by_path]] = asked(panel, Request(path, (caption,)))
    with open(path, "rb") as file:
        [[by_file]] = asked(panel, Request(io.BytesIO(file.read()), (caption,)))
    assert by_file.marks == by_path.marks
    noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)
    [[given]] = asked(panel, Request(Frames(noise, 8), (caption,)))
    assert given.said["measures"] == asked(judges[1], Request(Frames(noise, 8), (caption,)))[0][0]


def test_what_was_read_for_the_views_is_made_ready_without_another_reading(judges, clips, opened):
    path, caption = clips[0]
    panel = Panel(judges)
    prepared = panel.prepare_views(read_for_several(path, panel.views))
    [[marks]] = panel.score_prepared([prepared], [(caption,)])
    assert len(opened) == 1 and isinstance(marks, PanelMarks)
    [[again]] = asked(panel, Request(path, (caption,)))
    assert marks.to_dict() == again.to_dict()
    assert panel.working_memory(prepared) == judges[0].working_memory(prepared.prepared[0]) > 0
