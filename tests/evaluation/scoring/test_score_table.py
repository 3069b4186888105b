"""The table that people read."""

import pytest

from videoalign.evaluation.scoring.score_table import UNIT, score_summary, score_table


def row(name, vq=0.5, mq=-0.25, ta=1.0, prompt="a cat"):
    overall = None if ta is None else vq + mq + ta
    return {"id": name, "path": name, "prompt": prompt, "VQ": vq, "MQ": mq, "TA": ta, "Overall": overall}


def failed(name, error="it is broken"):
    return {"id": name, "path": name, "prompt": "a cat", "error": error}


def line_of(name, table):
    (line,) = [line for line in table.splitlines() if f" {name} " in f"{line} "]
    return line


def test_every_row_shows_its_scores_with_a_sign_and_three_digits():
    line = line_of("a.mp4", score_table([row("a.mp4")]))
    assert line.split() == ["a.mp4", "+0.500", "-0.250", "+1.000", "+1.250", "a", "cat"]


def test_the_unit_is_told():
    assert score_table([row("a.mp4")]).endswith(UNIT)


def test_the_best_of_each_prompt_is_marked_where_there_is_a_choice():
    table = score_table(
        [row("a", 1), row("b", 2), row("c", 9, prompt="a dog"), row("d", 3, ta=None, prompt=None), failed("e")]
    )
    assert [line[2] for line in table.splitlines() if line.startswith("*")] == ["b"]


def test_scores_that_do_not_exist_are_dashes_and_without_captions_there_is_no_caption_column():
    table = score_table([row("a", ta=None, prompt=None)])
    assert line_of("a", table).split() == ["a", "+0.500", "-0.250", "-", "-"]
    assert "prompt" not in table.splitlines()[0]


def test_a_failed_row_shows_its_error():
    assert "failed: it is broken" in line_of("b", score_table([row("a"), failed("b")]))


@pytest.mark.parametrize("width", [60, 100, 160])
def test_long_names_keep_their_end_and_long_prompts_their_beginning_within_the_width(width):
    results = [row("folder/" * 40 + f"take{n}.mp4", prompt="A cat and\na dog " * 30) for n in (1, 2)]
    table = score_table(results, width)
    for number in (1, 2):
        assert f"take{number}.mp4" in table
    rows = [line for line in table.splitlines() if "take" in line]
    assert len(rows) == 2
    assert all("A cat and" in line for line in rows)
    assert max(map(len, rows)) <= max(width, 84)


def test_no_results_make_an_empty_table():
    assert score_table([]).splitlines()[0].split() == ["clip", "VQ", "MQ", "TA", "Overall"]


def test_the_summary_of_many_rows_gives_means_ranges_and_the_first_errors():
    text = score_summary([row("a", 1), row("b", 3), row("c", 2, ta=None), *(failed(f"f{n}") for n in range(12))])
    assert "VQ: mean +2.000, lowest +1.000, highest +3.000" in text
    assert "TA: mean +1.000" in text
    assert text.count("it is broken") == 10
    assert "and 2 more" in text


def test_a_summary_of_nothing_but_errors_has_no_means():
    assert score_summary([failed("a")]).strip() == "failed: a: it is broken"
