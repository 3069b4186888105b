"""The loop over seeds, with takes that are numbers."""

from videoalign.errors import VideoAlignError
from videoalign.reward.gates import Gate
from videoalign.reward.search.plan import schedule
from videoalign.reward.search.seed_search import Rule, search_seeds
from videoalign.reward.weights import RewardWeights


class Number:
    def __init__(self, seed):
        self.seed, self.step = seed, 0

    def go(self, until):
        self.step = until
        return self


class Numbers:
    def __init__(self, table):
        self.table, self.begun = table, []

    def begin(self, seed):
        self.begun.append(seed)
        return Number(seed)

    def marks(self, take, prompt):
        mark = self.table[take.seed]
        if mark is None:
            raise VideoAlignError("it is broken")
        return {"x": mark + 0.1 * take.step}, f"{prompt} {take.seed}"


BY_X = Rule(RewardWeights({"x": 1}))


def searched(table, looks, keep=1, order=BY_X, **more):
    takes = Numbers(table)
    found, held = search_seeds(takes, "p", list(table), schedule(looks, len(table), keep), takes, order, **more)
    return takes, found, held


def test_the_best_go_on_and_what_cannot_be_judged_is_out():
    takes, found, held = searched({7: 1.0, 8: 4.0, 9: None, 5: 2.0, 6: 3.0}, [1, 2])
    assert [(look.seed, look.step) for look in found.looks] == [(7, 1), (8, 1), (9, 1), (5, 1), (6, 1), (8, 2), (6, 2)]
    assert found.best == [8] and list(held) == [8] and held[8].step == 2 and takes.begun == [7, 8, 9, 5, 6]
    assert [look.out for look in found.looks if look.seed == 9] == [("it is broken",)]


def test_less_is_better_where_the_rule_says_so():
    order = Rule(RewardWeights({"x": 1}), lower_is_better=frozenset({"x"}))
    assert searched({1: 3.0, 2: 1.0, 3: 2.0}, [1], keep=2, order=order)[1].best == [2, 3]


def test_a_take_that_is_good_enough_ends_the_drafting_unless_a_veto_is_on_it():
    rule = Rule(RewardWeights({"x": 1}), (Gate("x", "<", 9),), (Gate("x", ">", 2),))
    assert [rule.is_enough({"x": value}) for value in (1.0, 3.0, 10.0)] == [False, True, False]
    takes, found, _ = searched({1: 1.0, 2: 10.0, 3: 3.0, 4: 5.0}, [1], order=rule)
    assert found.ended_early and found.best == [3] and takes.begun == [1, 2, 3]


def test_what_is_known_is_not_sampled_and_what_is_seen_is_told():
    told = []
    takes, found, held = searched(
        {1: 1.0, 2: 2.0, 3: 3.0},
        [4],
        known=lambda seed, step: {"x": 9.0} if (seed, step) == (2, 4) else None,
        seen=lambda look, seen: told.append((look.seed, seen)),
    )
    assert takes.begun == [1, 3] and found.best == [2] and not held and told == [(1, "p 1"), (3, "p 3")]


def test_no_seed_is_best_where_all_are_out():
    found = searched({1: 1.0, 2: 2.0}, [1, 2], order=Rule(RewardWeights({"x": 1}), (Gate("x", ">", 5),)))[1]
    assert found.best == [] and len(found.looks) == 2 and found.looks[0].out == ("x is 1.1, not > 5",)
