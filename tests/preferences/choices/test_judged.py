import json
import shutil

import pytest

from videoalign.preferences.choices.candidates import Candidate, add_candidates, read_candidates
from videoalign.preferences.choices.judged import JudgedClips


def row(clip: Candidate, **about) -> dict:
    return {"path": f"{clip.path.name}", "prompt": clip.prompt, "judge": "critic", **about}


def write_scores(folder, rows: list[dict], name: str = "scores.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def judged(folder):
    """The folder's clips, each marked by its place, with a reason."""
    clips = read_candidates(folder)
    write_scores(folder, [row(clip, light=place, light_reason=f"why {place}") for place, clip in enumerate(clips)])
    return clips


def test_marks_and_reasons_are_told_of_the_clip_under_each_letter_and_only_after_the_choice(session_of, judged):
    session = session_of()
    before = session.answer("state", {})
    assert "why" not in json.dumps(before)
    name = before["waiting"][0]["pair"]
    pair = session.pairs()[name]
    after = session.answer("choose", {"pair": name, "answers": {"VQ": "A"}})
    for side, clip in (("A", pair.a), ("B", pair.b)):
        place = judged.index(clip)
        assert after["judged"][side] == [
            {"judge": "critic", "marks": {"light": place}, "reasons": {"light": f"why {place}"}}
        ]
    assert "why" not in json.dumps(session.answer("back", {}))


def test_nothing_is_told_of_a_clip_that_comes_again_in_a_pair_that_is_not_chosen(session_of, folder, judged):
    one = judged[0]
    shutil.copy(one.path, folder / "third.mp4")
    add_candidates(folder, [Candidate(folder / "third.mp4", one.prompt, group=one.group)])
    write_scores(folder, [row(clip, light=1.0) for clip in read_candidates(folder)])
    session = session_of()
    names = [name for name, pair in session.pairs().items() if pair.prompt == one.prompt]
    assert len(names) == 3
    told = [session.answer("choose", {"pair": name, "answers": {"VQ": "A"}})["judged"] for name in names]
    # The clip that the first two pairs share waits no more after the second; after the third none does.
    assert [sorted(answer["later"]) for answer in told] == [["A", "B"], told[1]["later"], []]
    assert len(told[1]["later"]) == 1 and all(told[2][side] for side in "AB")
    assert [bool(answer[side]) for answer in told for side in answer["later"]] == [False] * 3


def test_a_judges_last_word_counts_and_marks_for_another_prompt_do_not(folder):
    clip = read_candidates(folder)[0]
    rows = [row(clip, light=1.0), row(clip, light=2.0), row(clip, prompt="another", light=3.0), row(clip, error="no")]
    write_scores(folder, rows)
    judged = JudgedClips(folder)
    assert [one["marks"] for one in judged.of(clip)] == [{"light": 2.0}]
    (folder / "scores.csv").write_text(f"path,VQ,MQ,VQ_reason\n{clip.path.name},0.5,1,sharp\n", encoding="utf-8")
    assert judged.of(clip)[1:] == [
        {"judge": "videoreward", "marks": {"VQ": 0.5, "MQ": 1.0}, "reasons": {"VQ": "sharp"}}
    ]


def test_a_damaged_score_file_keeps_nobody_from_choosing(session_of, folder):
    (folder / "scores.jsonl").write_text("{\n{}\n", encoding="utf-8")
    session = session_of()
    name = session.state()["waiting"][0]["pair"]
    after = session.answer("choose", {"pair": name, "answers": {"VQ": "A"}})
    assert after["done"] == 1 and "scores.jsonl" in after["judged"]["fault"]
