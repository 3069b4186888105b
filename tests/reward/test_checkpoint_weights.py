"""Every key of a checkpoint is used exactly once, and the LoRA is merged as PEFT would run it."""

import pytest
import torch

from videoalign.errors import CheckpointError
from videoalign.reward.checkpoint_files import open_checkpoint, read_pickle
from videoalign.reward.checkpoint_weights import check_shapes, merge_state, network_name
from videoalign.reward.settings import LoraSettings

LORA = LoraSettings(4, 8.0)
Q = "base_model.model.model.layers.0.self_attn.q_proj"
EMBEDDING = "language_model.embed_tokens.weight"


@pytest.fixture
def state(checkpoints):
    return dict(read_pickle(checkpoints / "ckpt_full" / "checkpoint-11352" / "model.pth"))


@pytest.fixture
def expected(official):
    return official.model("full.fp32").network.state_dict()


@pytest.mark.parametrize(
    ("official_name", "ours"),
    [
        ("base_model.model.visual.blocks.0.attn.qkv.weight", "visual.blocks.0.attn.qkv.weight"),
        (Q + ".base_layer.bias", "language_model.layers.0.self_attn.q_proj.bias"),
        ("base_model.model.model.norm.weight", "language_model.norm.weight"),
        ("base_model.model.model.visual.merger.ln_q.weight", "visual.merger.ln_q.weight"),
        ("base_model.model.model.language_model.norm.weight", "language_model.norm.weight"),
        ("model.embed_tokens.weight", EMBEDDING),
        ("base_model.model.lm_head.weight", "lm_head.weight"),
        ("base_model.model.rm_head.weight", "rm_head.weight"),
    ],
)
def test_official_names_of_old_and_new_transformers_map_to_ours(official_name, ours):
    assert network_name(official_name) == ours
    assert network_name(ours) == ours


def test_the_lora_is_merged_with_its_scale_in_float32_and_cast_once(state, expected):
    base, a, b = (state[f"{Q}.{part}.weight"] for part in ("base_layer", "lora_A.default", "lora_B.default"))
    exact = base.double() + 8 / 4 * b.double() @ a.double()
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 2**-8)):
        merged = merge_state(dict(state), LORA, dtype, expected)["language_model.layers.0.self_attn.q_proj.weight"]
        assert merged.dtype == dtype
        assert torch.allclose(merged.double(), exact, rtol=tolerance, atol=1e-7)


def test_the_merged_names_are_those_of_the_network_and_the_state_is_consumed(state, expected):
    assert set(merge_state(state, LORA, torch.float32, expected)) == set(expected)
    assert state == {}


def test_the_values_of_lm_head_become_the_embedding(state, expected):
    state["base_model.model.lm_head.weight"] = state["base_model.model.lm_head.weight"] + 1
    head = state["base_model.model.lm_head.weight"].float()
    assert torch.equal(merge_state(state, LORA, torch.float32, expected)[EMBEDDING], head)


def test_any_missing_key_is_an_error_that_names_it(state, expected):
    for name in list(state):
        if name.endswith("lm_head.weight"):
            continue  # refused by read_official, which knows whether the head is the embedding: test_loading.py
        lacking = {key: tensor for key, tensor in state.items() if key != name}
        with pytest.raises(CheckpointError, match=r"missing|no counterpart|no layer"):
            merge_state(lacking, LORA, torch.float32, expected)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("base_model.model.model.layers.9.mlp.up_proj.base_layer.weight", "1 are unknown"),
        ("base_model.model.extra.weight", "1 are unknown"),
        ("base_model.model.extra.lora_A.default.weight", "no layer or no counterpart"),
        ("model.norm.weight", "twice"),
        (Q + ".lora_A.weight", "twice"),
    ],
)
def test_an_extra_or_doubled_key_is_an_error_that_names_it(state, expected, name, hint):
    state[name] = torch.zeros(4, 64)
    with pytest.raises(CheckpointError, match=hint):
        merge_state(state, LORA, torch.float32, expected)


def test_a_rank_other_than_the_configured_one_is_an_error(state, expected):
    with pytest.raises(CheckpointError, match=r"have rank \[4\], model_config\.json says 8; the scale would be wrong"):
        merge_state(state, LoraSettings(8, 16.0), torch.float32, expected)


@pytest.mark.parametrize("part", ["lora_A.default", "lora_B.default"])
def test_a_lora_that_does_not_fit_its_layer_is_an_error_not_a_broadcast(state, expected, part):
    name = f"{Q}.{part}.weight"
    state[name] = state[name][:, :1] if "A" in part else state[name][:1]
    with pytest.raises(CheckpointError, match=r"The LoRA of language_model\.layers\.0\.self_attn\.q_proj\.weight"):
        merge_state(state, LORA, torch.float32, expected)


def test_lora_weights_and_the_configuration_must_agree(state, expected):
    with pytest.raises(CheckpointError, match=r"holds LoRA weights, but .* lora_enable = false"):
        merge_state(dict(state), None, torch.float32, expected)
    bare = {name: tensor for name, tensor in state.items() if ".lora_" not in name}
    with pytest.raises(CheckpointError, match=r"holds no LoRA weights, but .* lora_enable = true"):
        merge_state(bare, LORA, torch.float32, expected)


def test_a_shape_other_than_the_configurations_is_an_error_that_names_both(expected):
    wrong = {**expected, "rm_head.weight": torch.zeros(3, 64)}
    with pytest.raises(CheckpointError, match=r"rm_head\.weight has shape \[3, 64\] in the checkpoint and \[1, 64\]"):
        check_shapes(wrong, expected)


def test_the_two_official_layouts_of_the_same_weights_merge_to_the_same_network(checkpoints):
    from videoalign.reward.loading import read_official

    full, parts = (read_official(open_checkpoint(checkpoints / name)).weights for name in ("ckpt_full", "ckpt_lora"))
    assert set(full) == set(parts)
    assert all(torch.equal(full[name], parts[name]) for name in full)
