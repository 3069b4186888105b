"""``videoalign search --budget-seconds``: the pace is that of the first take, and is kept."""

import json

import pytest

from videoalign.reward.search.pace import Pace
from videoalign.reward.search.plan import cost


def test_seconds_of_a_plan_are_counted_by_hand():
    # 8 takes of 3 steps, 3 of 2 more, 1 to step 10; 8 looks, then 3.
    plan = [(3, 3), (5, 1)]
    assert Pace(step=0.5, look=2.0).seconds(plan, 8, cost(plan, 8, 10)) == 0.5 * (24 + 6 + 5) + 2.0 * 11


def test_as_many_seeds_are_drafted_as_the_pace_of_the_first_take_allows(tmp_path, search, brightness, capsys):
    words = ("--clips-per-prompt", "4", "--look", "2", "--budget-seconds")
    assert search(*words, "1e6") == 0
    assert "4 of 4 seeds of a prompt are drafted in 1e+06 s" in capsys.readouterr().out and brightness.seen == 8
    file = tmp_path / "out" / "pace.json"
    (pace,) = json.loads(file.read_text(encoding="utf-8")).values()
    assert pace["step"] > 0 and pace["look"] > 0

    # A pace that makes clips of 4 steps with the look after 2 cost 1 second a step and nothing a look: 2 seeds are 2 * 2 + 2.
    file.write_text(
        json.dumps({key: {"step": 1.0, "look": 0.0} for key in json.loads(file.read_text())}), encoding="utf-8"
    )
    assert search(*words, "6.5") == 0
    assert "2 of 4 seeds" in capsys.readouterr().out and brightness.seen == 8  # all known
    assert search(*words, "3.5") == 1
    assert "1 clips with their looks take 4 s. Give more" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1"])
def test_no_time_is_no_budget(search, brightness, seconds):
    assert search("--budget-seconds", seconds) == 2
