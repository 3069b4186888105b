"""Reward guidance in the real ComfyUI, on tiny networks with random weights."""

from pathlib import Path

import pytest
import torch
from comfy_process import RemoteError
from guidance_prompts import random_reward
from tiny_backbones import save_single, tiny

from videoalign.reward.latent.reward_file import save_latent_reward

pytestmark = pytest.mark.comfyui

SAMPLERS = ("euler", "heun", "dpmpp_2m", "res_multistep", "uni_pc", "euler_ancestral")
STRONG = {"strength": 3.0, "cap": 1.0}


class Files:
    """Checkpoints in ComfyUI's form and latent rewards on the first blocks of such networks, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, name: str = "wan-t2v", seed: int = 0) -> str:
        path = self.folder / f"{name}-{seed}.safetensors"
        if not path.exists():
            save_single(tiny(name, seed), path)
        return str(path)

    def reward(self, name: str = "wan-t2v") -> str:
        path = self.folder / f"reward-{name}.safetensors"
        if not path.exists():
            save_latent_reward(path, random_reward(tiny(name, seed=3)), torch.float32)
        return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    return Files(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def sample(process, files):
    """Sample with a tiny Wan; ``reward=True`` guides with a tiny latent reward."""

    def run(name="wan-t2v", reward=False, **arguments):
        chosen = files.reward(name if reward is True else reward) if reward else None
        return process.call("sample", model=files.model(name), reward=chosen, **arguments)

    return run


def sigmas(result) -> list[float]:
    return [point["sigma"] for point in result["trace"]["points"]]


def test_a_comfyui_euler_run_equals_a_plain_loop_of_the_papers_pseudo_code(process, files, sample):
    weights = (0.2, 0.5, 0.3)
    raw = {"strength_mode": "raw (paper)", "strength": 60.0, "cap": 0.0}
    guided = sample(reward=True, guidance=raw, steps=6, cfg=3.0)["samples"]
    expected = process.call(
        "plain_loop", model=files.model(), reward=files.reward(), steps=6, cfg=3.0, weights=weights, strength=60.0
    )
    unguided = sample(steps=6, cfg=3.0)["samples"]
    assert (guided - unguided).abs().max() > 0.1
    torch.testing.assert_close(guided, expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_guided_from_the_first_step_on(sample, sampler):
    unguided = sample(sampler=sampler)["samples"]
    guided = sample(reward=True, guidance=STRONG, sampler=sampler)
    assert guided["samples"].isfinite().all()
    assert (guided["samples"] - unguided).abs().max() > 1e-2
    assert max(sigmas(guided)) < 1 and len(sigmas(guided)) >= 5
    assert all(point["shift_ratio"] > 0 for point in guided["trace"]["points"])


@pytest.mark.parametrize("sampler", ["euler", "heun", "euler_ancestral"])
def test_strength_0_is_bit_identical_and_still_records_the_rewards(sample, sampler):
    unguided = sample(sampler=sampler)["samples"]
    recorded = sample(reward=True, guidance={"strength": 0.0}, sampler=sampler)
    assert torch.equal(recorded["samples"], unguided)
    assert all(point["VQ"] is not None and point["shift_ratio"] == 0 for point in recorded["trace"]["points"])


def test_it_runs_without_classifier_free_guidance(sample):
    guided = sample(reward=True, guidance=STRONG, cfg=1.0)
    assert guided["samples"].isfinite().all()
    assert (guided["samples"] - sample(cfg=1.0)["samples"]).abs().max() > 1e-2


def test_a_batch_is_guided_as_its_clips_one_by_one(process, files, sample):
    """Each clip has its own noise, gradient and cap; ComfyUI draws a batch's noise in one go, the first clip's first."""
    both = sample(reward=True, guidance=STRONG, batch=2)
    first = sample(reward=True, guidance=STRONG, batch=1)
    assert both["samples"].shape[0] == 2
    torch.testing.assert_close(both["samples"][:1], first["samples"], rtol=1e-3, atol=1e-3)
    assert [len(point["samples"]) for point in both["trace"]["points"]] == [2] * 5


def test_masked_parts_of_a_latent_stay_as_they_are(sample):
    image = torch.randn(1, 16, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    arguments = {"image": image, "masked": True}
    guided, unguided = sample(reward=True, guidance=STRONG, **arguments)["samples"], sample(**arguments)["samples"]
    torch.testing.assert_close(guided[..., 4:], image[..., 4:], rtol=1e-4, atol=1e-4)
    assert (guided - unguided)[..., :4].abs().max() > 1e-2


def test_two_samplers_in_a_row_equal_one_run(sample):
    whole = sample(reward=True, guidance=STRONG, parts=[(0, 6)])
    halves = sample(reward=True, guidance=STRONG, parts=[(0, 3), (3, 6)])
    torch.testing.assert_close(halves["samples"], whole["samples"], rtol=1e-4, atol=1e-4)
    assert sigmas(halves) == pytest.approx(sigmas(whole))
    assert [point["step"] for point in halves["trace"]["points"]] == pytest.approx([1, 2, 3, 4, 5])
    assert halves["trace"]["seed"] == 5 and halves["trace"]["steps"] == 6 and halves["trace"]["note"] is None


def test_two_experts_share_one_run_and_one_trace(files, sample):
    other = files.model(seed=9)
    arguments = {"low_noise": other, "parts": [(0, 3), (3, 6)]}
    guided = sample(reward=True, guidance=STRONG, **arguments)
    points = guided["trace"]["points"]
    assert [point["model"] for point in points] == ["model"] * 2 + ["model_low_noise"] * 3
    assert (guided["samples"] - sample(**arguments)["samples"]).abs().max() > 1e-2


def test_every_run_of_a_node_gets_a_trace_of_its_own_told_point_by_point(process, files):
    told, traces = process.call(
        "repeated", model=files.model(), reward=files.reward(), runs=[{"seed": 1}, {"seed": 2, "size": (16, 5, 8, 8)}]
    )
    assert {event for event, _ in told} == {"videoalign.reward_trace"}
    messages = [content for _, content in told]
    first = messages[0]["run"]
    assert [(content["run"] - first, content["index"]) for content in messages] == [
        (run, place) for run in (0, 1) for place in (-1, 0, 1, 2, None)
    ]
    assert all(content["node"] == "7" for content in messages)
    assert [messages[place]["seed"] for place in (0, 5)] == [1, 2] == [trace["seed"] for trace in traces]
    assert {messages[place]["ended"] for place in (4, 9)} == {"done"}
    for run, trace in enumerate(traces):  # the first run's is still there after the second
        assert trace["run"] == first + run
        for content, point in zip(messages[5 * run + 1 :], trace["points"], strict=False):
            assert content["point"] == {name: value for name, value in point.items() if name != "samples"}
    assert traces[0]["points"] != traces[1]["points"]


@pytest.mark.parametrize("patch", ["CFGZeroStar", "APG", "SLG", "windows"])
def test_it_goes_with_other_patches_before_and_after(sample, patch):
    """Samples are guided, and strength 0 changes nothing, wherever the other node stands."""
    size = (16, 6, 8, 8) if patch == "windows" else (16, 3, 8, 8)
    alone = sample(before=[patch], size=size)["samples"]
    for place in ("before", "after"):
        guided = sample(reward=True, guidance=STRONG, size=size, **{place: [patch]})["samples"]
        assert guided.isfinite().all() and (guided - alone).abs().max() > 1e-2
        off = sample(reward=True, guidance={"strength": 0.0}, size=size, **{place: [patch]})["samples"]
        assert torch.equal(off, alone)


def test_it_stops_when_interrupted_and_the_next_run_begins_anew(sample):
    with pytest.raises(RemoteError) as stopped:
        sample(reward=True, interrupt_at=2)
    assert stopped.value.kind == "InterruptProcessingException"
    assert len(sigmas(sample(reward=True))) == 5


def test_guidance_keeps_to_its_part_of_the_sampling(sample):
    whole = sigmas(sample(reward=True))
    part = sigmas(sample(reward=True, guidance={"start_percent": 0.2, "end_percent": 0.7}))
    assert 0 < len(part) < len(whole) and set(part) < set(whole)


def test_connected_weights_override_the_sliders(sample):
    by_sliders = sample(reward=True, guidance={"VQ": 0.0, "MQ": 1.0, "TA": 0.0})
    by_wire = sample(reward=True, guidance={"VQ": 1.0, "MQ": 0.0, "TA": 0.0, "weights": (0.0, 1.0, 0.0)})
    assert torch.equal(by_sliders["samples"], by_wire["samples"])
    assert by_wire["trace"]["weights"] == {"VQ": 0.0, "MQ": 1.0, "TA": 0.0}


def test_the_prompt_that_is_active_and_for_the_whole_clip_judges(process, files, sample):
    """A prompt for a part of the steps only judges there; one with an area gives way to one without."""
    whole = process.call("conditioned", seed=1)
    other = process.call("conditioned", seed=8, area=(3, 8, 4, 0, 0, 0))
    rewards = []
    for given in ([whole], [other, whole], [process.call("conditioned", seed=8)]):
        recorded = sample(reward=True, guidance={"strength": 0.0}, positive=given)
        rewards.append(recorded["trace"]["points"][0]["TA"])
    # The first point's latents differ by what the area did to the first step, a little; another prompt moves TA much more.
    assert abs(rewards[1] - rewards[0]) < 0.25 * abs(rewards[2] - rewards[0])


def test_image_to_video_conditions_reach_the_reward(process, files, sample):
    name, size = "wan22-i2v", (16, 3, 8, 8)
    image = torch.randn(1, 16, *size[1:], generator=torch.Generator().manual_seed(6))
    mask = torch.zeros(1, 1, *size[1:])
    results = [
        sample(name, reward=True, guidance=STRONG, size=size, about={"concat_latent_image": given, "concat_mask": mask})
        for given in (image, image * 0)
    ]
    assert all(result["samples"].isfinite().all() for result in results)
    first = [result["trace"]["points"][0]["VQ"] for result in results]
    assert abs(first[0] - first[1]) > 1e-4


@pytest.mark.parametrize(
    ("name", "size", "width", "about"),
    [
        ("hunyuan-video", (16, 3, 8, 8), 64, {"pooled_output": torch.ones(1, 768), "guidance": 6.0}),
        (
            "ltx-video",
            (128, 3, 4, 4),
            4096,
            {"attention_mask": torch.tensor([[1, 1, 1, 1, 0, 0]]), "frame_rate": 25.0},
        ),
        ("wan22-ti2v", (48, 3, 8, 8), 4096, {}),
        (
            "hunyuan-video-1.5",
            (32, 3, 4, 4),
            64,
            {"pooled_output": torch.ones(1, 8), "conditioning_byt5small": torch.ones(1, 5, 1472)},
        ),
    ],
)
def test_other_families_are_guided(sample, name, size, width, about):
    arguments = {"size": size, "width": width, "about": about}
    unguided = sample(name, **arguments)["samples"]
    guided = sample(name, reward=True, guidance=STRONG, **arguments)
    assert guided["samples"].isfinite().all()
    assert (guided["samples"] - unguided).abs().max() > 1e-2
    assert len(sigmas(guided)) == 5


@pytest.mark.parametrize(
    ("model", "reward", "said"),
    [
        ("wan22-ti2v", "wan-t2v", r"trained on wan2.1 latents \(16 channels\); this model samples wan2.2 latents \(48 channels\)"),
        ("hunyuan-video", "wan-t2v", r"trained on wan2.1 latents \(16 channels\); this model samples hunyuan-video latents"),
        ("ltx-video", "wan-t2v", r"samples ltxv latents \(128 channels\). Choose a latent reward model that was trained for ltxv"),
    ],
)  # fmt: skip
def test_a_latent_reward_of_another_family_is_refused_by_name(sample, model, reward, said):
    with pytest.raises(RemoteError, match=said) as refused:
        sample(model, reward=reward)
    assert refused.value.kind == "GuidanceError"
    assert refused.value.text.startswith("latent_reward 'reward-wan-t2v.safetensors'")


def test_a_model_that_is_no_flow_model_is_guided_by_its_own_formula(sample):
    """EPS: sigma goes to 14; x0 moves by w sigma^2 grad R, which the trace's t = sigma / (1 + sigma) shows."""
    unguided = sample(before=["eps"], scheduler="normal")["samples"]
    guided = sample(before=["eps"], reward=True, guidance=STRONG, scheduler="normal")
    assert guided["samples"].isfinite().all() and (guided["samples"] - unguided).abs().max() > 1e-2
    assert 0.9 < max(sigmas(guided)) < 1
    later = sample(after=["eps"], reward=True, guidance=STRONG, scheduler="normal")["samples"]
    assert torch.equal(later, guided["samples"])


def test_a_latent_reward_that_has_gone_and_come_back_still_has_the_right_gradients(process, files):
    found = process.call("weights_after_moving", reward=files.reward())
    assert len(found["moves"]) >= 3 and not any(found["moves"]), "moved under inference mode"
    assert found["inference_tensors"] == 0
    torch.testing.assert_close(found["after"], found["before"])
    for gradient, difference in found["differences"]:
        assert gradient == pytest.approx(difference, rel=1e-2, abs=2e-4)


def test_copies_of_a_guided_model_lead_to_the_same_latent_reward(process, files):
    assert process.call("copied_guidance", model=files.model(), reward=files.reward())
