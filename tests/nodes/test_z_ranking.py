"""Candidates ranked by marks of several judges, against computations of another kind."""

import numpy as np
import pytest

from videoalign.errors import VideoAlignError
from videoalign.nodes.ranked_clip import Gates
from videoalign.nodes.ranking import rank
from videoalign.nodes.ranking_rules import BY_DOMINANCE, BY_Z, RankingRules
from videoalign.nodes.scored_clip import ScoredClip
from videoalign.reward.dimensions import SIGMA, VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL
from videoalign.reward.judge import Dimension
from videoalign.reward.weights import RewardWeights

MEASURED = (
    Dimension("measures.motion", "motion", "share"),
    Dimension("measures.object_motion", "motion without the camera's", "share"),
    Dimension("measures.still", "still frames", "share of the frames", higher_is_better=False),
)
JUDGE = "videoreward+measures"


def clip(name, vq, mq, ta, motion, still, **about):
    marks = {"VQ": vq, "MQ": mq, "TA": ta, "Overall": None if ta is None else vq + mq + ta}
    marks |= {"measures.motion": motion, "measures.object_motion": motion, "measures.still": still}
    return ScoredClip(
        marks,
        name,
        judge=JUDGE,
        dimensions=(*VIDEO_REWARD_DIMENSIONS, *MEASURED),
        overall=VIDEO_REWARD_OVERALL,
        **about,
    )


CLIPS = [
    clip("a", 1.0, 0.0, -1.0, 0.9, 0.0),
    clip("b", 0.0, 2.0, 0.0, 0.5, 0.1),
    clip("c", -1.0, -1.0, 1.5, 0.7, 0.4),
    clip("d", 0.5, 0.5, 0.5, 0.8, 0.05),
]


def ranked(clips=CLIPS, weights="", gates="", method=BY_Z, least=1, hacking=0.0, **options):
    rules = RankingRules.parse(weights, gates, method, least, hacking)
    return rank(clips, options.pop("given", RewardWeights()), rules=rules, **options)


def names(rows):
    return [row.clip.name for row in rows]


def test_totals_are_weighted_means_of_z_scores_and_less_may_be_better():
    ranking = ranked(weights="VQ = 1; MQ = 0, TA = 0\nmeasures.still = 3")
    columns = np.array([[one.scores["VQ"], -one.scores["measures.still"]] for one in CLIPS])
    z = (columns - columns.mean(0)) / columns.std(0)
    expected = z @ [0.25, 0.75]
    assert {row.clip.name: row.total for row in ranking.order} == pytest.approx(
        dict(zip("abcd", expected, strict=True))
    )
    assert names(ranking.order) == ["abcd"[place] for place in np.argsort(-expected)]
    assert ranking.by_z and ranking.weights == {"VQ": 0.25, "measures.still": 0.75}
    for row in ranking.order:
        assert sum(row.parts.values()) == pytest.approx(row.total)


def test_marks_of_ranking_rules_count_beside_those_of_reward_weights():
    ranking = ranked(weights="measures.motion = 1", given=RewardWeights.of(0.5, 0.5, 0.0))
    assert ranking.weights == {"VQ": 0.25, "MQ": 0.25, "measures.motion": 0.5}


def test_a_clip_that_a_gate_puts_out_moves_no_z_score():
    """Without c, and with c behind a gate, the others stand the same."""
    alone = ranked([one for one in CLIPS if one.name != "c"])
    for gates, given in (("measures.still < 0.2", None), ("", Gates({"VQ": -0.5}))):
        gated = ranked(gates=gates) if given is None else rank(CLIPS, RewardWeights(), given, rules=RankingRules())
        assert names(gated.order) == [*names(alone.order), "c"]
        assert [row.total for row in gated.order[:3]] == [row.total for row in alone.order]
        assert gated.order[3].rank is None and gated.order[3].gate_failures
        assert [row.rank for row in gated.order[:3]] == [1, 2, 3]


