"""Distilled models: their settings by name, and a LoRA that stays on under the one that is trained."""

import json
import types

import pytest
import torch
from tiny_backbones import tiny

from videoalign.backbones import devices, loading
from videoalign.backbones.flow_path import sigmas
from videoalign.backbones.sampling import sample
from videoalign.errors import VideoAlignError
from videoalign.generation.generate_command import Config, settings_of
from videoalign.generation.sampling_options import Sampling, settings_for


@pytest.mark.parametrize(
    ("family", "name", "steps", "levels"),
    [
        ("wan-t2v", "lightx2v", 4, [1.0, 0.9375, 5 / 6, 0.625, 0.0]),  # shift 5 of 1, 3/4, 1/2, 1/4
        ("ltx-2", "distilled", 8, [1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0]),
        ("ltx-video", "distilled", 8, [1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725, 0.4219, 0.0]),
        ("hunyuan-video", "fasthunyuan", 6, [17 * t / (1 + 16 * t) for t in (1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0)]),
    ],
)
def test_a_family_knows_how_its_distilled_models_are_sampled(family, name, steps, levels):
    settings = settings_for(tiny(family), Sampling(), name)
    assert settings.steps == steps and settings.guidance_scale == 1
    assert settings.schedule.tolist() == pytest.approx(levels, abs=1e-6)
    asked = []
    sample(lambda x, sigma: asked.append(float(sigma)) or x, torch.ones(1, 1, 1, 1, 1), settings.schedule)
    assert asked == pytest.approx(levels[:-1], abs=1e-6)


def test_what_is_given_wins_and_an_unknown_name_is_told_the_known_ones():
    backbone = tiny("ltx-video")
    changed = settings_for(backbone, Sampling(steps=5), "distilled")
    assert torch.equal(changed.schedule, sigmas(5, backbone.sampling.shift)) and changed.guidance_scale == 1
    smaller = settings_for(backbone, Sampling(width=64), "distilled")
    assert smaller.width == 64 and len(smaller.schedule) == 9
    assert settings_for(backbone, Sampling()) == backbone.sampling
    with pytest.raises(VideoAlignError, match=r"no distilled setting 'lightx2v' for LTX-Video; known are: distilled"):
        settings_for(backbone, Sampling(), "lightx2v")


def test_folders_of_other_settings_are_told_apart_and_older_ones_are_as_they_were(tmp_path):
    plain = settings_of(Config(prompts=tmp_path / "p.txt", output=tmp_path))
    named = settings_of(Config(prompts=tmp_path / "p.txt", output=tmp_path, distilled="lightx2v"))
    assert "distilled" not in json.dumps(plain) and named["distilled"] == "lightx2v"


def test_a_folder_tells_of_half_precision_on_a_cpu_which_older_ones_never_were(tmp_path, monkeypatch):
    """The micro network is stored in float16: float32 by itself on every CPU."""
    options = {"prompts": tmp_path / "p.txt", "output": tmp_path, "device": "cpu"}
    for has in (True, False):
        monkeypatch.setattr(devices, "cpu_multiplies_bfloat16", lambda has=has: has)
        assert "dtype" not in settings_of(Config(**options))
        assert settings_of(Config(**options, dtype="bfloat16"))["dtype"] == "bfloat16"
        monkeypatch.setattr(loading, "describe_backbone", lambda file: types.SimpleNamespace(dtype=torch.bfloat16))
        told = settings_of(Config(**options))
        assert told.get("dtype") == ("bfloat16" if has else None)
        monkeypatch.undo()
