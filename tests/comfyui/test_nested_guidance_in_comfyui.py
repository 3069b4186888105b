"""Reward guidance of video with sound: tiny LTX-2 and MiniMax H3 networks of ComfyUI's own classes, its own samplers."""

import math

import pytest
import torch
from comfy_process import RemoteError
from test_nested_latents_in_comfyui import same

pytestmark = pytest.mark.comfyui

KINDS = ("ltxav", "h3")
NOISE = 1 - 1e-6  # from here on there is no shift; LTX-2's schedule begins a rounding below 1
OWN_TEXT = {"text_width": 64, "clip": 64, "caption": "a (red:1.2) kite over the sea"}
SAMPLERS = (
    "euler", "dpmpp_2m", "euler_ancestral",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("heun", "res_multistep", "uni_pc")),
)  # fmt: skip


@pytest.fixture(scope="module")
def sample(process):
    def run(kind, **arguments):
        return process.call("av_calls.sample", kind=kind, **arguments)

    return run


def equal(one, other) -> list[bool]:
    return [same(*pair) for pair in zip(one, other, strict=True)]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", KINDS)
def test_strength_0_gives_the_plain_samplers_clip_and_sound_bit_for_bit_and_records_the_rewards(sample, kind, sampler):
    plain, traced = sample(kind, sampler=sampler), sample(kind, sampler=sampler, guidance={"strength": 0.0})
    assert equal(plain["streams"], traced["streams"]) == [True, True]
    assert equal(plain["denoised"], traced["denoised"]) == [True, True]
    assert all(part.isfinite().all() and part.std() > 0.1 for part in plain["streams"])
    assert len(traced["trace"]["points"]) >= 4 and traced["trace"]["note"] is None


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_prediction_keeps_its_sound_bit_for_bit_and_each_guided_one_changes_its_video(sample, kind, sampler):
    run = sample(kind, sampler=sampler, guidance={})
    changed = []
    for (sigma, _, before), (_, _, after) in zip(run["before"], run["after"], strict=True):
        numbers = math.prod(run["shapes"][0][1:])
        assert same(before[:, :, numbers:], after[:, :, numbers:]), f"the sound at sigma {sigma}"
        changed.append(not torch.equal(before[:, :, :numbers], after[:, :, :numbers]))
    assert changed == [sigma < NOISE for sigma, _, _ in run["before"]] and any(changed)


@pytest.mark.parametrize("own_text", [{}, OWN_TEXT])
@pytest.mark.parametrize(("kind", "batch"), [pytest.param("ltxav", 1, marks=pytest.mark.slow), ("ltxav", 2), ("h3", 1)])
def test_the_shift_is_the_formulas_on_the_video_alone(process, kind, batch, own_text):
    for row in process.call("av_calls.shifts", kind=kind, strength=30.0, batch=batch, **own_text):
        assert same(*row["sound"])
        if row["sigma"] >= NOISE:
            assert same(row["before"], row["after"])
            continue
        shift, expected = row["after"] - row["before"], row["expected"] - row["before"]
        assert expected.norm() > 0.01 * row["before"].norm()
        # Both gradients are sums in float32 over the same network, in another order of the weighted sum alone.
        assert (shift - expected).norm() <= 1e-5 * (expected.norm() + row["before"].norm())


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_finished_sound_changes_through_the_network_alone(sample, kind, sampler):
    """Guided in its last evaluation only, after which no network runs, a clip keeps its sound to the bit; guided earlier not."""
    plain = sample(kind, sampler=sampler)
    last = sample(kind, sampler=sampler, guidance={"start_percent": 0.75})
    assert [point["sigma"] for point in last["trace"]["points"]] == [pytest.approx(float(plain["sigmas"][-2]))]
    assert equal(plain["streams"], last["streams"]) == [False, True]
    assert equal(plain["streams"], sample(kind, sampler=sampler, guidance={})["streams"]) == [False, False]


