"""Which clips are kept, from score files of several kinds, and what is said of the others."""

import json

import pytest

from videoalign.errors import TableError
from videoalign.evaluation.filtering.choosing import choose, ranking_of
from videoalign.evaluation.filtering.score_file import FilterError, find_score_file, read_score_file
from videoalign.reward.gates import Gate


@pytest.fixture
def scores(tmp_path):
    """Write rows (path and columns) as JSON lines; the clips are there, as empty files, but those called gone*."""

    def write(*rows, name="scores.jsonl"):
        for row in rows:
            if not row["path"].startswith("gone"):
                (tmp_path / row["path"]).touch()
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return read_score_file(tmp_path / name)

    return write


def kept(file, *gates, best=None, within="prompt", by=()):
    ranking = None if best is None else ranking_of(file, by, best, within)
    return [choice.row.path for choice in choose(file, [Gate.parse(gate) for gate in gates], ranking) if choice.kept]


def test_every_gate_must_hold_and_each_that_does_not_is_told(scores):
    file = scores(
        {"path": "a.mp4", "VQ": 1.0, "MQ": -1.0},
        {"path": "b.mp4", "VQ": 0.0, "MQ": -2.0},
        {"path": "c.mp4", "VQ": 2.0, "MQ": 3.0},
    )
    assert kept(file, "VQ>0") == ["a.mp4", "c.mp4"]
    choices = choose(file, [Gate.parse("VQ>0"), Gate.parse("MQ>=0")], None)
    assert [[reason.text for reason in choice.reasons] for choice in choices] == [
        ["MQ is -1, not >= 0"], ["VQ is 0, not > 0", "MQ is -2, not >= 0"], [],
    ]  # fmt: skip


def test_failed_missing_and_unmarked_clips_are_dropped_with_their_cause(scores):
    file = scores(
        {"path": "a.mp4", "error": "it is damaged"}, {"path": "gone.mp4", "VQ": 1.0}, {"path": "c.mp4", "VQ": None, "MQ": 1},
        {"path": "d.mp4", "VQ": 1.0},
    )  # fmt: skip
    reasons = [[reason.text for reason in choice.reasons] for choice in choose(file, [Gate.parse("VQ>0")], None)]
    assert reasons[0] == ["it is damaged"] and "there is no" in reasons[1][0] and "gone.mp4" in reasons[1][0]
    assert reasons[2:] == [["it has no VQ"], []]
    assert [c.reasons[0].text for c in choose(file, [], ranking_of(file, ["VQ"], 1, "all"))[2:3]] == ["it has no VQ"]


def test_the_best_of_each_prompt_or_of_all_among_those_that_pass(scores):
    rows = [
        {"path": f"{prompt}{number}.mp4", "prompt": prompt, "Overall": float(value)}
        for prompt, values in (("x", (1, 2, 9, 4)), ("y", (50, 60)))
        for number, value in enumerate(values)
    ]
    file = scores(*rows)
    assert kept(file, best=0.5) == ["x2.mp4", "x3.mp4", "y1.mp4"]
    assert kept(file, best=0.5, within="all") == ["x2.mp4", "y0.mp4", "y1.mp4"]
    assert kept(file, "Overall<9", best=0.5) == ["x1.mp4", "x3.mp4"]  # half of three is two; nothing of y passes
    last = choose(file, [], ranking_of(file, [], 0.5, "prompt"))
    assert [reason.text for reason in last[0].reasons] == ["number 4 of 4 of this prompt"]


def test_a_sum_of_z_scores_weighs_units_alike_and_turns_measures_of_which_less_is_better(scores):
    file = scores(
        {"path": "a.mp4", "VQ": 1.0, "sharpness": 900.0, "shake": 0.1, "judge": "measures"},
        {"path": "b.mp4", "VQ": 2.0, "sharpness": 100.0, "shake": 0.9, "judge": "measures"},
        {"path": "c.mp4", "VQ": 0.0, "sharpness": 500.0, "shake": 0.5, "judge": "measures"},
    )
    assert kept(file, best=0.3, by=["shake"]) == ["a.mp4"]
    assert kept(file, best=0.3, by=["shake=-1"]) == ["b.mp4"]
    assert kept(file, best=0.3, by=["VQ=3", "sharpness"]) == ["b.mp4"]  # z: b 3 * 1.22 - 1.22, a 1.22
    assert kept(file, best=0.3, by=["VQ", "sharpness=3"]) == ["a.mp4"]
    assert "shake (less is better)" in str(ranking_of(file, ["VQ", "measures.shake=0.5"], 0.3, "all"))


