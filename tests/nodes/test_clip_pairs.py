from dataclasses import replace

import pytest

from videoalign.errors import VideoAlignError
from videoalign.nodes.clip_pairs import ClipSet, compared, grouped, named_sets, summary
from videoalign.nodes.scored_clip import ScoredClip
from videoalign.reward.judge import Dimension


def clip(vq: float, seed: int | None = None, prompt: str | None = "a prompt", **about) -> ScoredClip:
    overall = None if prompt is None else 2 * vq + 1
    scores = {"VQ": vq, "MQ": vq, "TA": None if prompt is None else 1.0, "Overall": overall}
    return ScoredClip(scores, f"clip {seed}", prompt=prompt, seed=seed, total_frames=17, fps=8.0, **about)


def sets(*clips, names=("before", "after", "other")) -> list[ClipSet]:
    return [ClipSet(name, tuple(some)) for name, some in zip(names, clips, strict=False)]


def test_clips_of_the_same_prompt_and_seed_belong_together_wherever_they_stand():
    before, after = [clip(0, 1), clip(0, 2), clip(0, 3)], [clip(1, 3), clip(1, 4), clip(1, 1)]
    groups, notes = grouped(sets(before, after))
    assert [tuple(one.seed for one in group) for group in groups] == [(1, 1), (3, 3)]
    assert notes == [
        "1 of 3 clips of before has no counterpart and is left out.",
        "1 of 3 clips of after has no counterpart and is left out.",
    ]


@pytest.mark.parametrize(
    "seeds", [(None, None), (7, 7)], ids=["no seed is told", "a batch, whose clips share the sampler's seed"]
)
def test_clips_without_seeds_of_their_own_are_paired_by_position(seeds):
    before, after = [clip(0, seeds[0]), clip(1, seeds[1])], [clip(2, seeds[0]), clip(3, seeds[1]), clip(4, seeds[0])]
    groups, notes = grouped(sets(before, after))
    assert [tuple(one.scores["VQ"] for one in group) for group in groups] == [(0, 2), (1, 3)]
    assert notes == ["1 of 3 clips of after has no counterpart and is left out."]


def test_other_seeds_and_prompts_are_compared_and_told():
    shown, _ = compared(sets([clip(0, 1), clip(0, 2)], [clip(1, 5), clip(1, 6, prompt="another")]))
    assert "The seeds of before and after differ: a difference is partly luck." in shown["notes"]
    (prompts,) = (note for note in shown["notes"] if "prompt" in note)
    assert prompts.startswith("The clips differ in their prompt") and prompts.endswith("(In 1 of 2 pairs.)")
    assert [(pair["prompt"], pair["seed"]) for pair in shown["pairs"]] == [("a prompt", None), (None, None)]


def test_differences_of_each_pair_and_over_all():
    shown, groups = compared(
        sets([clip(0, 1), clip(0.5, 2), clip(1, 3), clip(1, 4)], [clip(1, 1), clip(1, 2), clip(0, 3), clip(1, 4)])
    )
    assert [one["name"] for one in shown["measures"]] == ["VQ", "MQ", "TA", "Overall"]
    vq = [pair["cells"]["0 1"][0] for pair in shown["pairs"]]
    assert [one["gain"] for one in vq] == [1, 0.5, -1, 0] and [one["kind"] for one in vq] == [
        "better",
        "better",
        "worse",
        "",
    ]
    (whole,) = shown["comparisons"]
    assert whole["rows"][0]["won"] == "2 of 4, 1 equal" and whole["rows"][0]["mean"] == "+0.12 \u03c3"
    assert {row["verdict"] for row in whole["rows"]} == {"too few to tell"}
    assert (
        whole["verdict"].startswith("after won 2 of 4 pairs (1 equal) by overall")
        and "6 pairs or more" in whole["verdict"]
    )
    assert summary(shown).splitlines()[0] == whole["verdict"] and "VQ: mean +0.12" in summary(shown)
    assert len(groups) == 4


def test_six_pairs_won_are_a_verdict_with_an_interval():
    seeds = range(6)
    shown, _ = compared(sets([clip(0, one) for one in seeds], [clip(1, one) for one in seeds]))
    row = shown["comparisons"][0]["rows"][0]
    assert (row["verdict"], row["kind"], row["interval"]) == ("better", "better", "+1.00 to +1.00")


def test_clips_without_scores_are_watched_without_figures():
    bare = [ScoredClip({}, "clip"), ScoredClip({}, "clip")]
    shown, _ = compared(sets(bare, bare))
    assert shown["measures"] == [] and shown["comparisons"][0]["rows"] == [] and len(shown["pairs"]) == 2
    assert shown["comparisons"][0]["verdict"].startswith("Without scores")
    half, _ = compared(sets(bare, [clip(1), clip(2)]))
    assert half["comparisons"][0]["verdict"] == "No mark is there of both before and after."


def test_marks_of_different_judges_are_not_subtracted():
    other = ScoredClip({"VQ": -0.2}, "clip", judge="other", dimensions=(Dimension("VQ", "quality", "degrees"),))
    shown, _ = compared(sets([clip(1.0)], [other]))
    assert shown["pairs"][0]["cells"]["0 1"][0]["gain"] is None and shown["comparisons"][0]["rows"] == []
    assert any("judge" in note for note in shown["notes"])


def test_without_captions_there_is_no_overall():
    shown, _ = compared(sets([clip(0, prompt=None)], [clip(1, prompt=None)]))
    assert [one["name"] for one in shown["measures"]] == ["VQ", "MQ"]
    assert "by motion quality" in shown["comparisons"][0]["verdict"]


def test_each_two_of_three_are_compared_and_the_many_with_the_first():
    three, _ = compared(sets([clip(0)], [clip(1)], [clip(3)]))
    assert [(one["left"], one["right"]) for one in three["comparisons"]] == [(0, 1), (0, 2), (1, 2)]
    assert [three["pairs"][0]["cells"][key][0]["gain"] for key in ("0 1", "0 2", "1 2")] == [1, 3, 2]
    many, _ = compared([ClipSet(str(number), (clip(number),)) for number in range(8)])
    assert [(one["left"], one["right"]) for one in many["comparisons"]] == [(0, other) for other in range(1, 8)]


def test_a_set_that_is_shorter_leaves_a_gap():
    shown, groups = compared(sets([clip(0), clip(0)], [clip(1), clip(1)], [clip(3)]))
    assert groups[1][2] is None and shown["pairs"][1]["clips"][2] is None
    assert shown["comparisons"][1]["rows"][0]["won"] == "1 of 1"


def test_sets_have_names_of_their_own_and_empty_ones_are_left_out():
    made = named_sets(["same", "same", "", "x"], [[clip(0)], [clip(1)], [clip(2)], []])
    assert [one.name for one in made] == ["same", "same (B)", "C"]


@pytest.mark.parametrize(
    ("clips", "said"), [([[], []], "nothing is connected"), ([[clip(0)], []], "only before has some")]
)
def test_less_than_two_sets_are_refused(clips, said):
    with pytest.raises(VideoAlignError, match=said):
        named_sets(["before", "after"], clips)


def test_a_clip_keeps_its_own_rate_and_length():
    shown, _ = compared(sets([replace(clip(0), fps=12.0)], [clip(1)]))
    assert [(one["fps"], one["frames"]) for one in shown["pairs"][0]["clips"]] == [(12.0, 17), (8.0, 17)]
