"""The reward losses against the official trainer's recorded numbers, closed forms and finite differences."""

import json
import math
from pathlib import Path

import pytest
import torch

from videoalign.reward.preference_losses import (
    LOSSES,
    bradley_terry_loss,
    bradley_terry_with_ties_loss,
    btt_log_probabilities,
    margin_loss,
    preference_loss,
    regression_loss,
    scaled_loss,
)

FIXTURES = Path(__file__).resolve().parents[1] / "data" / "videoreward" / "results"
CASES = json.loads((FIXTURES / "losses.json").read_text())["cases"]
RECORDED = [pytest.param(case, name, id=f"{case['name']}-{name}") for case in CASES for name in case["out"]]
RECORDED_BF16 = [param for param in RECORDED if param.values[1] != "reg"]


def tensors(case, dtype=torch.float32):
    a = torch.tensor(case["rewards_A"], dtype=dtype, requires_grad=True)
    b = torch.tensor(case["rewards_B"], dtype=dtype, requires_grad=True)
    return a, b, torch.tensor(case["chosen_label"]), torch.tensor(case["A_scores"]), torch.tensor(case["B_scores"])


def pair(a, b, label, dtype=torch.float64):
    return (
        torch.tensor([a], dtype=dtype, requires_grad=True),
        torch.tensor([b], dtype=dtype, requires_grad=True),
        torch.tensor([label]),
    )


@pytest.mark.parametrize(("case", "name"), RECORDED)
def test_loss_and_gradients_equal_the_recorded_official_ones(case, name):
    a, b, *rest = tensors(case)
    loss = preference_loss(name, a, b, *rest)
    loss.backward()
    official = case["out"][name]
    assert str(loss.dtype) == official["loss_dtype"]
    torch.testing.assert_close(loss.item(), official["loss"], rtol=3e-7, atol=3e-7)
    torch.testing.assert_close(a.grad, torch.tensor(official["grad_A"]), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(b.grad, torch.tensor(official["grad_B"]), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("case", "name"), RECORDED_BF16)
def test_bfloat16_losses_equal_the_official_ones_without_upcast_and_are_close_to_them_with_it(case, name):
    a, b, *rest = tensors(case, torch.bfloat16)
    official = case["out_bf16"][name]
    loss = preference_loss(name, a, b, *rest, upcast=False)
    loss.backward()
    torch.testing.assert_close(loss.item(), official["loss"], rtol=3e-7, atol=3e-7)
    torch.testing.assert_close(a.grad.float(), torch.tensor(official["grad_A"]), rtol=0, atol=1e-8)
    # What upcast=True must be: the float32 loss of the rounded rewards. bfloat16 arithmetic is up to 2 % away from it.
    exact = preference_loss(name, a.detach().double(), b.detach().double(), *rest).item()
    upcast = preference_loss(name, a, b, *rest).item()
    assert upcast == pytest.approx(exact, rel=1e-6, abs=1e-6)
    assert upcast == pytest.approx(official["loss"], rel=2e-2, abs=1e-2)


def test_regression_takes_bfloat16_rewards_on_which_the_official_trainer_fails():
    case = CASES[0]
    assert case["out_bf16"]["reg"]["error"] == "RuntimeError"
    a, b, labels, scores_a, scores_b = tensors(case, torch.bfloat16)
    loss = preference_loss("reg", a, b, labels, scores_a, scores_b)
    by_hand = 0.0
    for rewards, scores in ((a, scores_a), (b, scores_b)):
        rows = zip(rewards.tolist(), scores.tolist(), strict=True)
        by_hand += sum((r - (s - 3)) ** 2 for row in rows for r, s in zip(*row, strict=True)) / rewards.numel() / 2
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("reduction", ["mean", "mean_used", "sum"])
def test_gradients_equal_finite_differences(name, reduction):
    case = CASES[0]
    a, b, labels, scores_a, scores_b = tensors(case, torch.float64)
    weights = torch.linspace(0.5, 2.0, len(a), dtype=torch.float64)

    def loss(a, b):
        return preference_loss(name, a, b, labels, scores_a, scores_b, reduction=reduction, weights=weights)

    assert torch.autograd.gradcheck(loss, (a, b))


def test_the_three_probabilities_of_bradley_terry_with_ties_sum_to_one_and_follow_the_papers_equation():
    d = torch.linspace(-12, 12, 97, dtype=torch.float64)
    log_a, log_b, log_tie = btt_log_probabilities(d, k=5.0)
    torch.testing.assert_close(log_a.exp() + log_b.exp() + log_tie.exp(), torch.ones_like(d))
    # Rao and Kupper's form, in the strengths exp(r) instead of the difference of rewards.
    strength_a, strength_b, k = d.exp(), torch.ones_like(d), 5.0
    torch.testing.assert_close(log_a.exp(), strength_a / (strength_a + k * strength_b))
    torch.testing.assert_close(log_b.exp(), strength_b / (strength_b + k * strength_a))
    assert log_tie.exp().argmax() == 48, "a tie is most likely at equal rewards"


@pytest.mark.parametrize(("gap", "label"), [(150.0, 0), (3000.0, 0), (150.0, -1), (3000.0, -1)])
def test_a_tie_or_an_upset_at_a_huge_gap_has_its_finite_loss_where_the_naive_formula_gives_infinity(gap, label):
    a, b, labels = pair([gap], [0.0], [label], torch.float32)
    p_a, p_b = torch.sigmoid(a - b - math.log(5)), torch.sigmoid(b - a - math.log(5))
    naive = -torch.log((25 - 1) * p_a * p_b if label == 0 else p_b)
    assert torch.isinf(naive).all()
    loss = bradley_terry_with_ties_loss(a, b, labels)
    loss.backward()
    # -log P(B) -> d + log 5 and -log P(tie) -> d + log 5 - log 24 as d grows.
    assert loss.item() == pytest.approx(gap + math.log(5) - (math.log(24) if label == 0 else 0.0), rel=1e-6)
    assert a.grad.item() == pytest.approx(1.0) and b.grad.item() == pytest.approx(-1.0)


def test_swapping_the_clips_and_the_labels_changes_no_loss():
    a, b, labels, scores_a, scores_b = tensors(CASES[0], torch.float64)
    swapped = torch.where(labels.abs() == 1, -labels, labels)
    for name in LOSSES:
        one = preference_loss(name, a, b, labels, scores_a, scores_b)
        other = preference_loss(name, b, a, swapped, scores_b, scores_a)
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["btt", "bt", "margin", "constant_margin", "scaled"])
def test_mean_used_does_not_change_when_pairs_without_a_usable_label_join_the_batch_but_the_official_mean_does(name):
    a, b, labels, scores_a, scores_b = tensors(CASES[0], torch.float64)
    more = [torch.cat([x, x]) for x in (a, b, scores_a, scores_b)]
    diluted = torch.cat([labels, torch.full_like(labels, 22)])

    def value(reduction, a, b, labels, scores_a, scores_b):
        return preference_loss(name, a, b, labels, scores_a, scores_b, reduction=reduction).item()

    used = value("mean_used", a, b, labels, scores_a, scores_b)
    assert value("mean_used", more[0], more[1], diluted, *more[2:]) == pytest.approx(used, rel=1e-12)
    official = value("mean", a, b, labels, scores_a, scores_b)
    assert value("mean", more[0], more[1], diluted, *more[2:]) == pytest.approx(official / 2, rel=1e-12)
    count = ((labels != 22) & ((labels != 0) | (name == "btt"))).sum().item()
    assert used == pytest.approx(official * labels.numel() / count, rel=1e-12)


