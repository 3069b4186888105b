"""Importers of GenAI-Bench, VideoDPO, VisionRewardDB-Video and LiFT, on small files in those formats."""

import json

import pytest

from videoalign.errors import PreferenceFileError
from videoalign.preferences.importers.detect import detect_format
from videoalign.preferences.importers.lift import read_lift_ratings
from videoalign.preferences.importers.scored_clips import ScoredClip
from videoalign.preferences.preference_file import write_preferences
from videoalign.preferences.reading import read_preferences


def put(path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def put_lines(path, rows):
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


# GenAI-Bench


def test_genai_bench_votes_become_overall_labels_and_both_bad_is_a_flagged_tie(tmp_path):
    votes = ("leftvote", "rightvote", "tievote", "bothbad_vote")
    rows = [
        {
            "prompt": f"p{i}",
            "left_model": "m",
            "left_video": f"l{i}.mp4",
            "right_video": {"path": f"r{i}.mp4"},
            "vote_type": v,
        }
        for i, v in enumerate(votes)
    ]
    found = read_preferences(put_lines(tmp_path / "votes.jsonl", rows))
    assert found.format == "genai_bench"
    assert [pair.in_source_order().labels["Overall"] for pair in found] == ["A", "B", "same", "same"]
    assert [pair.chosen for pair in found] == ["l0.mp4", "r1.mp4", "l2.mp4", "l3.mp4"]
    assert [pair.source.both_bad for pair in found] == [False, False, False, True]
    write_preferences(tmp_path / "pairs.jsonl", found)
    assert read_preferences(tmp_path / "pairs.jsonl").pairs == found.pairs
    rows[2]["vote_type"] = "tie"
    with pytest.raises(
        PreferenceFileError, match=r"row 3 \(line 3\), column 'vote_type': found 'tie'; allowed: leftvote"
    ):
        read_preferences(put_lines(tmp_path / "votes.jsonl", rows))


# VideoDPO


def video_dpo(folder, pairs, durations=(2.0, 2.0, 2.0)):
    clips = [{"basic": {"clip_path": f"c{i}.mp4", "clip_duration": d}} for i, d in enumerate(durations)]
    put(folder / "metadata.json", clips)
    return put(folder / "pair.json", pairs)


def test_videodpo_numbers_point_into_metadata_and_video1_is_chosen(tmp_path):
    rows = [
        {"video1": 2, "video2": 0, "frame_caption": ["a cat", "other"], "score": 0.36},
        {"video1": 1, "video2": 2, "frame_caption": "dog"},
    ]
    found = read_preferences(video_dpo(tmp_path, rows))
    assert found.format == "videodpo"
    assert [(p.chosen, p.rejected, p.prompt) for p in found] == [
        ("c2.mp4", "c0.mp4", "a cat"),
        ("c1.mp4", "c2.mp4", "dog"),
    ]
    assert all(p.labels == {"Overall": "A"} and p.weight == 1.0 for p in found)
    weighted = read_preferences(tmp_path / "pair.json", weight_beta=1.0)
    assert [p.weight for p in weighted] == pytest.approx([2.0, 0.72])


def test_videodpo_does_not_number_clips_shorter_than_a_second(tmp_path):
    path = video_dpo(tmp_path, [{"video1": 1, "video2": 0, "frame_caption": "x"}], durations=(2.0, 0.5, 2.0))
    assert read_preferences(path)[0].chosen == "c2.mp4"
    assert read_preferences(path, clip_length=0.0)[0].chosen == "c1.mp4"


@pytest.mark.parametrize("number", [3, -1, "x", 1.5, True, None])
def test_a_videodpo_number_outside_metadata_is_an_error_that_names_the_row(tmp_path, number):
    path = video_dpo(tmp_path, [{"video1": number, "video2": 0, "frame_caption": "x"}])
    with pytest.raises(PreferenceFileError, match=r"row 1, column 'video1': found .* (0 to 2|expected a whole number)"):
        read_preferences(path)


def test_a_pair_json_without_metadata_says_what_it_needs(tmp_path):
    path = put(tmp_path / "pair.json", [{"video1": 0, "video2": 1, "frame_caption": "x"}])
    with pytest.raises(PreferenceFileError, match=r"metadata\.json: not found"):
        read_preferences(path)


# VisionRewardDB-Video


def test_visionreward_answers_become_overall_labels_and_unknown_ones_an_error(tmp_path):
    row = {"internal_id": "7", "prompt": "p", "video1_path": "a.mp4", "video2_path": "b.mp4"}
    answers = ["video1", "2", "tie"]
    path = put_lines(tmp_path / "test.jsonl", [{**row, "standard_answer": answer} for answer in answers])
    found = read_preferences(path)
    assert found.format == "visionreward"
    assert [pair.in_source_order().labels["Overall"] for pair in found] == ["A", "B", "same"]
    assert found[1].chosen == "b.mp4" and found[1].source.columns["internal_id"] == "7"
    path = put_lines(tmp_path / "test.jsonl", [{**row, "standard_answer": "left"}])
    with pytest.raises(PreferenceFileError, match=r"row 1 \(line 1\), column 'standard_answer': found 'left'"):
        read_preferences(path)
    assert read_preferences(path, answers={"left": "A"})[0].chosen == "a.mp4"


# LiFT


QUESTION = {
    "TA": "Please identify the semantic consistency issues in this video, focusing on the text.",
    "VQ": "Please identify the fidelity issues in this video, assessing the realism.",
    "MQ": "Please identify the motion issues in this video, focusing on continuity.",
}


def rated(video, dimension, answer, caption="A cat. Please identify the motion issues here."):
    turns = [
        {"from": "human", "value": f"<video>\n {caption} {QUESTION[dimension]}"},
        {"from": "gpt", "value": answer},
    ]
    return {"video": video, "conversations": turns}


def test_lift_ratings_of_one_clip_are_gathered_under_its_caption(tmp_path):
    rows = [
        rated("v/1.mp4", "VQ", "Bad. Six fingers."),
        rated("v/1.mp4", "TA", "Good. Basically correct."),
        rated("v/1.mp4", "VQ", "Good."),
        rated("v/2.mp4", "MQ", "Normal. Jerky."),
    ]
    first, second = read_lift_ratings(put(tmp_path / "hra.json", rows))
    assert first == ScoredClip("v/1.mp4", "A cat. Please identify the motion issues here.", {"VQ": 1.0, "TA": 2.0})
    assert second.scores == {"MQ": 1.0}


def test_lift_clips_of_one_caption_become_pairs_and_other_captions_are_not_mixed_in(tmp_path):
    rows = [
        rated("1.mp4", "VQ", "Bad."),
        rated("1.mp4", "MQ", "Good."),
        rated("2.mp4", "VQ", "Good."),
        rated("2.mp4", "MQ", "Good."),
        rated("3.mp4", "TA", "Good."),
        rated("4.mp4", "VQ", "Good.", caption="A dog."),
    ]
    found = read_preferences(put(tmp_path / "hra.json", rows))
    assert found.format == "lift"
    assert [(p.chosen, p.rejected, p.labels) for p in found] == [("2.mp4", "1.mp4", {"VQ": "A", "MQ": "same"})]


def test_the_lift_critics_output_reads_as_ratings_too(tmp_path):
    row = {
        "video_id": "d",
        "video": "0.mp4",
        "caption": "c",
        "semantic consistency": "Good. x",
        "fidelity issues": "Bad.",
    }
    path = put(tmp_path / "critic.json", [{**row, "motion issues": "Normal."}])
    assert detect_format(path) == "lift"
    assert read_lift_ratings(path)[0].scores == {"TA": 2.0, "VQ": 0.0, "MQ": 1.0}
    assert read_lift_ratings(path, ratings={"Bad": 0.05, "Normal": 0.2, "Good": 0.9})[0].scores["VQ"] == 0.05


@pytest.mark.parametrize("answer", ["The video is fine.", "", None, "Goodish. Hm."])
def test_an_answer_of_the_critic_that_is_no_rating_is_an_error_and_not_good(tmp_path, answer):
    path = put(tmp_path / "hra.json", [rated("1.mp4", "VQ", "Good."), rated("2.mp4", "VQ", answer)])
    with pytest.raises(
        PreferenceFileError, match=r"row 2, column 'conversations': .*begin with one of Bad, Normal, Good"
    ):
        read_lift_ratings(path)


def test_a_lift_entry_with_an_unknown_question_or_other_turns_is_named(tmp_path):
    strange = rated("1.mp4", "VQ", "Good.")
    strange["conversations"][0]["value"] = "<video> What is this?"
    with pytest.raises(PreferenceFileError, match="row 1, column 'conversations': no known question"):
        read_lift_ratings(put(tmp_path / "hra.json", [strange]))
    strange["conversations"] = strange["conversations"][:1]
    with pytest.raises(PreferenceFileError, match=r"found turns by \['human'\]"):
        read_lift_ratings(put(tmp_path / "hra.json", [strange]))


def test_a_path_that_no_file_can_hold_is_told_with_its_row(tmp_path):
    row = {"prompt": "p", "left_video": "a.mp4", "right_video": "\ud800.mp4", "vote_type": "leftvote"}
    path = put_lines(tmp_path / "votes.jsonl", [row])
    with pytest.raises(
        PreferenceFileError, match=r"votes\.jsonl, row 1, key 'rejected': found '\\ud800\.mp4'; .*unicode"
    ):
        read_preferences(path)


def test_a_number_of_a_videodpo_file_may_be_written_with_a_point_and_a_length_must_be_one(tmp_path):
    path = video_dpo(tmp_path, [{"video1": 1.0, "video2": 0, "frame_caption": "x"}])
    assert len(read_preferences(path)) == 1
    (tmp_path / "metadata.json").write_text(
        '[{"basic": {"clip_path": "a.mp4", "clip_duration": NaN}}]', encoding="utf-8"
    )
    with pytest.raises(PreferenceFileError, match=r"column 'basic.clip_duration': found nan; expected seconds"):
        read_preferences(path)
