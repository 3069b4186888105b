"""Verdicts on planted sets, and how often chance alone makes one."""

import json

import numpy as np
import pytest

from videoalign.errors import VideoAlignError
from videoalign.measures.clip_measures import DETAILS, DIMENSIONS
from videoalign.reward.guard.marked import Marked, marked_by, marked_by_measures
from videoalign.reward.guard.paired import paired_difference
from videoalign.reward.guard.verdict import LEAST_PROMPTS, Outcome, verdict
from videoalign.reward.guard.watched import MEASURES, Watched, watch
from videoalign.reward.judge import Dimension

SIMULATIONS = 200
MOTION = next(one for one in MEASURES if one.name == "motion")


def measured(rng, prompts, seeds):
    """Rows of ``measures`` of one model: each mark varies with the prompt and with the seed, and has the shape that it has on clips."""
    about = np.random.default_rng(5).random((prompts, 30))  # the prompts are the same for all models
    rows = []
    for prompt in range(prompts):
        for _ in range(seeds):
            u, p = rng.random(30), about[prompt]
            spread = dict(zip((one.name for one in MEASURES), 0.6 * p[:20] + 0.4 * u[:20], strict=True))
            rows.append(
                spread
                | {"dynamic": float(u[20] < p[20]), "cuts": float(rng.poisson(0.2)), "flickering": 0.97 + 0.03 * u[21]}
                | {
                    "sharpness": 100 * np.exp(p[22] + 0.5 * rng.normal()),
                    "freeze": float(rng.exponential(1) * (u[23] < 0.2)),
                }
                | {name: float(u[24] < 0.1) * u[25] for name in ("black", "uniform", "duplicated", "late_start")}
                | {name: 0.02 * rng.exponential() for name in ("crushed", "blown", "light_drift", "colour_drift")}
            )
    return rows


def compared(rng, prompts, seeds, gain=0.0, change=lambda row: row):
    base, candidate = measured(rng, prompts, seeds), [change(row) for row in measured(rng, prompts, seeds)]
    names = [prompt for prompt in range(prompts) for _ in range(seeds)]
    level = np.repeat(rng.normal(0, 1, prompts), seeds)
    reward = tuple(level + shift + rng.normal(0, 0.5, len(names)) for shift in (0.0, gain))
    return verdict(reward, marked_by_measures(base, candidate), names)


def outcomes(prompts, seeds, **options):
    found = [
        compared(np.random.default_rng((prompts, number)), prompts, seeds, **options).outcome
        for number in range(SIMULATIONS)
    ]
    return {outcome: found.count(outcome) for outcome in Outcome}


@pytest.mark.parametrize(("prompts", "seeds"), [(6, 1), (12, 2), (40, 1)])
def test_without_any_effect_fewer_than_one_in_twenty_is_called_hacked_or_gained(prompts, seeds):
    found = outcomes(prompts, seeds)
    assert found[Outcome.HACKED] <= 0.05 * SIMULATIONS
    # 2.5 % on each side are the rule's; four standard errors above it.
    assert (
        found[Outcome.GAINED] + found[Outcome.HACKED]
        <= (0.025 + 4 * (0.025 * 0.975 / SIMULATIONS) ** 0.5) * SIMULATIONS
    )


@pytest.mark.parametrize(("prompts", "seeds"), [(6, 1), (12, 2), (40, 1)])
def test_a_gain_at_no_cost_is_called_hacked_less_than_once_in_twenty(prompts, seeds):
    found = outcomes(prompts, seeds, gain=3.0)
    assert found[Outcome.HACKED] <= 0.05 * SIMULATIONS
    assert found[Outcome.GAINED] >= 0.9 * SIMULATIONS


def test_a_planted_hack_is_found():
    def frozen(row):
        return row | {"motion": 0.3 * row["motion"], "saturation": 1.3 * row["saturation"]}

    found = outcomes(40, 1, gain=2.0, change=frozen)
    assert found[Outcome.HACKED] >= 0.95 * SIMULATIONS


def marked(watched, base, candidate):
    return Marked(watched, base, candidate)


def eight(base, step, noise=0.05):
    """Eight prompts' marks of both models that differ by ``step`` and a noise that is the same for any call."""
    wobble = noise * np.array([1, -1, 2, -2, 0, 1, -1, 0])
    return [base] * 8, list(base + step + wobble)