def test_columns_of_several_judges_are_found_by_whole_and_by_short_names(scores):
    file = scores({"path": "a.mp4", "videoreward.VQ": 1.0, "measures.motion": 0.5, "other.motion": 1, "vq2": 3})
    assert [file.column(name) for name in ("measures.motion", "VQ", "VQ2")] == [
        "measures.motion",
        "videoreward.VQ",
        "vq2",
    ]
    with pytest.raises(FilterError, match=r"'motion' may be measures.motion or other.motion; give the whole name"):
        file.column("motion")
    single = scores({"path": "a.mp4", "motion": 0.5, "judge": "measures"}, name="scores_2.jsonl")
    assert single.column("measures.motion") == "motion"


def test_a_panels_file_says_which_marks_are_the_better_the_lower_and_who_refused(scores, tmp_path):
    row = {"judge": "videoreward+other", "lower_is_better": ["other.noise"]}
    file = scores(
        {"path": "a.mp4", "VQ": 1.0, "other.noise": 5.0, "other.size": [4, 6], **row}, {"path": "b.mp4", "VQ": 0.0, "other.noise": 1.0, **row},
        {"path": "c.mp4", "VQ": 9.0, "other.noise": None, "errors": {"other": "too short"}, **row},
    )  # fmt: skip
    assert kept(file, best=0.5, by=["noise"]) == ["b.mp4"] and file.rows[0].value("other.width") == 6
    refused = choose(file, [Gate.parse("noise<9")], None)[2]
    assert [reason.text for reason in refused.reasons] == ["it has no other.noise", "other: too short"]
    table = "path,VQ,other.noise,error,errors,lower_is_better,judge\na.mp4,1,5,,,other.noise,x+y\nb.mp4,0,1,,,other.noise,x+y\n"
    (tmp_path / "panel.csv").write_text(table)
    assert kept(read_score_file(tmp_path / "panel.csv"), best=0.5, by=["other.noise"]) == ["b.mp4"]


def test_a_missing_column_is_an_error_that_lists_what_there_is(scores):
    file = scores({"path": "a.mp4", "prompt": "p", "VQ": 1.0, "motion": 0.5, "judge": "x"})
    with pytest.raises(
        FilterError, match=r"no column 'motoin' with numbers. Did you mean 'motion'\? It has VQ, motion\."
    ):
        choose(file, [Gate.parse("motoin>1")], None)
    with pytest.raises(FilterError, match="no column 'judge' with numbers"):
        file.column("judge")
    with pytest.raises(FilterError, match="name what is best with --by; its columns are VQ, motion"):
        ranking_of(file, [], 0.5, "all")
    with pytest.raises(FilterError, match="names VQ twice"):
        ranking_of(file, ["VQ", "vq"], 0.5, "all")


def test_a_cell_that_is_no_number_is_named(tmp_path):
    (tmp_path / "s.csv").write_text('path,VQ\na.mp4,1\nb.mp4,"0,5"\n')
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    with pytest.raises(TableError, match=r"row 2.*'VQ'.*0,5.*decimal point"):
        choose(read_score_file(tmp_path / "s.csv"), [Gate.parse("VQ>0")], None)


def test_a_json_row_has_the_columns_that_its_csv_would_have_and_a_missing_overall_is_the_sum(scores):
    file = scores({"path": "a.mp4", "VQ": 1.0, "MQ": 2.0, "TA": 3.5, "raw": {"VQ": 9.0}, "size": [480, 832]})
    assert [file.rows[0].value(name) for name in ("Overall", "VQ_raw", "height", "width")] == [6.5, 9.0, 480, 832]


def test_a_repeated_row_counts_once_and_a_contradicting_one_is_refused(scores):
    row = {"path": "a.mp4", "prompt": "p", "VQ": 1.0}
    assert len(scores(row, {**row, "path": "./a.mp4"}).rows) == 1
    assert len(scores(row, {**row, "prompt": "q", "VQ": 2.0}).rows) == 2
    with pytest.raises(TableError, match=r"row 1 has other scores of a\.mp4"):
        scores(row, {**row, "VQ": 2.0})


def test_captions_are_taken_from_text_files_where_the_row_has_none(scores, tmp_path):
    (tmp_path / "a.txt").write_text("a red fox\n")
    file = scores({"path": "a.mp4", "VQ": 1.0}, {"path": "b.mp4", "VQ": 1.0, "prompt": " "})
    assert [row.prompt for row in file.rows] == ["a red fox", None]


def test_the_only_score_file_of_a_folder_is_found(scores, tmp_path):
    with pytest.raises(FilterError, match="it holds none"):
        find_score_file(tmp_path)
    scores({"path": "a.mp4", "VQ": 1.0})
    assert find_score_file(tmp_path) == tmp_path / "scores.jsonl"
    (tmp_path / "scores_b.csv").touch()
    with pytest.raises(FilterError, match=r"it holds 2: scores.jsonl, scores_b.csv"):
        find_score_file(tmp_path)
