import json
import os
import signal
import subprocess
import sys

import pytest

from videoalign.errors import VideoAlignError
from videoalign.preferences.choices.choice_file import ChoiceFile, preference_of
from videoalign.preferences.reading import read_preferences

CHOOSING = """
import sys
from pathlib import Path
from videoalign.preferences.choices.session import ChoiceSession

session = ChoiceSession(Path(sys.argv[1]), "Anna", previews=Path(sys.argv[2]))
for pair in list(session.pairs()) * 1000:
    session.choose(pair, {"VQ": "A", "Overall": "B"})
    print(pair, flush=True)  # the acknowledgement
"""


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("acknowledged", [1, 3])
def test_a_choice_that_was_acknowledged_survives_kill_9_at_that_moment(folder, tmp_path, acknowledged):
    command = [sys.executable, "-c", CHOOSING, str(folder), str(tmp_path / "previews")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline().strip() for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    kept = read_preferences(folder / "choices_Anna.jsonl")
    assert set(told) <= {pair.id for pair in kept}
    kept.check_clips()


def test_half_a_line_of_a_killed_writer_is_cut_off_and_the_next_choice_is_whole(session_of, folder):
    session = session_of()
    first, second, _ = session.pairs()
    session.choose(first, {"VQ": "A"})
    with (folder / "choices.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"prompt": "a red ba')
    assert list(session.file.choices()) == [first]
    session.choose(second, {"VQ": "B"})
    assert [line["id"] for line in lines(folder / "choices.jsonl")] == [first, second]


def test_the_labels_are_of_the_clips_however_they_were_shown(session_of):
    session = session_of()
    for pair in session.pairs().values():
        kept = preference_of(pair, {"VQ": "A", "MQ": "B", "TA": "same", "Overall": "B"}, session.folder)
        assert (kept.chosen, kept.rejected) == (pair.b.path.name, pair.a.path.name)
        assert kept.labels == {"VQ": "B", "MQ": "A", "TA": "same", "Overall": "A"}
        seen = kept.in_source_order()
        assert seen.labels == {"VQ": "A", "MQ": "B", "TA": "same", "Overall": "B"}
        assert seen.chosen == pair.a.path.name


def test_seeds_models_order_name_and_time_are_kept(session_of, folder):
    session = session_of("Anna Lee")
    for pair in session.pairs():
        session.choose(pair, {"Overall": "A"})
    for line in lines(folder / "choices_Anna_Lee.jsonl"):
        columns, pair = line["source"]["columns"], session.pairs()[line["id"]]
        assert columns["swapped"] == int(pair.a.path.name.endswith("two.mp4"))
        assert columns["A_model"] == f"micro-{pair.a.path.stem.split('_')[1]}"
        assert columns["A_seed"] == columns["B_seed"] == int(pair.a.path.name[:3])
        assert (columns["chooser"], columns["time"][:2], line["fps"]) == ("Anna Lee", "20", 8.0)
        assert line["prompt"] == pair.prompt


def test_both_bad_is_a_tie_that_remembers_why(session_of, folder):
    session = session_of()
    first, second, _ = session.pairs()
    session.choose(first, {"VQ": "both_bad", "MQ": "A", "Overall": "both_bad"})
    session.choose(second, {"VQ": "both_bad", "Overall": "A"})
    one, two = read_preferences(folder / "choices.jsonl")
    assert one.labels == {"VQ": "same", "MQ": "A", "Overall": "same"}
    assert (one.source.both_bad, one.source.columns["both_bad"]) == (True, "VQ Overall")
    assert (two.source.both_bad, two.source.columns["both_bad"]) == (False, "VQ")


def test_a_pair_chosen_anew_is_replaced_and_a_choice_can_be_taken_back(session_of):
    session = session_of()
    first, second, _ = session.pairs()
    for pair, answer in ((first, "A"), (second, "A"), (first, "B")):
        session.choose(pair, {"VQ": answer})
    kept = session.file.choices()
    assert [kept[first].in_source_order().labels["VQ"], len(kept)] == ["B", 2]
    assert session.take_back()["pair"] == second
    assert session.take_back() == {
        "pair": first,
        "prompt": session.pairs()[first].prompt,
        "answers": {"VQ": "B"},
    }
    assert session.take_back() is None
    assert session.file.path.read_text() == ""


def test_answers_are_taken_back_as_they_were_given(session_of):
    session = session_of()
    for pair in session.pairs():
        given = {"VQ": "both_bad", "MQ": "A", "TA": "B", "Overall": "B"}
        session.choose(pair, given)
        assert session.take_back()["answers"] == given


def test_a_file_of_another_person_is_not_added_to(session_of, folder):
    pair = next(iter(session_of().pairs()))
    session_of("Anna").choose(pair, {"VQ": "A"})
    with pytest.raises(VideoAlignError, match="holds the choices of Anna, not of Ben"):
        session_of("Ben", file=folder / "choices_Anna.jsonl").choose(pair, {"VQ": "A"})


@pytest.mark.parametrize("answers", [{}, {"VQ": "left"}, {"Beauty": "A"}])
def test_an_answer_that_does_not_exist_is_refused_and_nothing_is_kept(session_of, answers):
    session = session_of()
    with pytest.raises(VideoAlignError, match="cannot be kept; expected one of A, B, same, both_bad"):
        session.choose(next(iter(session.pairs())), answers)
    assert not session.file.path.exists()


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": 3}\n', encoding="utf-8")
    with pytest.raises(VideoAlignError, match="line 1: this is no preference pair"):
        ChoiceFile(tmp_path / "a.jsonl").choices()


def test_two_processes_that_choose_into_one_file_lose_no_acknowledged_choice(folder, tmp_path):
    code = CHOOSING.replace('"Anna", ', "").replace(
        "list(session.pairs()) * 1000", "list(session.pairs())[int(sys.argv[3]) :: 2] * 5"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(tmp_path / "p"), str(index)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    told = {line for process in running for line in process.communicate()[0].split()}
    assert [process.returncode for process in running] == [0, 0]
    assert {line["id"] for line in lines(folder / "choices.jsonl")} == told and len(told) == 3
