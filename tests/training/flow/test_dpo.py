"""Flow-DPO: the paper's loss and its gradient, for every option."""

import itertools
import math

import pytest
import torch
from tiny_wan import Float64Network, noised, tiny_wan

from videoalign.training.flow.flow_module import FlowModule
from videoalign.training.flow.method import NoisedClips
from videoalign.training.flow.methods.dpo import DpoOptions, FlowDpo, safeguard_scale

OPTIONS = {
    "plain": {},
    "sum": {"reduction": "sum", "beta": 1.0},
    "squared beta": {"beta_schedule": "squared"},
    "sft": {"sft_weight": 0.3},
    "smoothing": {"label_smoothing": 0.1},
    "safeguard": {"safeguard": True},
    "everything": {"beta_schedule": "squared", "sft_weight": 0.3, "label_smoothing": 0.1, "safeguard": True, "safeguard_mu": 0.5},
}  # fmt: skip


def module(backbone, **options):
    return FlowModule(backbone, FlowDpo(DpoOptions(**options)), bins=5, fps=16.0)


def trained(network):
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def gradient(network, batch, **options):
    loss, _ = FlowDpo(DpoOptions(**options))(network, batch)
    parameters = trained(network)
    loss = loss.mean()
    return loss.detach(), dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))


@pytest.fixture
def double():
    return Float64Network()


@pytest.mark.parametrize("backward", ["joint", "split"])
def test_before_the_first_step_the_loss_is_ln_2_and_the_accuracy_one_half(backward):
    loss, measures = module(tiny_wan(), backward=backward)([noised(3)])
    weight = noised(3).weight.mean()
    assert loss.item() == pytest.approx(math.log(2) * weight.item(), rel=1e-6)
    assert measures["accuracy"] == (0.5, 3.0)
    assert measures["margin"][0] == measures["winner_error"][0] == measures["drift"][0] == 0.0


@pytest.mark.parametrize("backward", ["joint", "split"])
def test_the_loss_is_the_papers_equation_computed_step_by_step(backward):
    backbone, batch = tiny_wan(moved=True), noised(2)
    errors = {}
    for name, path in itertools.product(("theta", "reference"), ("chosen", "rejected")):
        for row in range(2):
            t, x0, x1 = batch.sigma[row], batch.clips[path][row], batch.noise[row]
            x_t = (1 - t) * x0 + t * x1
            text = {"text": batch.conditioning["text"][row : row + 1]}
            run = module(backbone)
            with torch.no_grad():
                v = (run.velocity if name == "theta" else run.reference)(x_t[None], t[None], text)[0]
            errors[name, path, row] = ((v - (x1 - x0)) ** 2).double().mean()
    expected = []
    for row in range(2):
        gain = {side: errors["theta", side, row] - errors["reference", side, row] for side in ("chosen", "rejected")}
        logit = -(500 / 2) * (gain["chosen"] - gain["rejected"])
        expected.append(-torch.log(torch.sigmoid(logit)) * batch.weight[row])
    loss, _ = module(backbone, backward=backward)([batch])
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-3)


def test_swapping_chosen_and_rejected_negates_the_logit():
    backbone, batch = tiny_wan(moved=True), noised(1)
    _, one = module(backbone)([batch])
    from dataclasses import replace

    _, other = module(backbone)(
        [replace(batch, clips={"chosen": batch.clips["rejected"], "rejected": batch.clips["chosen"]})]
    )
    assert one["margin"][0] == pytest.approx(-other["margin"][0], rel=1e-5)
    assert abs(one["margin"][0]) > 1e-3
    assert one["accuracy"][0] == 1 - other["accuracy"][0]


@pytest.mark.parametrize("name", OPTIONS)
def test_the_split_gradient_is_the_joint_gradient(name, double):
    batch = noised(2, dtype=torch.float64)
    losses, gradients = zip(
        *(gradient(double, batch, backward=how, **OPTIONS[name]) for how in ("joint", "split")), strict=True
    )
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-9)
    for key, joint in gradients[0].items():
        assert (gradients[1][key] - joint).norm() <= 1e-9 * joint.norm(), key
        assert joint.norm() > 0


def test_on_a_video_network_with_gradient_checkpointing_the_split_gradient_is_the_joint_one():
    backbone, batch = tiny_wan(moved=True), noised(2)
    gradients = []
    for backward, checkpointing in itertools.product(("joint", "split"), (False, True)):
        (
            backbone.module.enable_gradient_checkpointing
            if checkpointing
            else backbone.module.disable_gradient_checkpointing
        )()
        run = module(backbone, backward=backward, safeguard=True, beta=50.0)
        loss, _ = run([batch])
        gradients.append(torch.autograd.grad(loss, list(trained(run).values())))
    scale = max(part.abs().max() for part in gradients[0])
    for other in gradients[1:]:
        assert all(torch.allclose(a, b, atol=1e-5 * scale, rtol=1e-4) for a, b in zip(gradients[0], other, strict=True))