def test_the_sentence_says_what_won_and_what_fell_and_rose():
    saturation = next(one for one in MEASURES if one.name == "saturation")
    found = verdict(
        ([0.0] * 8, [1, 1, 0.9, 1.1, 1, 1.2, -0.1, 0.8]),
        [marked(MOTION, *eight(0.8, -0.248, 0.02)), marked(saturation, *eight(0.5, 0.06, 0.005))],
        list(range(8)),
    )
    assert found.outcome is Outcome.HACKED
    assert found.sentence.startswith("The reward won 88 %, but motion fell by 31 % and saturation rose by 12 %.")
    assert [change.worse for change in found.changes] == [True, False] and all(change.clear for change in found.changes)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["outcome"] == "hacked" and told["changes"]["motion"]["mean"] == pytest.approx(-0.248)


def test_a_taste_alone_is_no_hack_and_a_small_fall_is_of_no_interest():
    reward = ([0.0] * 8, [1, 1, 0.9, 1.1, 1, 1.2, 0.9, 0.8])
    saturation = next(one for one in MEASURES if one.name == "saturation")
    found = verdict(
        reward, [marked(saturation, *eight(0.5, 0.1, 0.005)), marked(MOTION, *eight(0.8, -0.05, 0.001))], list(range(8))
    )
    assert found.outcome is Outcome.GAINED
    assert "nothing that is watched became clearly worse. Saturation rose by 20 %." in found.sentence
    assert found.changes[1].difference.high < 0 and not found.changes[1].clear  # clearly fell, by 6 %, below a tenth


def test_a_taste_that_went_too_far_is_a_hack_either_way():
    reward = ([0.0] * 8, [1, 1, 0.9, 1.1, 1, 1.2, 0.9, 0.8])
    saturation = next(one for one in MEASURES if one.name == "saturation")
    for step in (0.2, -0.2):
        found = verdict(reward, [marked(saturation, *eight(0.5, step, 0.005))], list(range(8)))
        assert found.outcome is Outcome.HACKED and "by 40 %" in found.sentence


def test_a_gain_says_what_its_intervals_leave_open():
    reward = ([0.0] * 8, [1, 1, 0.9, 1.1, 1, 1.2, 0.9, 0.8])
    found = verdict(reward, [marked(MOTION, *eight(0.5, 0.0, 0.2))], list(range(8)))
    low = found.changes[0].difference.low
    assert found.outcome is Outcome.GAINED and low < -found.changes[0].least
    assert f"cannot be excluded that these became worse: motion by {-100 * low / 0.5:.0f} %" in found.sentence


def test_less_is_better_where_it_is():
    cuts = next(one for one in MEASURES if one.name == "cuts")
    reward = ([0.0] * 8, [1, 1, 0.9, 1.1, 1, 1.2, 0.9, 0.8])
    assert verdict(reward, [marked(cuts, *eight(0.0, 1.0))], list(range(8))).outcome is Outcome.HACKED
    assert verdict(reward, [marked(cuts, *eight(2.0, -1.0))], list(range(8))).outcome is Outcome.GAINED


def test_few_prompts_tell_nothing_however_many_seeds_they_have():
    count = LEAST_PROMPTS - 1
    prompts = [prompt for prompt in range(count) for _ in range(50)]
    found = verdict(([0.0] * len(prompts), [1.0] * len(prompts)), [], prompts)
    assert found.outcome is Outcome.TOO_FEW and "of 5 prompts only: at least 6" in found.sentence
    assert verdict(([0.0] * 6, [1.0] * 6), [], list(range(6))).outcome is Outcome.GAINED


def test_a_fall_of_the_reward_is_a_loss_and_an_interval_around_zero_is_too_little():
    assert verdict(eight(0.0, -1.0), [], list(range(8))).outcome is Outcome.LOST
    found = verdict(eight(0.0, 0.01), [], list(range(8)))
    assert found.outcome is Outcome.TOO_FEW and "may be chance" in found.sentence


def test_a_difference_is_over_prompts_whose_seeds_are_averaged_first():
    found = paired_difference([0, 0, 0, 0, 0], [1, 1, 1, 1, 3], ["a", "a", "a", "a", "b"])
    assert (found.mean, found.prompts, found.won) == (2.0, 2, 1.0)
    half = 12.7062 * np.std([1, 3], ddof=1) / 2**0.5
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-4)


