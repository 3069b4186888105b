import itertools
import math

import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.guidance.flow_nrg import FlowNRG
from videoalign.guidance.settings import RAW, UNIT_FREE, GuidanceSettings

WEIGHTS = {"VQ": 0.2, "MQ": 0.5, "TA": 0.3}


def raw(reward, strength=100.0, cap=None, **settings):
    return FlowNRG(reward, GuidanceSettings(WEIGHTS, strength, RAW, cap=cap, **settings)).begin()


def weighted(reward, x_t, sigma, conditioning):
    return reward(x_t, sigma, conditioning) @ torch.tensor([0.2, 0.5, 0.3])


def at(t, batch=2):
    return torch.full((batch,), t)


def model(x, t):
    return torch.sin(x) + t


def test_it_is_the_papers_loop_to_float_precision(reward, drawn):
    x, _, conditioning = drawn
    times = [1.0, 0.9, 0.7, 0.4, 0.1, 0.0]

    expected = x.clone()
    for t, following in itertools.pairwise(times):  # the paper's algorithm: every step but t = 1
        v = model(expected, t)
        if t < 1:
            leaf = expected.clone().requires_grad_()
            gradient = torch.autograd.grad(weighted(reward, leaf, at(t), conditioning).sum(), leaf)[0]
            v = v - 100.0 * t / (1 - t) * gradient
        expected = expected + (following - t) * v

    guidance = raw(reward)
    for t, following in itertools.pairwise(times):
        x = x + (following - t) * guidance.shift_velocity(x, at(t), model(x, t), conditioning)
    torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_equals_finite_differences(reward, drawn):
    x_t, v, conditioning = drawn
    t = 0.6
    shift = (v - raw(reward).shift_velocity(x_t, at(t), v, conditioning)) / (100.0 * t / (1 - t))
    exact = x_t.double()
    reward.directions, reward.text = reward.directions.double(), reward.text.double()
    told = {"text": conditioning["text"].double()}
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    for place in [(0, 0, 0, 0, 0), (0, 3, 1, 2, 1), (1, 2, 0, 3, 3)]:
        step = torch.zeros_like(exact)
        step[place] = 1e-5
        ahead, behind = ((reward(exact + way * step, at(t).double(), told) @ weights)[place[0]] for way in (1, -1))
        assert float(shift[place]) == pytest.approx(float(ahead - behind) / 2e-5, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("cap", [None, 0.05])
def test_the_three_forms_are_one_shift(reward, drawn, cap):
    x_t, v, conditioning = drawn
    t = 0.7
    guided = raw(reward, 10.0, cap=cap).shift_velocity(x_t, at(t), v, conditioning)
    denoised = raw(reward, 10.0, cap=cap).shift_denoised(x_t, at(t), x_t - t * v, conditioning)
    noise = raw(reward, 10.0, cap=cap).shift_noise(x_t, at(t), x_t + (1 - t) * v, conditioning)
    torch.testing.assert_close(denoised, x_t - t * guided, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(noise, x_t + (1 - t) * guided, rtol=1e-4, atol=1e-5)


def test_the_exploding_form_is_w_sigma_squared_times_the_gradient(reward, drawn):
    x, denoised, conditioning = drawn
    sigma = 2.5

    def on_the_exploding_path(leaf):
        return weighted(reward, leaf / (1 + sigma), at(sigma / (1 + sigma)), conditioning).sum()

    gradient = torch.autograd.functional.jacobian(on_the_exploding_path, x)
    guided = raw(reward, 3.0).shift_denoised_of_exploding(x, at(sigma), denoised, conditioning)
    torch.testing.assert_close(guided, denoised + 3.0 * sigma**2 * gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["shift_velocity", "shift_denoised", "shift_noise", "shift_denoised_of_exploding"])
def test_strength_0_returns_what_came_in_and_records_the_rewards(reward, drawn, form):
    x_t, v, conditioning = drawn
    guidance = raw(reward, 0.0)
    assert getattr(guidance, form)(x_t, at(0.5), v, conditioning) is v
    (point,) = guidance.trace.points
    t = 0.5 if form != "shift_denoised_of_exploding" else 1 / 3
    seen = x_t if form != "shift_denoised_of_exploding" else x_t / 1.5
    assert torch.tensor(point.samples) == pytest.approx(reward(seen, at(t), conditioning).numpy(), abs=1e-6)
    assert point.shift_ratio == 0


@pytest.mark.parametrize("noise", [1.0, 1 - 2**-24])  # LTX-Video's schedule begins one rounding below 1
def test_the_first_step_at_sigma_1_is_skipped_and_the_next_is_finite(reward, drawn, noise):
    x_t, v, conditioning = drawn
    guidance = raw(reward)
    assert guidance.shift_velocity(x_t, at(noise), v, conditioning) is v
    assert not guidance.trace.points
    assert guidance.shift_velocity(x_t, at(0.9959), v, conditioning).isfinite().all()


def test_guidance_acts_inside_its_window_only(reward, drawn):
    x_t, v, conditioning = drawn
    guidance = raw(reward, start_sigma=0.8, end_sigma=0.3)
    shifted = [guidance.shift_velocity(x_t, at(t), v, conditioning) is not v for t in (0.9, 0.8, 0.5, 0.3, 0.2)]
    assert shifted == [False, True, True, True, False]


@pytest.mark.parametrize("mode", [RAW, UNIT_FREE])
def test_a_batch_is_shifted_as_its_clips_one_by_one(reward, drawn, calibration, mode):
    x_t, v, conditioning = drawn
    sigma = torch.tensor([0.8, 0.3])

    def guided(rows):
        guidance = FlowNRG(reward, GuidanceSettings(WEIGHTS, 5.0, mode, cap=0.3), calibration()).begin()
        told = {"text": conditioning["text"][rows]}
        return guidance.shift_velocity(x_t[rows], sigma[rows], v[rows], told)

    singles = torch.cat([guided(slice(place, place + 1)) for place in range(2)])
    torch.testing.assert_close(guided(slice(None)), singles, rtol=1e-6, atol=1e-6)


def test_the_cap_bounds_the_shift_by_sample_and_keeps_its_direction(reward, drawn):
    x_t, v, conditioning = drawn
    free = raw(reward).shift_velocity(x_t, at(0.9), v, conditioning) - v
    guidance = raw(reward, cap=0.2)
    capped = guidance.shift_velocity(x_t, at(0.9), v, conditioning) - v
    ratio = capped.flatten(1).norm(dim=1) / v.flatten(1).norm(dim=1)
    assert ratio.tolist() == pytest.approx([0.2, 0.2], rel=1e-4)
    assert torch.nn.functional.cosine_similarity(capped.flatten(1), free.flatten(1)).min() > 0.9999
    assert guidance.trace.points[0].capped and guidance.trace.points[0].shift_ratio == pytest.approx(0.2, rel=1e-4)


def test_it_works_inside_inference_mode_and_gives_the_same(reward, drawn):
    x_t, v, conditioning = drawn
    expected = raw(reward).shift_velocity(x_t, at(0.5), v, conditioning)
    with torch.inference_mode():
        inside = {"text": conditioning["text"] * 1}
        given = raw(reward).shift_velocity(x_t * 1, at(0.5), v * 1, inside)
    assert torch.equal(expected, given)


def test_a_reward_that_is_not_a_number_is_an_error_that_says_which_and_where(drawn):
    x_t, v, conditioning = drawn

    def broken(x, sigma, told):
        return torch.stack([x.mean((1, 2, 3, 4)), x.mean((1, 2, 3, 4)) * math.nan, x.mean((1, 2, 3, 4))], 1)

    with pytest.raises(GuidanceError, match=r"gave MQ = nan at sigma 0\.5"):
        raw(broken).shift_velocity(x_t, at(0.5), v, conditioning)


def test_a_gradient_or_latent_that_is_not_finite_is_an_error(reward, drawn):
    x_t, v, conditioning = drawn

    def steep(x, sigma, told):
        return torch.sqrt((x - x.detach()).abs().sum((1, 2, 3, 4)))[:, None].expand(-1, 3)

    with pytest.raises(GuidanceError, match="gradient is not finite"):
        raw(steep).shift_velocity(x_t, at(0.5), v, conditioning)
    with pytest.raises(GuidanceError, match="latent is not finite"):
        raw(reward).shift_velocity(x_t * math.inf, at(0.5), v, conditioning)
    with pytest.raises(GuidanceError, match="own prediction is not finite"):
        raw(reward, cap=0.1).shift_velocity(x_t, at(0.5), v * math.nan, conditioning)


def test_a_reward_of_another_shape_is_refused(drawn):
    x_t, v, conditioning = drawn
    with pytest.raises(GuidanceError, match=r"shape \(2, 1\)"):
        raw(lambda x, sigma, told: x.mean((1, 2, 3, 4))[:, None]).shift_velocity(x_t, at(0.5), v, conditioning)


@pytest.mark.parametrize(("strength", "told"), [(100.0, {"VQ", "TA"}), (0.0, set())])
def test_a_reward_that_asks_which_dimensions_count_is_told_those_with_a_weight(reward, drawn, strength, told):
    heard = []

    def asks(x_t, sigma, conditioning, counted):
        heard.append(set(counted))
        return reward(x_t, sigma, conditioning)

    x_t, v, conditioning = drawn
    settings = GuidanceSettings({"VQ": 0.5, "MQ": 0.0, "TA": 0.5}, strength, RAW)
    shifted, plainly = (
        FlowNRG(each, settings).begin().shift_velocity(x_t, at(0.6), v, conditioning) for each in (asks, reward)
    )
    assert heard == [told]
    assert torch.equal(shifted, plainly)