def test_mean_used_of_the_regression_counts_the_scores_that_are_there():
    a = torch.tensor([[1.0, 9.0], [-1.0, 0.5]])
    b = torch.tensor([[0.0, 2.0], [7.0, 1.0]])
    scores_a = torch.tensor([[3.0, 0.0], [1.0, 4.0]])  # errors 1, -, 1, 0.5
    scores_b = torch.tensor([[0.0, 5.0], [float("nan"), 3.0]])  # errors -, 0, -, 1
    squares = 1 + 1 + 0.25 + 0 + 1
    assert regression_loss(a, b, scores_a, scores_b, reduction="mean_used").item() == pytest.approx(squares / 5)
    assert regression_loss(a, b, scores_a, scores_b).item() == pytest.approx(squares / 8)


def test_an_invalid_label_hides_a_reward_that_is_not_a_number_in_loss_and_gradient():
    nan = float("nan")
    a, b, labels = pair([nan, 1.0, nan], [0.0, 0.5, nan], [22, 1, 22])
    for loss in (bradley_terry_with_ties_loss, bradley_terry_loss):
        a.grad = b.grad = None
        value = loss(a, b, labels, reduction="mean_used")
        value.backward()
        assert math.isfinite(value.item())
        assert a.grad[0, 0] == 0 and a.grad[0, 2] == 0 and torch.isfinite(a.grad).all() and torch.isfinite(b.grad).all()
    a, b, labels = pair([nan], [0.0], [1])
    assert bradley_terry_with_ties_loss(a, b, labels).isnan(), "a NaN under a valid label must not be hidden"


