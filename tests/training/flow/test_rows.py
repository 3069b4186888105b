"""Who is chosen, what is dropped, and how much a row counts."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videoalign.errors import VideoAlignError
from videoalign.preferences.preference_file import PreferencePair, ResolvedPair
from videoalign.training.flow.config import DataConfig
from videoalign.training.flow.methods.rwr import (
    FlowRwr,
    RwrOptions,
    discrete_weight,
    effective_number,
    exponential_weights,
)
from videoalign.training.flow.methods.sft import FlowSft, SftOptions
from videoalign.training.flow.rows import clip_rows, preference_rows, verdict


def config(**options):
    return DataConfig(train=[Path("pairs.jsonl")], **options)


def pair(labels=None, chosen=None, rejected=None, **fields):
    return PreferencePair(
        prompt="p", chosen="a.mp4", rejected="b.mp4", labels=labels or {}, scores_chosen=chosen or {}, scores_rejected=rejected or {}, **fields
    )  # fmt: skip


def source(number=1, **values):
    return ResolvedPair(pair(**values), Path(f"{number}a.mp4"), Path(f"{number}b.mp4"), f"row {number}")


MIXED = {"VQ": "A", "MQ": "B", "TA": "same"}


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({}, {}, "chosen"),
        ({}, {"labels": {"Overall": "same"}}, "tie"),
        ({}, {"labels": {"Overall": "invalid"}}, "invalid"),
        ({"prefer": "VQ"}, {"labels": MIXED}, "chosen"),
        ({"prefer": "MQ"}, {"labels": MIXED}, "rejected"),
        ({"prefer": "TA"}, {"labels": MIXED}, "tie"),
        ({"prefer": "Overall"}, {"labels": MIXED}, "invalid"),
        ({"prefer": "weighted"}, {"labels": MIXED}, "tie"),
        ({"prefer": "weighted", "weights": {"VQ": 2}}, {"labels": MIXED}, "chosen"),
        ({"prefer": "weighted", "weights": {"MQ": 2}}, {"labels": MIXED}, "rejected"),
        (
            {"prefer": "weighted"},
            {"chosen": {"VQ": 1, "MQ": 0, "TA": 0}, "rejected": {"VQ": 0, "MQ": 2, "TA": 0}},
            "rejected",
        ),
        (
            {"prefer": "VQ", "margin": 0.5},
            {"labels": {"VQ": "A"}, "chosen": {"VQ": 1.2}, "rejected": {"VQ": 1.0}},
            "tie",
        ),
        (
            {"prefer": "VQ", "margin": 0.5},
            {"labels": {"VQ": "A"}, "chosen": {"VQ": 0.0}, "rejected": {"VQ": 1.0}},
            "rejected",
        ),
        ({"prefer": "VQ"}, {"chosen": {"VQ": 0.0}, "rejected": {"VQ": 1.0}}, "rejected"),
    ],
)
def test_the_better_clip_is_found_as_asked(options, values, expected):
    assert verdict(pair(**values), config(**options)) == expected


def test_a_pair_whose_other_clip_wins_is_turned_around_and_ties_and_invalid_ones_are_dropped_or_used():
    sources = [
        source(1, labels={"VQ": "B"}),
        source(2, labels={"VQ": "same"}),
        source(3),
        source(4, labels={"VQ": "A"}, weight=2.5),
    ]
    rows, counts = preference_rows(sources, config(prefer="VQ"))
    assert [row.name for row in rows] == ["row 1", "row 4"]
    assert rows[0].clips == {"chosen": Path("1b.mp4"), "rejected": Path("1a.mp4")}
    assert rows[1].weight == 2.5
    assert dict(counts) == {"rejected": 1, "tie": 1, "invalid": 1, "chosen": 1}
    rows, _ = preference_rows(sources, config(prefer="VQ", ties="use", invalid="use"))
    assert [row.target for row in rows] == [1.0, 0.5, 1.0, 1.0]


def test_sft_trains_on_the_chosen_clip_alone():
    rows, said = FlowSft(SftOptions()).rows([source(1, labels={"VQ": "B"}), source(2)], config(prefer="VQ"))
    assert [row.clips for row in rows] == [{"chosen": Path("1b.mp4")}]
    assert "1 chosen clips of 2 pairs" in said


def test_rewards_weigh_exponentially_with_a_mean_of_one_over_the_data():
    weights = exponential_weights([1000.0, 1000.5, 999.0], temperature=0.5)
    assert sum(weights) / 3 == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(2.718281828, rel=1e-9)


def test_rwr_takes_every_clip_once_and_scalarises_its_scores_by_the_weights():
    scores = {"VQ": 1.0, "MQ": 0.0, "TA": 4.0}
    sources = [source(1, chosen=scores, rejected={**scores, "VQ": 3.0})] * 2
    data = config(prefer="weighted", weights={"VQ": 3.0, "MQ": 1.0, "TA": 0.0})
    rows, _ = FlowRwr(RwrOptions(temperature=2.0)).rows(sources, data)
    assert [row.clips["clip"].name for row in rows] == ["1a.mp4", "1b.mp4"]
    assert rows[1].weight / rows[0].weight == pytest.approx(2.718281828 ** ((3 * 2 / 4) / 2), rel=1e-6)


def test_the_effective_number_of_clips_is_between_one_and_all():
    assert effective_number([2.0] * 7) == pytest.approx(7)
    assert effective_number([5.0, 0.0, 0.0]) == 1
    assert effective_number([3.0, 1.0]) == pytest.approx(16 / 10)


def test_a_temperature_at_which_one_clip_has_all_the_weight_is_warned_of_and_a_usual_one_is_not():
    sources = [
        source(number, chosen={"Overall": number / 10}, rejected={"Overall": -number / 10}) for number in range(1, 21)
    ]
    _, cold = FlowRwr(RwrOptions(temperature=0.005)).rows(sources, config())
    assert (
        "count as much as 1 equal ones. WARNING: a few clips have nearly all the weight" in cold
        and "rwr.temperature" in cold
    )
    _, usual = FlowRwr(RwrOptions(temperature=1.0)).rows(sources, config())
    assert "equal ones" in usual and "WARNING" not in usual


def test_lifts_discrete_weights_are_the_mean_over_the_dimensions():
    assert discrete_weight([0.0, 1.0, 2.0], (0.5, 1.5), (0.05, 0.2, 0.9)) == pytest.approx((0.05 + 0.2 + 0.9) / 3)


def test_a_clip_without_a_score_is_refused_with_its_row():
    with pytest.raises(VideoAlignError, match=r"row 7: 7a\.mp4 has no Overall score"):
        FlowRwr(RwrOptions()).rows([source(7)], config())


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(ValueError, match="all weights are 0"):
        config(prefer="weighted", weights={"VQ": 0, "MQ": 0, "TA": 0})


def scored(number, chosen, rejected, lower=(), prompt="p"):
    columns = {"lower_is_better": list(lower)} if lower else {}
    one = source(number, chosen=chosen, rejected=rejected, source={"format": "scored_clips", "columns": columns})
    return replace(one, pair=one.pair.model_copy(update={"prompt": prompt}))


def test_a_named_mark_is_the_reward_in_its_unit_and_the_better_the_lower_where_the_file_says_so():
    sources = [scored(1, {"measures.still": 0.5, "VQ": 9.0}, {"measures.still": 0.1, "VQ": 0.0}, ["measures.still"])]
    rows, told = FlowRwr(RwrOptions(mark="measures.still", temperature=0.2)).rows(sources, config())
    assert rows[1].weight / rows[0].weight == pytest.approx(math.exp(0.4 / 0.2))  # the other clip stands still less
    assert "left out" not in told


def test_named_weights_are_of_z_scores_within_a_prompt_and_a_clip_without_a_mark_is_left_out():
    marks = {"p": [(0.0, 10.0), (1.0, 20.0), (5.0, 60.0), (2.0, None)], "q": [(3.0, 0.0), (4.0, 2.0)]}
    sources = []
    for prompt, values in marks.items():
        clips = [{"x.a": a, **({} if b is None else {"b": b})} for a, b in values]
        sources += [
            scored(f"{prompt}{i}{i + 1}", clips[i], clips[i + 1], prompt=prompt) for i in range(0, len(clips), 2)
        ]
    rows, told = FlowRwr(RwrOptions(weight=["x.a=3", "b=1"], temperature=0.5)).rows(sources, config())
    assert "1 without the marks that are asked for are left out" in told and len(rows) == 5
    rewards = []
    for values in marks.values():
        whole = np.array([value for value in values if None not in value])
        rewards += list(((whole - whole.mean(0)) / whole.std(0)) @ (0.75, 0.25))
    expected = np.exp(np.array(rewards) / 0.5)
    assert [row.weight for row in rows] == pytest.approx(list(expected / expected.mean()), rel=1e-12)


def test_a_mark_that_no_clip_has_is_refused_and_so_are_two_rewards():
    with pytest.raises(VideoAlignError, match="no clip has a mark called 'motoin'"):
        FlowRwr(RwrOptions(mark="motoin")).rows([source(1, chosen={"VQ": 1.0}, rejected={"VQ": 2.0})], config())
    with pytest.raises(ValueError, match="exclude each other"):
        RwrOptions(mark="VQ", weight=["MQ=1"])
    with pytest.raises(ValueError, match="NAME=WEIGHT"):
        RwrOptions(weight=["MQ"])


def test_sft_trains_on_single_clips_beside_the_chosen_ones_and_instead(tmp_path):
    (tmp_path / "clips").mkdir()
    lines = [f'{{"path": "clips/{name}.mp4", "prompt": "p {name}", "VQ": 1.0}}' for name in "ab"]
    for name in "ab":
        (tmp_path / "clips" / f"{name}.mp4").touch()
    table = tmp_path / "clips.jsonl"
    table.write_text("\n".join(lines))
    both, summary = FlowSft(SftOptions()).rows([source()], config(clips=[table]))
    assert [row.clips for row in both] == [
        {"chosen": Path("1a.mp4")}, {"chosen": tmp_path / "clips/a.mp4"}, {"chosen": tmp_path / "clips/b.mp4"},
    ]  # fmt: skip
    assert [row.prompt for row in both] == [
        "p",
        "p a",
        "p b",
    ] and "2 single clips, 1 chosen clips of 1 pairs" in summary
    alone, summary = FlowSft(SftOptions()).rows([], DataConfig(clips=[table]))
    assert len(alone) == 2 and summary == "2 single clips"


def test_a_single_clip_that_is_missing_or_has_no_caption_is_named_by_its_line(tmp_path):
    table = tmp_path / "clips.jsonl"
    table.write_text('{"path": "gone.mp4", "prompt": "p"}')
    with pytest.raises(VideoAlignError, match=r"row 1.*gone\.mp4 does not exist"):
        clip_rows(table, "chosen")
    (tmp_path / "gone.mp4").touch()
    table.write_text('{"path": "gone.mp4", "prompt": null}')
    with pytest.raises(VideoAlignError, match=r"row 1.*'prompt'"):
        clip_rows(table, "chosen")


def test_something_must_be_there_to_train_on():
    with pytest.raises(ValueError, match="name at least one preference file"):
        DataConfig()
