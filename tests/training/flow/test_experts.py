"""Wan 2.2's experts in a training: the file's name or model.expert sets noise levels and the LoRA's name."""

import re
from pathlib import Path

import pytest
from tiny_backbones import tiny

from videoalign.errors import VideoAlignError
from videoalign.training.flow.run import lora_file, with_expert_range
from videoalign.training.flow.two_experts import expert_runs

HIGH, LOW = "wan2.2_t2v_high_noise_14B_fp16.safetensors", "wan2.2_t2v_low_noise_14B_fp16.safetensors"


@pytest.fixture
def ranged(options):
    """The configuration of a training of a file of that name, as it is used."""

    def build(name, expert=None, network="wan-t2v", **noise):
        config = options(model={"transformer": Path(name), "expert": expert}, noise=noise)
        return with_expert_range(config, tiny(network))

    return build


def used(config):
    return config.model.expert, config.noise.sigma_min, config.noise.sigma_max, lora_file(config).name


def test_the_files_name_is_as_good_as_the_option(ranged, capsys):
    by_option = ranged("model.safetensors", "high_noise")
    assert capsys.readouterr().err == ""
    by_name = ranged(HIGH)
    assert (
        "is the high_noise expert of Wan 2.2 by its name: trained at noise levels 0.875 to 1" in capsys.readouterr().err
    )
    assert used(by_name) == used(by_option) == ("high_noise", 0.875, 1.0, "lora_high_noise.safetensors")
    assert used(ranged(LOW)) == ("low_noise", 0.0, 0.875, "lora_low_noise.safetensors")
    assert used(ranged(LOW, "low_noise", network="wan22-i2v")) == ("low_noise", 0.0, 0.9, "lora_low_noise.safetensors")
    assert used(ranged("wan2.1.safetensors")) == (None, 0.0, 1.0, "lora.safetensors")


def test_a_contradiction_is_refused(ranged):
    with pytest.raises(
        VideoAlignError,
        match=rf"model\.expert is low_noise, but {re.escape(HIGH)} is the high_noise expert by its name",
    ):
        ranged(HIGH, "low_noise")
    with pytest.raises(VideoAlignError, match=r"lie outside of what the high_noise expert works at, 0\.875 to 1"):
        ranged(HIGH, sigma_max=0.5)


def test_noise_levels_that_are_given_are_left(ranged):
    assert used(ranged(HIGH, sigma_min=0.9)) == ("high_noise", 0.9, 1.0, "lora_high_noise.safetensors")


def test_a_name_means_nothing_to_a_family_without_experts_but_the_option_is_refused(ranged):
    assert used(ranged("ltx_low_noise.safetensors", network="ltx-video"))[:3] == (None, 0.0, 1.0)
    with pytest.raises(VideoAlignError, match="LTX-Video has no experts"):
        ranged("x.safetensors", "low_noise", network="ltx-video")
    with pytest.raises(VideoAlignError, match="LTX-Video has no experts"):
        ranged("x.safetensors", "low_noise", network="ltx-video", sigma_max=0.5)


def test_two_experts_are_two_runs_with_one_cache(options):
    def runs(first, second, **model):
        config = options(model={"transformer": Path(first), "other_expert": Path(second), **model})
        return config, expert_runs(config)

    config, (first, second) = runs(LOW, HIGH)
    assert [run.model.expert for run in (first, second)] == ["low_noise", "high_noise"]
    assert [run.output for run in (first, second)] == [config.output / "low_noise", config.output / "high_noise"]
    assert first.data.cache == second.data.cache == config.output / "cache"
    assert (first.model.transformer, second.model.transformer) == (Path(LOW), Path(HIGH))
    _, (first, second) = runs("a.safetensors", "b.safetensors", expert="high_noise")
    assert [run.model.expert for run in (first, second)] == ["high_noise", "low_noise"]
    _, (first, second) = runs("a.safetensors", HIGH)
    assert [run.model.expert for run in (first, second)] == ["low_noise", "high_noise"]
    with pytest.raises(VideoAlignError, match="neither name tells"):
        runs("a.safetensors", "b.safetensors")
    with pytest.raises(VideoAlignError, match="both are the high_noise expert"):
        runs(HIGH, f"other_{HIGH}")
    assert expert_runs(options(output="x")) != [] and len(expert_runs(options(output="x"))) == 1
