"""Wan 2.2's experts, told by the names of their files."""

import pytest

from videoalign.backbones.experts import expert_of, noise_range


@pytest.mark.parametrize(
    ("name", "expert"),
    [
        ("wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "high_noise"),
        ("wan2.2_i2v_low_noise_14B_fp16.safetensors", "low_noise"),
        ("Wan2.2-T2V-A14B-LowNoise-Q8_0.safetensors", "low_noise"),
        ("WAN22 High-Noise v2.safetensors", "high_noise"),
        ("my_lora_high_noise.safetensors", "high_noise"),
        ("wan2.1_t2v_14B_bf16.safetensors", None),
        ("high_noise_and_low_noise_merged.safetensors", None),
        ("noise_high.safetensors", None),
        ("transformer_2", "low_noise"),
        ("transformer", None),
    ],
)
def test_a_files_name_tells(name, expert, tmp_path):
    assert expert_of(tmp_path / name) == expert
    assert expert_of(str(tmp_path / "high_noise" / "model.safetensors")) is None  # the folder is not the file


def test_a_diffusers_pipeline_of_two_is_read_as_its_first(tmp_path):
    for folder in ("transformer", "transformer_2"):
        (tmp_path / folder).mkdir()
    assert expert_of(tmp_path) == expert_of(tmp_path / "transformer") == "high_noise"
    assert expert_of(tmp_path / "transformer_2") == "low_noise"
    (tmp_path / "transformer_2").rmdir()
    assert expert_of(tmp_path) is None


def test_they_share_the_noise_levels():
    assert noise_range("high_noise", 0.875) == (0.875, 1.0) and noise_range("low_noise", 0.875) == (0.0, 0.875)