def test_by_dominance_a_clip_counts_whom_it_beats_in_enough_marks():
    ranking = ranked(weights="VQ=1, MQ=1, TA=1", method=BY_DOMINANCE, least=2)
    marks = {one.name: [one.scores[name] for name in ("VQ", "MQ", "TA")] for one in CLIPS}

    def beats(one, other):
        better = sum(a > b for a, b in zip(marks[one], marks[other], strict=True))
        worse = sum(a < b for a, b in zip(marks[one], marks[other], strict=True))
        return better >= 2 and better > worse

    lead = {one: sum(beats(one, other) - beats(other, one) for other in marks) for one in marks}
    order = names(ranking.order)
    assert [lead[name] for name in order] == sorted(lead.values(), reverse=True)
    assert "Ranked by dominance" in ranking.notes[0]
    with pytest.raises(VideoAlignError, match="only 3 marks have a weight"):
        ranked(method=BY_DOMINANCE, least=4)


def test_without_rules_a_panel_is_ranked_by_its_reward_as_ever():
    old = [ScoredClip({name: one.scores[name] for name in ("VQ", "MQ", "TA", "Overall")}, one.name) for one in CLIPS]
    new, before = rank(CLIPS, RewardWeights()), rank(old, RewardWeights())
    assert [(row.clip.name, row.total, row.why) for row in new.order] == [
        (row.clip.name, row.total, row.why) for row in before.order
    ]
    assert not new.by_z and new.notes == before.notes
    assert rank(CLIPS, RewardWeights(), Gates({"MQ": 1.0})).order[1].gate_failures[0].endswith(f"below +1.00 {SIGMA}")


def test_marks_of_several_units_are_compared_by_z_scores_without_being_asked():
    ranking = rank(CLIPS, RewardWeights({"VQ": 1.0, "measures.motion": 1.0}))
    assert ranking.by_z and ranking.weights == {"VQ": 0.5, "measures.motion": 0.5}


def test_a_clip_that_a_judge_refused_is_out_with_the_judges_words():
    refused = clip("e", 2.0, 2.0, 2.0, None, None, errors={"measures": "a single picture"})
    ranking = ranked([*CLIPS, refused], weights="measures.motion = 1")
    assert names(ranking.order)[-1] == "e"
    assert ranking.order[-1].gate_failures == ("it has no measures.motion: a single picture",)
    assert ranked([*CLIPS, refused]).order[0].clip.name == "e"  # nobody asks for its motion


def test_without_a_caption_the_marks_of_reward_weights_that_need_one_are_left_out_and_that_is_said():
    silent = [
        clip(one.name, one.scores["VQ"], one.scores["MQ"], None, one.scores["measures.motion"], 0.0) for one in CLIPS
    ]
    ranking = ranked(silent, weights="measures.motion = 0.2")
    assert set(ranking.weights) == {"VQ", "MQ", "measures.motion"} and "caption" in ranking.notes[0]
    some = ranked([CLIPS[0], *silent[1:]])
    assert set(some.weights) == {"VQ", "MQ"} and all(row.rank for row in some.order)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            {"weights": "motion = 1"},
            "no clip has a mark called 'motion'. Marks are: VQ, MQ, TA, Overall, measures.motion",
        ),
        ({"gates": "measures.stil < 1"}, "no clip has a mark called 'measures.stil'"),
        ({"weights": "VQ = 0, MQ = 0, TA = 0"}, "for which there is no mark|All the weight"),
        ({"weights": "VQ"}, "write NAME=WEIGHT"),
        ({"weights": "VQ = nan"}, "must be 0 or more"),
        ({"method": "by eye"}, "choose one of weighted z-scores, dominance"),
        ({"least": 0}, "1 or more"),
    ],
)
def test_what_cannot_be_ranked_by_is_refused_with_what_can(written, message):
    with pytest.raises(VideoAlignError, match=message):
        ranked(**written)


def test_the_gate_against_hacking_asks_for_measurements_and_four_candidates():
    assert "is off" in ranked(CLIPS[:3], hacking=3.0).notes[0]
    alone = [ScoredClip({"VQ": 1.0, "MQ": 1.0, "TA": 1.0, "Overall": 3.0}, name) for name in "abcd"]
    assert "needs measurements" in ranked(alone, hacking=3.0).notes[0]
    frozen = clip("e", 3.0, 3.0, 3.0, 0.05, 0.6)
    moving = [
        clip(name, 1.0, 1.0, 1.0, motion, 0.0) for name, motion in zip("abcd", (0.7, 0.75, 0.8, 0.85), strict=True)
    ]
    ranking = ranked([*moving, frozen], hacking=3.0)
    assert names(ranking.order)[-1] == "e" and ranked([*moving, frozen]).order[0].clip.name == "e"
    assert any("still frames" in reason for reason in ranking.order[-1].gate_failures)