def test_a_batch_without_any_usable_label_gives_a_zero_loss_with_zero_gradients():
    for reduction in ("mean", "mean_used", "sum"):
        a, b, labels = pair([0.3, 0.1], [0.2, 0.4], [22, 22])
        loss = bradley_terry_with_ties_loss(a, b, labels, reduction=reduction)
        loss.backward()
        assert loss.item() == 0 and a.grad.abs().sum() == 0


def test_a_pair_of_weight_two_counts_like_the_same_pair_twice():
    a, b, labels, *_ = tensors(CASES[0], torch.float64)
    weights = torch.ones(len(a), dtype=torch.float64)
    weights[1] = 2
    weighted = bradley_terry_with_ties_loss(a, b, labels, weights=weights, reduction="mean_used")
    twice = [torch.cat([x, x[1:2]]) for x in (a, b, labels)]
    torch.testing.assert_close(weighted, bradley_terry_with_ties_loss(*twice, reduction="mean_used"))


def test_the_official_scaled_loss_rewards_the_wrong_ranking_where_scores_contradict_the_label_and_agreeing_does_not():
    scores_a, scores_b = torch.tensor([[1.0]]), torch.tensor([[5.0]])  # the label says A, the scores say B
    worse, better = (pair([gap], [0.0], [1], torch.float32) for gap in (-50.0, 50.0))
    official = [scaled_loss(*p, scores_a, scores_b).item() for p in (worse, better)]
    assert official[0] == pytest.approx(-200.0, rel=1e-6) and official[0] < official[1]
    agreeing = [scaled_loss(*p, scores_a, scores_b, margin_rule="agreeing").item() for p in (worse, better)]
    assert agreeing == [0.0, 0.0]


def test_the_official_margin_takes_a_missing_score_for_a_lead_and_agreeing_falls_back_to_plain_bradley_terry():
    a, b, labels = pair([1.0], [0.0], [1], torch.float32)
    scores_a, missing = torch.tensor([[4.0]]), torch.tensor([[0.0]])
    plain = math.log1p(math.exp(-1.0))
    assert margin_loss(a, b, labels, scores_a, missing).item() == pytest.approx(math.log1p(math.exp(3.0)), rel=1e-6)
    assert margin_loss(a, b, labels, scores_a, missing, margin_rule="agreeing").item() == pytest.approx(plain, rel=1e-6)
    assert scaled_loss(a, b, labels, scores_a, missing, margin_rule="agreeing").item() == pytest.approx(plain, rel=1e-6)


def test_agreeing_margins_equal_the_official_ones_where_scores_are_complete_and_agree_with_the_labels():
    a, b, labels, *_ = tensors(CASES[0])
    scores_a = torch.where(labels == 1, 4.0, 2.0)
    scores_b = torch.where(labels == 1, 1.0, 5.0)
    for loss in (margin_loss, scaled_loss):
        official = loss(a, b, labels, scores_a, scores_b)
        torch.testing.assert_close(loss(a, b, labels, scores_a, scores_b, margin_rule="agreeing"), official)


def test_unreduced_losses_have_the_labels_shape_and_average_to_the_mean():
    a, b, labels, scores_a, scores_b = tensors(CASES[0], torch.float64)
    for name in LOSSES:
        each = preference_loss(name, a, b, labels, scores_a, scores_b, reduction="none")
        assert each.shape == labels.shape
        torch.testing.assert_close(each.mean(), preference_loss(name, a, b, labels, scores_a, scores_b))


def test_bad_input_is_refused_with_the_offending_value_named():
    a, b, labels, *_ = tensors(CASES[0])
    wrong = labels.clone()
    wrong[2, 1] = 2
    with pytest.raises(ValueError, match=r"label 2 of pair 2, dimension 1 .* 22 \(invalid\)"):
        bradley_terry_with_ties_loss(a, b, wrong)
    with pytest.raises(ValueError, match=r"\(6, 3\) and \(5, 3\)"):
        bradley_terry_loss(a, b[:5], labels)
    with pytest.raises(ValueError, match="rewards' shape"):
        bradley_terry_loss(a, b, labels[:, :1])
    with pytest.raises(ValueError, match="'regular' is unknown; choose one of btt, bt"):
        preference_loss("regular", a, b, labels)
    with pytest.raises(ValueError, match="'margin' needs people's scores"):
        preference_loss("margin", a, b, labels)
    with pytest.raises(ValueError, match="k must be above 1"):
        bradley_terry_with_ties_loss(a, b, labels, k=1.0)
    with pytest.raises(ValueError, match="reduction 'avg' is unknown"):
        bradley_terry_loss(a, b, labels, reduction="avg")
