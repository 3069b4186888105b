"""Where trainers write a LoRA's alpha when they write no tensor for it, and what peft itself makes of it."""

import json
import re

import peft
import pytest
from peft.utils.other import get_pattern_key

from videoalign.lora.alphas import RecordedAlphas

LAYER = "blocks.0.attn1.to_q"


@pytest.mark.parametrize(
    ("metadata", "alpha"),
    [
        ({"lora_config": json.dumps({"r": 8, "lora_alpha": 4, "init_lora_weights": True})}, 4),  # finetrainers
        ({"lora_adapter_metadata": json.dumps({"transformer.r": 8, "transformer.lora_alpha": 16})}, 16),  # diffusers
        ({"transformer.lora_alpha": "64", "transformer.r": "16"}, 64),  # SimpleTuner
        ({"lora_alpha": "2.5", "r": "16"}, 2.5),
    ],
)
def test_every_common_place_is_looked_at(tmp_path, metadata, alpha):
    recorded = RecordedAlphas(tmp_path / "x.safetensors", metadata)
    assert recorded(LAYER, 8) == alpha
    assert recorded.source is not None


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"lora_config": '{"rank": 8}'},
        {"lora_config": "[1]"},
        {"lora_config": "not JSON"},
        {"lora_adapter_metadata": "3"},
    ],
)
def test_what_is_not_told_is_none_and_not_the_rank(tmp_path, metadata):
    assert RecordedAlphas(tmp_path / "x.safetensors", metadata)(LAYER, 8) is None


def test_of_several_patterns_the_first_that_fits_counts_as_in_peft(tmp_path):
    patterns = {"to_q": 2, "blocks.0.attn1.to_q": 32, "attn1.to_k": 5, r"blocks\.1\..*": 7}
    recorded = RecordedAlphas(
        tmp_path / "x.safetensors", {"lora_config": json.dumps({"lora_alpha": 1, "alpha_pattern": patterns})}
    )
    for layer in (LAYER, "blocks.1.attn1.to_q", "blocks.1.attn1.to_k", "blocks.2.attn1.to_v", "blocks.1.ffn"):
        theirs = patterns.get(get_pattern_key(patterns, layer), 1)
        assert recorded(layer, 4) == theirs, layer
    assert recorded(LAYER, 4) == 2


def test_pefts_configuration_counts_beside_a_renamed_file_of_its_keys_and_rank(tmp_path):
    config = peft.LoraConfig(r=8, lora_alpha=4, target_modules=["to_q"])
    config.save_pretrained(tmp_path)
    file, keys = tmp_path / "renamed.safetensors", [f"base_model.model.{LAYER}.lora_A.weight"]
    assert RecordedAlphas(file, {}, keys)(LAYER, 8) == 4
    assert RecordedAlphas(file, {}, keys)(LAYER, 16) is None  # another file's: its rank is another
    assert RecordedAlphas(file, {}, [f"diffusion_model.{LAYER}.lora_A.weight"])(LAYER, 8) is None
    assert RecordedAlphas(tmp_path / "adapter_model.safetensors", {}, [])(LAYER, 16) == 4


def test_rank_stabilised_alpha_gives_the_same_scale_by_alpha_over_rank(tmp_path):
    recorded = RecordedAlphas(tmp_path / "x", {"lora_config": json.dumps({"lora_alpha": 6, "use_rslora": True})})
    assert recorded(LAYER, 9) / 9 == pytest.approx(6 / 9**0.5)
    assert re.fullmatch(r"[\w.]+", recorded.source)
