import json

import pytest

from videoalign.clips.preview import playable
from videoalign.errors import VideoAlignError
from videoalign.preferences.choices.candidates import Candidate, add_candidates, read_candidates


def waiting(state: dict) -> list[str]:
    return [pair["pair"] for pair in state["waiting"]]


def test_the_state_tells_how_far_one_is_and_what_comes_next_but_no_name_of_a_clip(session_of):
    session = session_of()
    state = session.state()
    assert (state["total"], state["done"], len(state["waiting"])) == (3, 0, 3)
    first = state["waiting"][0]
    after = session.answer("choose", {"pair": first["pair"], "answers": {"VQ": "A"}})
    assert (after["done"], first["pair"] in waiting(after)) == (1, False)
    assert not any(word in json.dumps(after) for word in ("_one", "_two", "micro-", '"seed"'))


def test_another_session_goes_on_where_the_first_one_stopped(session_of):
    first, *others = waiting(session_of("Anna").state())
    session_of("Anna").choose(first, {"VQ": "A"})
    assert waiting(session_of("Anna").state()) == others
    assert len(waiting(session_of("Ben").state())) == 3


def test_a_skipped_pair_comes_last(session_of):
    session = session_of()
    first, second, third = waiting(session.state())
    assert waiting(session.answer("state", {"skipped": [first]})) == [second, third, first]


def test_clips_that_come_while_somebody_chooses_are_shown(session_of, folder, noise_clip):
    session = session_of()
    assert session.state()["total"] == 3
    clips = [Candidate(noise_clip(name)[0], "noise") for name in ("a.mp4", "b.mp4")]
    assert add_candidates(folder, clips) == 2
    assert add_candidates(folder, clips) == 0
    assert session.state()["total"] == 4


def test_the_clip_of_a_side_is_the_one_that_the_file_will_name(session_of):
    session = session_of()
    for pair in session.pairs().values():
        for side, clip in (("A", pair.a), ("B", pair.b)):
            assert session.clip(pair.id, side) == playable(clip.path, session.previews)


@pytest.mark.parametrize(
    ("action", "values", "message"),
    [
        ("choose", {"pair": "../../x", "answers": {"VQ": "A"}}, "There is no pair"),
        ("choose", {"pair": 3, "answers": {"VQ": "A"}}, "needs 'pair' and 'answers'"),
        ("choose", {}, "needs 'pair' and 'answers'"),
        ("delete", {}, "There is no request 'delete'"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(session_of, action, values, message):
    with pytest.raises(VideoAlignError, match=message):
        session_of().answer(action, values)


def test_a_clip_outside_of_the_permitted_folder_is_refused(session_of, folder, noise_clip):
    add_candidates(folder, [Candidate(noise_clip()[0], "noise")])
    with pytest.raises(VideoAlignError, match=r"noise\.mp4 lies outside of clips/"):
        session_of(within=folder).state()


@pytest.mark.parametrize("name", ["../Anna", "a/b", ".hidden", "con\0", "x" * 80])
def test_a_name_that_would_be_a_path_is_refused(session_of, name):
    with pytest.raises(VideoAlignError, match="cannot be part of a file's name"):
        session_of(name)


def test_a_folder_without_a_table_takes_prompts_from_text_files_or_one_for_all(tmp_path, noise_clip):
    noise_clip("a.mp4")
    noise_clip("b.mp4")
    assert {clip.prompt for clip in read_candidates(tmp_path, prompt="noise")} == {"noise"}
    with pytest.raises(VideoAlignError, match="prompts have to be known"):
        read_candidates(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("grey noise", encoding="utf-8")
    assert [(clip.path.name, clip.prompt) for clip in read_candidates(tmp_path)] == [
        ("a.mp4", "grey noise"),
        ("b.mp4", "grey noise"),
    ]


def test_a_csv_of_clips_will_do(tmp_path, noise_clip):
    noise_clip("a.mp4")
    table = tmp_path / "t.csv"
    table.write_text("path,prompt,seed,model\na.mp4,noise,7,wan\n", encoding="utf-8")
    (clip,) = read_candidates(tmp_path, table)
    assert (clip.path, clip.seed, clip.model) == (tmp_path / "a.mp4", 7, "wan")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "a.mp4"}', "row 1 .*: column 'prompt' is missing"),
        ('{"path": "a.mp4", "prompt": "p", "seed": "x"}', "column 'seed': found 'x'; expected a whole number"),
        ("[1]", "row 1: found int; expected a JSON object"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, line, message):
    (tmp_path / "clips.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(VideoAlignError, match=message):
        read_candidates(tmp_path)
