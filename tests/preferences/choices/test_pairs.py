from pathlib import Path

import pytest

from videoalign.preferences.choices.candidates import Candidate
from videoalign.preferences.choices.pairs import choice_pairs, pair_id

ROOT = Path("/clips")


def candidates(prompts: int, each: int = 2) -> list[Candidate]:
    return [
        Candidate(ROOT / f"{prompt}_{number}.mp4", f"prompt {prompt}")
        for prompt in range(prompts)
        for number in range(each)
    ]


def sides(pairs) -> dict[str, str]:
    return {pair.id: pair.a.path.name for pair in pairs}


def test_the_left_clip_is_the_first_of_the_table_in_half_of_the_pairs():
    swapped = sum(pair.swapped for pair in choice_pairs(candidates(500), ROOT))
    assert 207 < swapped < 293  # 250 +- 3.8 standard deviations


def test_sides_are_independent_between_two_people_and_the_same_again_for_one():
    anna, ben = (choice_pairs(candidates(500), ROOT, name) for name in ("Anna", "Ben"))
    equal = sum(sides(anna)[name] == clip for name, clip in sides(ben).items())
    assert 207 < equal < 293
    assert choice_pairs(candidates(500), ROOT, "Anna") == anna


def test_neither_side_nor_turn_follows_the_order_of_the_table():
    pairs = choice_pairs(candidates(400), ROOT)
    turns = [int(pair.prompt.split()[1]) for pair in pairs]
    assert turns != sorted(turns)
    mean = sum(turn * place for place, turn in enumerate(turns)) / sum(turns)
    assert abs(mean - 199.5) < 25  # no drift of the prompts' numbers along the turns (sd of the mean is about 7)
    assert 70 < sum(pair.swapped for pair in pairs[:200]) < 130


def test_a_swapped_pair_shows_the_later_clip_on_the_left():
    for pair in choice_pairs(candidates(20), ROOT):
        assert pair.a.path.stem.endswith("_1" if pair.swapped else "_0")
        assert pair.b.path.stem.endswith("_0" if pair.swapped else "_1")


def test_every_two_clips_of_a_prompt_make_one_pair_and_no_others():
    pairs = choice_pairs(candidates(3, each=4), ROOT)
    assert len(pairs) == 3 * 6 == len({pair.id for pair in pairs})
    assert all(pair.a.prompt == pair.b.prompt and pair.a.path != pair.b.path for pair in pairs)


def test_clips_with_a_group_meet_only_their_group():
    clips = [Candidate(ROOT / f"{number}.mp4", "p", group=group) for number, group in enumerate("aabb")]
    lone = [Candidate(ROOT / f"lone{number}.mp4", "p") for number in range(2)]
    pairs = choice_pairs([*clips, *lone], ROOT)
    assert len(pairs) == 3
    assert all(pair.a.group == pair.b.group for pair in pairs)


def test_a_clip_that_is_named_twice_does_not_meet_itself():
    clips = candidates(1)
    assert len(choice_pairs([*clips, clips[0]], ROOT)) == 1


@pytest.mark.parametrize(("most", "expected"), [(0, 12), (2, 4), (100, 12)])
def test_the_number_of_pairs_of_a_prompt_can_be_limited_to_the_same_ones_for_everybody(most, expected):
    anna, ben = (choice_pairs(candidates(2, each=4), ROOT, name, most) for name in ("Anna", "Ben"))
    assert len(anna) == expected
    assert {pair.id for pair in anna} == {pair.id for pair in ben}


def test_a_pair_has_one_name_whichever_clip_comes_first():
    assert pair_id("p", "a", "b") == pair_id("p", "b", "a") != pair_id("q", "a", "b")
