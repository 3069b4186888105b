import pytest

from videoalign.errors import VideoAlignError
from videoalign.nodes.ranked_clip import Gates
from videoalign.nodes.ranking import choice_of, rank
from videoalign.nodes.scored_clip import ScoredClip
from videoalign.reward.dimensions import SIGMA
from videoalign.reward.judge import Dimension
from videoalign.reward.weights import RewardWeights


def clip(name, vq, mq, ta=None, **about):
    overall = None if ta is None else vq + mq + ta
    return ScoredClip({"VQ": vq, "MQ": mq, "TA": ta, "Overall": overall}, name=name, **about)


A, B, C = clip("a", 1.0, 0.0, -1.0), clip("b", 0.0, 2.0, 0.0), clip("c", -1.0, -1.0, 1.5)


def names(rows):
    return [row.clip.name for row in rows]


def test_the_total_is_the_weighted_mean_of_the_scores():
    ranking = rank([A, B, C], RewardWeights.of(0.1, 0.1, 0.6))
    assert names(ranking.order) == ["c", "b", "a"]
    assert [row.total for row in ranking.order] == pytest.approx([0.7 / 0.8, 0.2 / 0.8, -0.5 / 0.8])


def test_only_the_proportion_of_the_weights_counts():
    one, other = (rank([A, B, C], RewardWeights.of(*values)) for values in ((0.1, 0.2, 0.1), (0.5, 1.0, 0.5)))
    assert names(one.order) == names(other.order)
    assert [row.total for row in one.order] == pytest.approx([row.total for row in other.order])


def test_equal_clips_keep_their_order():
    twins = [clip(name, 1.0, 1.0, 1.0) for name in "xyz"]
    ranking = rank(twins, RewardWeights())
    assert names(ranking.order) == ["x", "y", "z"]
    assert [row.rank for row in ranking.order] == [1, 2, 3]


def test_top_k_splits_the_chosen_from_the_rejected():
    ranking = rank([A, B, C], RewardWeights.of(1, 0, 0), top_k=2)
    assert names(ranking.chosen) == ["a", "b"] and names(ranking.rejected) == ["c"]


def test_a_top_k_beyond_the_number_of_clips_chooses_all():
    ranking = rank([A, B], RewardWeights(), top_k=5)
    assert len(ranking.chosen) == 2 and not ranking.rejected


def test_a_gate_keeps_even_the_highest_total_from_winning_and_says_why():
    ranking = rank([A, B, C], RewardWeights.of(1, 0, 0), Gates({"MQ": 0.5}), top_k=3)
    assert names(ranking.chosen) == ["b"] and names(ranking.rejected) == ["a", "c"]
    assert ranking.order[0].rank == 1
    assert ranking.order[1].gate_failures == (f"MQ +0.00 {SIGMA} is below +0.50 {SIGMA}",)


def test_a_score_equal_to_the_gate_passes():
    assert names(rank([A], RewardWeights(), Gates({"VQ": 1.0})).chosen) == ["a"]


def test_when_no_clip_passes_the_nearest_is_named():
    ranking = rank([A, B], RewardWeights.of(1, 0, 0), Gates({"VQ": 3.0}))
    assert ranking.chosen == ()
    assert (
        "None of the 2 clips" in ranking.why_none()
        and f"a: VQ +1.00 {SIGMA} is below +3.00 {SIGMA}" in ranking.why_none()
    )


def test_one_clip_without_a_caption_ranks_all_by_visual_and_motion_quality():
    ranking = rank([C, clip("d", 0.0, 0.5)], RewardWeights.of(0.1, 0.3, 0.6))
    assert ranking.weights == pytest.approx({"VQ": 0.25, "MQ": 0.75})
    assert names(ranking.order) == ["d", "c"]
    assert ranking.notes == ("1 of 2 clips have no caption: ranked by VQ and MQ alone.",)


def test_no_note_about_captions_when_text_alignment_has_no_weight():
    assert rank([clip("d", 0.0, 0.5)], RewardWeights.of(1, 1, 0)).notes == ()


def test_what_is_special_about_many_clips_is_said_once():
    def said(*noted):
        clips = [clip(name, 0.0, 0.0, 0.0, notes=("drawn",) if name in noted else ()) for name in "abcd"]
        return rank(clips, RewardWeights()).notes

    assert said("b") == ("b: drawn.",)
    assert said("b", "d") == ("b and d: drawn.",)
    assert said("a", "b", "d") == ("3 of 4 clips (a, b, \N{HORIZONTAL ELLIPSIS}): drawn.",)
    assert said("a", "b", "c", "d") == ("All 4 clips: drawn.",)


def test_all_the_weight_on_a_missing_score_is_refused():
    with pytest.raises(VideoAlignError, match="TA needs a caption"):
        rank([clip("d", 0.0, 0.5)], RewardWeights.of(0, 0, 1))


def test_a_gate_on_a_missing_score_is_refused():
    with pytest.raises(VideoAlignError, match=r"min_TA is .* scored without a caption"):
        rank([clip("d", 0.0, 0.5)], RewardWeights.of(1, 1, 0), Gates({"TA": 0.0}))