@pytest.mark.parametrize("name", OPTIONS)
def test_the_gradient_is_that_of_the_two_closed_form_coefficients(name, double):
    """DESIGN.md section 2: c_w grad e(w) + c_l grad e(l)."""
    batch = noised(1, dtype=torch.float64)
    options = DpoOptions(**OPTIONS[name])
    run, parameters = double, trained(double)
    errors, velocities, reference = {}, {}, {}
    for side in ("chosen", "rejected"):
        arguments = batch.noisy(side), batch.sigma, batch.conditioning

        def error(v, side=side):
            squares = (v - batch.velocity(side)) ** 2
            return squares.mean() if options.reduction == "mean" else squares.sum()

        velocities[side] = run.velocity(*arguments)
        errors[side], reference[side] = error(velocities[side]), error(run.reference(*arguments))
    beta = options.beta * ((1 - batch.sigma[0]) ** 2 if options.beta_schedule == "squared" else 1)
    gain = (errors["chosen"] - reference["chosen"]) - (errors["rejected"] - reference["rejected"])
    g_w, g_l = (velocities[side].detach() - batch.velocity(side) for side in ("chosen", "rejected"))
    scale = 1.0
    if options.safeguard and (g_w * g_l).sum() > 0:
        scale = min(1.0, ((1 - options.safeguard_mu) * (g_w**2).sum() / (g_w * g_l).sum()).item())
    pull = batch.weight[0] * beta / 2 * (torch.sigmoid(beta / 2 * gain) - options.label_smoothing)
    surrogate = (pull.detach() + options.sft_weight) * errors["chosen"] - scale * pull.detach() * errors["rejected"]
    expected = torch.autograd.grad(surrogate, list(parameters.values()))
    _, found = gradient(double, batch, **OPTIONS[name])
    for (key, own), wanted in zip(found.items(), expected, strict=True):
        assert (own - wanted).norm() <= 1e-9 * wanted.norm(), key


@pytest.mark.parametrize("backward", ["joint", "split"])
def test_the_gradient_equals_finite_differences(backward, double):
    batch = noised(2, dtype=torch.float64)
    options = {"backward": backward, "sft_weight": 0.3, "label_smoothing": 0.1, "beta": 20.0}
    _, found = gradient(double, batch, **options)
    for key in found:
        parameter, direction = trained(double)[key], torch.randn_like(found[key])
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                values.append(FlowDpo(DpoOptions(**options))(double, batch)[0].mean().item())
                parameter.sub_(direction, alpha=step)
        assert (values[0] - values[1]) / 2e-5 == pytest.approx((found[key] * direction).sum().item(), rel=1e-5)


def test_sum_with_beta_divided_by_the_elements_is_mean_with_beta(double):
    batch = noised(2, dtype=torch.float64)
    elements = batch.noise[0].numel()
    mean_loss, mean = gradient(double, batch, beta=500)
    sum_loss, total = gradient(double, batch, beta=500 / elements, reduction="sum")
    assert mean_loss.item() == pytest.approx(sum_loss.item(), rel=1e-9)
    assert all(torch.allclose(mean[key], total[key], rtol=1e-9, atol=0) for key in mean)


def test_the_network_is_told_the_sigma_that_made_x_t_and_both_clips_share_noise_and_level():
    seen = []

    class Recorder:
        def velocity(self, x_t, sigma, conditioning):
            seen.append((x_t, sigma))
            return torch.zeros_like(x_t).requires_grad_()

        reference = velocity

    batch = noised(2)
    FlowDpo(DpoOptions(backward="joint"))(Recorder(), batch)
    clean = torch.cat([batch.clips["chosen"], batch.clips["rejected"]])
    for x_t, sigma in seen:
        t = sigma.view(-1, 1, 1, 1, 1)
        assert torch.allclose((x_t - (1 - t) * clean) / t, torch.cat([batch.noise] * 2), atol=1e-5)


def test_a_tie_pulls_the_logit_to_zero_and_is_no_part_of_the_accuracy():
    from dataclasses import replace

    backbone = tiny_wan(moved=True)
    batch = replace(noised(1), target=torch.tensor([0.5]))
    run = module(backbone, beta=50.0)
    loss, measures = run([batch])
    assert "accuracy" not in measures
    assert loss.item() > math.log(2) * batch.weight.item()
    optimizer = torch.optim.Adam(trained(backbone.module).values(), lr=2e-3)
    for _ in range(20):
        optimizer.zero_grad()
        loss, _ = run([batch])
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(math.log(2) * batch.weight.item(), rel=1e-2)


def test_with_the_safeguard_a_step_does_not_raise_the_winners_error():
    """Where winner and loser pull against each other, the plain step raises it (arXiv 2511.03317, Figure 1)."""
    w, target_w = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)
    v_l, target_l = torch.tensor([[3.0, 1.0]]), torch.zeros(1, 2)
    scale = safeguard_scale(w, v_l, target_w, target_l, mu=0.0)
    assert scale.item() == pytest.approx(1 / 3)
    step = -w + scale * v_l
    assert (step * w).sum() <= 1e-6 < ((-w + v_l) * w).sum()
    assert safeguard_scale(w, -v_l, target_w, target_l, mu=0.9).item() == 1.0
    assert safeguard_scale(w, v_l, target_w, target_l, mu=1.0).item() == 0.0


def test_errors_are_reduced_in_float32_when_the_network_computes_in_bfloat16():
    """bfloat16 would make nearly equal errors equal, and the logit with them."""
    from videoalign.training.flow.method import flow_error

    generator = torch.Generator().manual_seed(0)
    target = torch.randn(1, 16, 4, 8, 8, generator=generator)
    v = (target + torch.randn(target.shape, generator=generator)).bfloat16()
    exact = ((v.double() - target.double()) ** 2).mean()
    assert flow_error(v, target, "mean").item() == pytest.approx(exact.item(), rel=1e-6)
    assert abs(((v - target.bfloat16()) ** 2).mean().item() - exact.item()) * 250 > 0.05


def test_samples_of_different_shapes_share_a_micro_batch():
    backbone = tiny_wan(moved=True)
    small, large = noised(1, seed=1), noised(1, seed=2, shape=(16, 3, 4, 6))
    run = module(backbone)
    together, _ = run([small, large])
    alone = [run([group])[0].item() for group in (small, large)]
    assert together.item() == pytest.approx(sum(alone) / 2, rel=1e-6)
    assert isinstance(small, NoisedClips)
