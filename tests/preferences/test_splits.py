"""Held-out pairs: whole prompts, one at least, and one at least is left to train on."""

from pathlib import Path

import numpy as np
import pytest

from videoalign.errors import PreferenceFileError
from videoalign.preferences.preference_file import PreferencePair, ResolvedPair
from videoalign.preferences.splits import hold_out


def pairs_of(*prompts):
    return [
        ResolvedPair(PreferencePair(prompt=prompt, chosen="a", rejected="b"), Path("a"), Path("b"), f"row {number}")
        for number, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize("prompts", [2, 3, 5, 40])
@pytest.mark.parametrize("share", [1e-9, 0.02, 0.3, 0.6, 0.999])
def test_any_share_holds_out_a_prompt_and_leaves_one(prompts, share):
    pairs = pairs_of(*(f"prompt {number % prompts}" for number in range(3 * prompts)))
    train, held_out = hold_out(pairs, share, seed=1)
    ours, theirs = ({pair.prompt for pair in part} for part in (train, held_out))
    assert ours and theirs and not ours & theirs
    assert len(theirs) == min(max(round(share * prompts), 1), prompts - 1)
    assert sorted([*train, *held_out], key=pairs.index) == pairs


def test_the_same_seed_holds_out_the_prompts_that_it_always_did():
    prompts = [f"prompt {number:02d}" for number in range(20)]
    _, held_out = hold_out(pairs_of(*reversed(prompts)), 0.25, seed=42)
    drawn = np.random.default_rng(42).permutation(20)[:5]
    assert {pair.prompt for pair in held_out} == {prompts[number] for number in drawn}


def test_nothing_is_held_out_where_the_share_is_none():
    pairs = pairs_of("one", "one", "two")
    assert hold_out(pairs, 0, seed=1) == (pairs, [])


def test_a_single_prompt_cannot_be_split_and_the_error_says_what_can_be_done():
    with pytest.raises(
        PreferenceFileError, match=r"2 training pairs have one prompt.*data\.eval, or data\.eval_share = 0"
    ):
        hold_out(pairs_of("one", "one"), 0.05, seed=1)
    assert len(hold_out(pairs_of("one", "one"), 0, seed=1)[0]) == 2