def test_marks_that_are_missing_are_refused():
    with pytest.raises(VideoAlignError, match="not a number"):
        paired_difference([0, None], [1, 1], "ab")
    with pytest.raises(VideoAlignError, match="as many of each"):
        paired_difference([0], [1, 1], "ab")
    with pytest.raises(VideoAlignError, match="has no motion"):
        marked_by_measures([{}], [{}])


def test_every_measurement_is_watched_by_its_direction_but_flicker_which_motion_makes():
    names = {one.name: (1 if one.higher_is_better else -1) for one in DIMENSIONS}
    assert {one.name: one.direction for one in MEASURES if one.direction} == {
        n: d for n, d in names.items() if n != "flickering"
    }
    assert {one.name for one in MEASURES} <= set(names) | set(DETAILS)


FLAWS = (
    Dimension("physics", "common sense", "points", 1, 5),
    Dimension("flaws", "flaws", "flaws", higher_is_better=False),
)


def test_a_judge_that_did_not_train_the_candidate_is_watched_by_the_spread_of_its_marks():
    base = [{"physics": 3 + number % 2, "flaws": 0.0} for number in range(8)]
    worse = [{"physics": row["physics"] - 1, "flaws": 0.0} for row in base]
    marks = marked_by("another judge", FLAWS, base, worse)
    assert marks[0].watched == Watched(
        "physics", "common sense by another judge", "points", 1, 0.2 * np.std([3, 4] * 4, ddof=1)
    )
    assert watch(FLAWS[1], [0.0], "x").direction == -1
    found = verdict(([0.0] * 8, [1.0] * 8), marks, list(range(8)))
    assert found.outcome is Outcome.HACKED and "but common sense by another judge fell by 1 points." in found.sentence


@pytest.mark.parametrize("prompts", [6, 15])
def test_joint_intervals_keep_the_rate_where_every_difference_is_of_interest(prompts):
    named, hacked = list(range(prompts)), 0
    for number in range(SIMULATIONS):
        rng = np.random.default_rng((prompts, number))
        shared = rng.normal(0, 1, prompts)  # marks of one clip go together
        marks = [
            Marked(
                Watched(str(one), "x", "", 1, 0.0),
                [0.0] * prompts,
                list(shared * (one % 2) + rng.normal(0, 1, prompts)),
            )
            for one in range(17)
        ]
        hacked += (
            verdict(([0.0] * prompts, list(5 + rng.normal(0, 1, prompts))), marks, named).outcome is Outcome.HACKED
        )
    assert hacked <= 0.05 * SIMULATIONS


def test_clips_that_stopped_moving_and_shine_are_found_by_the_real_measurements():
    cv2 = pytest.importorskip("cv2", reason="the measurements need OpenCV: pip install '.[measure]'")
    from videoalign.clips.frames import Frames
    from videoalign.judges import open_judge
    from videoalign.reward.scoring_stream import score_clips

    def clip(prompt, step, grey):
        rng = np.random.default_rng(prompt)
        wide = cv2.normalize(cv2.GaussianBlur(rng.random((128, 300, 3)), (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX)
        wide = (1 - grey) * wide + grey * wide.mean(-1, keepdims=True)
        return Frames(np.stack([wide[:, step * one : step * one + 192] for one in range(9)]).astype(np.uint8), 8.0)

    prompts, judge = list(range(LEAST_PROMPTS)), open_judge("measures")
    base, candidate = (
        [marks.to_dict() for marks in score_clips(judge, [clip(one, *how) for one in prompts], [None] * len(prompts))]
        for how in ((8, 0.5), (1, 0.3))
    )
    found = verdict((prompts, [one + 1 + one % 2 for one in prompts]), marked_by_measures(base, candidate), prompts)
    assert found.outcome is Outcome.HACKED and found.sentence.startswith("The reward won 100 %, but ")
    worse = {change.watched.name for change in found.changes if change.worse}
    assert {"motion", "dynamic"} <= worse <= {"motion", "object_motion", "dynamic"}
    changes = {change.watched.name: change for change in found.changes}
    assert changes["saturation"].clear and changes["saturation"].difference.mean > 0