def test_clips_that_cannot_be_compared_are_noted():
    first = clip("a", 0, 0, 0, prompt="a cat", total_frames=33, fps=16.0, model="m")
    second = clip("b", 1, 1, 1, prompt="a dog", total_frames=81, fps=16.0, model="m")
    notes = rank([first, second], RewardWeights()).notes
    assert len(notes) == 2
    assert "prompt" in notes[0] and "number of frames" in notes[1]


@pytest.mark.parametrize(("clips", "top_k", "message"), [([], 1, "no clips"), ([A], 0, "at least 1")])
def test_nothing_to_rank_is_refused(clips, top_k, message):
    with pytest.raises(VideoAlignError, match=message):
        rank(clips, RewardWeights(), top_k=top_k)


LIGHT = (
    Dimension("light", "mean level", "share of white", higher_is_better=False),
    Dimension("sharp", "sharpness", "levels"),
)


def measured(name, light, sharp):
    return ScoredClip({"light": light, "sharp": sharp}, name, judge="measures", dimensions=LIGHT)


def test_another_judges_clips_are_ranked_by_its_own_dimensions_and_less_may_be_better():
    clips = [measured("dark", 0.1, 1.0), measured("bright", 0.9, 1.5)]
    assert names(rank(clips, RewardWeights()).order) == ["dark", "bright"]  # -0.1 + 1 against -0.9 + 1.5
    assert names(rank(clips, RewardWeights({"sharp": 1.0})).order) == ["bright", "dark"]
    assert rank(clips, RewardWeights()).weights == {"light": 0.5, "sharp": 0.5}


def test_a_gate_on_what_a_judge_does_not_mark_is_refused():
    with pytest.raises(VideoAlignError, match="judged by measures, which gives no VQ"):
        rank([measured("dark", 0.1, 1.0)], RewardWeights(), Gates({"VQ": 0.0}))


def test_clips_of_judges_with_nothing_in_common_are_not_ranked():
    with pytest.raises(VideoAlignError, match="measures, videoreward, which mark nothing alike"):
        rank([A, measured("dark", 0.1, 1.0)], RewardWeights())


def test_a_persons_choice_is_handed_on_first_and_the_ranks_stay():
    free = rank([A, B, C], RewardWeights.of(0.1, 0.1, 0.6), top_k=2)
    assert names(free.chosen) == ["c", "b"]
    mine = rank([A, B, C], RewardWeights.of(0.1, 0.1, 0.6), top_k=2, use_this=choice_of(free.order[2]))
    assert names(mine.chosen) == ["a", "c"] and names(mine.rejected) == ["b"]
    assert [(row.clip.name, row.rank) for row in mine.order] == [("c", 1), ("b", 2), ("a", 3)]
    assert mine.picked is mine.order[2] and mine.notes == free.notes


def test_a_choice_counts_whatever_the_gates_say():
    gated = rank([A, B], RewardWeights(), Gates({"VQ": 0.5}), use_this="2")
    assert names(gated.chosen) == ["b"] and gated.picked.rank is None and gated.picked.gate_failures


def test_a_chosen_clip_is_found_at_another_place():
    (first,) = rank([A], RewardWeights()).order
    assert names(rank([C, B, A], RewardWeights(), use_this=choice_of(first)).chosen) == ["a"]


@pytest.mark.parametrize(
    ("use_this", "said"),
    [("1 00000000", "candidate 1 is another clip now"), ("9", "candidate 9 is not one of the 3"), ("0", "candidate 0 is not")],
)  # fmt: skip
def test_a_choice_that_is_not_there_is_told_and_the_best_is_handed_on(use_this, said):
    ranking = rank([A, B, C], RewardWeights.of(0.1, 0.1, 0.6), use_this=use_this)
    assert said in ranking.notes[0] and ranking.picked is None and names(ranking.chosen) == ["c"]


@pytest.mark.parametrize("use_this", ["the red one", "1 2", "-1", "1 abcdefgh"])
def test_a_choice_that_names_no_clip_is_refused(use_this):
    with pytest.raises(VideoAlignError, match="use_this is"):
        rank([A, B], RewardWeights(), use_this=use_this)


def test_the_reason_is_the_difference_by_dimension_and_adds_up():
    ranking = rank([A, B, C], RewardWeights.of(0.1, 0.1, 0.6))
    winner, second, _ = ranking.order
    assert winner.why == "0.62 above #2: TA +1.12, MQ -0.38, VQ -0.12"
    assert second.why == "0.62 below #1: TA -1.12, MQ +0.38, VQ +0.12"
    for row in ranking.order:
        assert sum(row.parts.values()) == pytest.approx(row.total)
    assert rank([A], RewardWeights()).order[0].why == "the only candidate"
    assert rank([A, A], RewardWeights()).order[1].why == "as good as #1: VQ 0.00, MQ 0.00, TA 0.00"


def test_candidates_are_called_by_their_place_from_1_and_by_their_name():
    rows = rank(
        [clip("clip 1 of 2", 1, 1, 1, seed=7), clip("fox", 0, 0, 0), clip("clip", 0, 0, -1)], RewardWeights()
    ).order
    assert [row.title(3) for row in rows] == ["candidate 1 of 3, seed 7", "candidate 2 of 3: fox", "candidate 3 of 3"]