@pytest.mark.parametrize("way", ["basic", "cfg"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_distilled_model_at_cfg_1_is_guided_with_and_without_a_negative(sample, kind, way):
    plain, run = sample(kind, way=way, cfg=1.0), sample(kind, way=way, cfg=1.0, guidance={})
    assert [point["sigma"] for point in run["trace"]["points"]] == pytest.approx(run["sigmas"][1:-1].tolist())
    assert equal(plain["streams"], run["streams"]) == [False, False]
    assert equal(plain["streams"], sample(kind, way=way, cfg=1.0, guidance={"strength": 0.0})["streams"]) == [
        True,
        True,
    ]


def test_a_guider_that_asks_nothing_at_cfg_1_is_named(sample):
    with pytest.raises(
        RemoteError, match=r"never asks the model for guidance.*Dual Model CFG Guider at CFG 1.*Use Basic"
    ):
        sample("ltxav", way="dual model", cfg=1.0, guidance={})
    plain = sample("ltxav", way="dual model", cfg=1.0)
    assert equal(plain["streams"], sample("ltxav", way="dual model", cfg=1.0, guidance={"strength": 0.0})["streams"])
    assert sample("ltxav", way="dual model", cfg=3.0, guidance={})["trace"]["points"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_guider_that_tells_the_prediction_in_the_latents_place_is_guided_alike(sample, kind):
    usual, odd = sample(kind, guidance={}), sample(kind, way="input is denoised", guidance={})
    assert equal(usual["streams"], odd["streams"]) == [True, True]
    told = [[{**point, "seconds": 0} for point in run["trace"]["points"]] for run in (usual, odd)]
    assert told[0] == told[1]


def test_minimax_h3s_hook_sees_the_videos_noise_level_whatever_the_sounds_is(sample):
    runs = [sample("h3", shifts=(12.0, shift), guidance={}) for shift in (3.0, 12.0)]
    for run in runs:
        assert [point["sigma"] for point in run["trace"]["points"]] == pytest.approx(run["sigmas"][1:-1].tolist())
    assert torch.equal(runs[0]["sigmas"], runs[1]["sigmas"])
    assert equal(runs[0]["streams"], runs[1]["streams"]) == [False, False]


@pytest.mark.parametrize(("kind", "form"), [("ltxav", "silent"), ("ltxav", "kept"), ("h3", "kept")])
def test_a_video_without_sound_and_given_parts_are_guided_too(process, kind, form):
    plain, traced, run = (
        process.call("av_calls.ksampler", kind=kind, form=form, guidance=guidance)
        for guidance in (None, {"strength": 0.0}, {})
    )
    streams = 1 if form == "silent" else 2
    assert equal(plain["streams"], traced["streams"]) == [True] * streams
    assert equal(plain["streams"], run["streams"]) == [False] * streams
    assert len(run["trace"]["points"]) == 4 and run["trace"]["note"] is None
    if form == "kept":
        half = plain["streams"][1].shape[-1] // 2
        for at, kept in ((0, (slice(None), slice(None), 0)), (1, (..., slice(half)))):
            assert same(plain["streams"][at][kept], run["streams"][at][kept])
            # The last step of Euler comes within a rounding of what was given.
            assert torch.allclose(run["streams"][at][kept], run["given"][at][kept], atol=1e-5)


@pytest.mark.parametrize(("way", "looks"), [("guided", 4), ("searched", 2), ("particles", None)])
def test_the_reward_is_told_which_frame_is_given(process, way, looks):
    seen, given = process.call("av_calls.told_of_what_is_given", way=way)
    assert len(seen) == looks or (looks is None and seen)
    for frame, mask in seen:
        assert mask.shape[2:] == (2, 3, 4) and not mask[:, :, 0].any() and mask[:, :, 1:].eq(1).all()
        assert torch.allclose(frame, given, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_is_found_by_its_video(process, kind):
    made = process.call("av_calls.traces", kind=kind)
    whole = made["output"]
    assert len(whole["points"]) == 4 and whole["note"] is None and whole["seed"] == 5
    for name in ("denoised", "video alone", "other sound"):
        assert made[name] == whole, name
    assert made["edited"]["points"] == [] and "No trace belongs" in made["edited"]["note"]
    assert made["passed on"] and made["panel"] == whole["points"]
    # The latent between is scaled and scaled back: two roundings (1e-7), which the steps of a random network that follow amplify, guided ones by
    # their gradient's direction; a half that began elsewhere would differ by hundredths.
    for one, other in zip(*made["halves"], strict=True):
        assert (one - other).norm() <= 1e-4 * one.norm()
    sigmas = [[point["sigma"] for point in made[name]["points"]] for name in ("output", "first half", "both halves")]
    assert sigmas[0] == sigmas[2] and sigmas[1] == sigmas[0][:1]
    assert made["both halves"]["steps"] == 5 and made["both halves"]["note"] is None
    assert made["second half alone"]["note"].startswith("Cut: it begins at sigma")


@pytest.mark.parametrize("kind", ["ltxav"])
def test_scores_take_each_clips_part_of_a_joint_latent(process, kind):
    for index, streams in enumerate(process.call("av_calls.scored_latents", kind=kind)):
        assert [len(part) for part in streams] == [1] * 4
        assert [float(part.mean()) for part in streams] == [index] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_another_caption_steers_otherwise_and_strength_0_changes_nothing(sample, kind):
    plain, one = sample(kind), sample(kind, guidance={}, **OWN_TEXT)
    other = sample(kind, guidance={}, **OWN_TEXT | {"caption": "a blue stone under the sea"})
    assert not same(one["streams"][0], other["streams"][0])
    assert one["trace"]["points"][0]["TA"] != other["trace"]["points"][0]["TA"]
    assert equal(plain["streams"], sample(kind, guidance={"strength": 0.0}, **OWN_TEXT)["streams"]) == [True, True]


@pytest.mark.parametrize(
    ("own_text", "said"),
    [
        (
            {"text_width": 64},
            "has another text encoder: connect the CLIP of LTX-2 to clip and the prompt to caption",
        ),
        (
            {"text_width": 64, "clip": 32, "caption": "a kite"},
            "clip gives texts 32 wide. Connect the CLIP of LTX-2",
        ),
        ({"text_width": 64, "clip": 64, "caption": " "}, "caption is empty"),
        ({"text_width": 64, "clip": 64}, "caption is empty"),
        ({"caption": "a kite"}, "caption needs clip"),
    ],
)
def test_a_text_that_does_not_fit_is_refused_before_anything_is_sampled(sample, own_text, said):
    with pytest.raises(RemoteError, match=f"GuidanceError: .*{said}"):
        sample("ltxav", guidance={}, **own_text)
