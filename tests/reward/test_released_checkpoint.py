"""The released 5 GB file's 1123 key names and shapes, without its memory: every one is used, and none is left over."""

import pytest
import torch

from videoalign.reward.checkpoint_weights import merge_state, network_name
from videoalign.reward.network_config import config_from_weights
from videoalign.reward.qwen2vl_network import Qwen2VLRewardNetwork
from videoalign.reward.settings import LoraSettings

LAYERS, BLOCKS, VOCABULARY = 28, 32, 151_660
HIDDEN, INTERMEDIATE, KEYS, EMBED, VISION_MLP = 1536, 8960, 256, 1280, 5120
LINEARS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}


def linear(name, out, into, bias=True):
    return {f"{name}.weight": (out, into)} | ({f"{name}.bias": (out,)} if bias else {})


def released_shapes():
    """Official key -> shape, written down from Qwen2-VL-2B under PEFT (rank 64 on the seven projections)."""
    visual = {"patch_embed.proj.weight": (EMBED, 3, 2, 14, 14)}
    for block in range(BLOCKS):
        inner = linear("attn.qkv", 3 * EMBED, EMBED) | linear("attn.proj", EMBED, EMBED)
        inner |= linear("mlp.fc1", VISION_MLP, EMBED) | linear("mlp.fc2", EMBED, VISION_MLP)
        inner |= {f"norm{i}.{part}": (EMBED,) for i in (1, 2) for part in ("weight", "bias")}
        visual |= {f"blocks.{block}.{name}": shape for name, shape in inner.items()}
    visual |= {"merger.ln_q.weight": (EMBED,), "merger.ln_q.bias": (EMBED,)}
    visual |= linear("merger.mlp.0", 4 * EMBED, 4 * EMBED) | linear("merger.mlp.2", HIDDEN, 4 * EMBED)
    language = {"embed_tokens.weight": (VOCABULARY, HIDDEN), "norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        inner = {"input_layernorm.weight": (HIDDEN,), "post_attention_layernorm.weight": (HIDDEN,)}
        for name, (out, into) in LINEARS.items():
            inner |= linear(f"{name}.base_layer", out, into, bias=name[10:] in ("q_proj", "k_proj", "v_proj"))
            inner |= {f"{name}.lora_A.default.weight": (64, into), f"{name}.lora_B.default.weight": (out, 64)}
        language |= {f"layers.{layer}.{name}": shape for name, shape in inner.items()}
    shapes = {f"visual.{name}": shape for name, shape in visual.items()}
    shapes |= {f"model.{name}": shape for name, shape in language.items()}
    shapes |= {"lm_head.weight": (VOCABULARY, HIDDEN), "rm_head.weight": (1, HIDDEN)}
    return {f"base_model.model.{name}": shape for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def released():
    return {name: torch.empty(shape, dtype=torch.bfloat16, device="meta") for name, shape in released_shapes().items()}


@pytest.fixture(scope="module")
def network(released):
    config = config_from_weights({network_name(name): tensor for name, tensor in released.items()})
    with torch.device("meta"):
        return Qwen2VLRewardNetwork(config, VOCABULARY, 1)


def test_the_released_file_has_1123_keys_and_5_gigabytes(released):
    assert len(released) == 1123
    assert sum(tensor.nbytes for tensor in released.values()) / 1e9 == pytest.approx(5.03, abs=0.01)


def test_the_tiny_checkpoints_keys_follow_the_same_scheme(checkpoints):
    import json
    import re

    tiny = json.loads((checkpoints / "state_dict_keys.json").read_text(encoding="utf-8"))["keys"]
    scheme = {re.sub(r"\.\d+\.", ".N.", name) for name in tiny}
    assert scheme == {re.sub(r"\.\d+\.", ".N.", name) for name in released_shapes()}


def test_names_map_one_to_one_onto_the_network_and_its_lora(released, network):
    plain = {name: network_name(name) for name in released if ".lora_" not in name}
    assert len(set(plain.values())) == len(plain)
    assert set(plain.values()) == {*network.state_dict(), "lm_head.weight"}
    adapted = {network_name(name.split(".lora_")[0] + ".weight") for name in released if ".lora_" in name}
    assert len(adapted) == 7 * LAYERS
    assert adapted <= set(network.state_dict())


def test_every_key_is_merged_to_the_shape_that_the_network_has(released, network):
    expected = network.state_dict()
    merged = merge_state(dict(released), LoraSettings(), torch.bfloat16, expected)
    assert {name: tensor.shape for name, tensor in merged.items()} == {n: t.shape for n, t in expected.items()}


def test_the_configuration_read_off_the_shapes_is_that_of_qwen2_vl_2b(released):
    config = config_from_weights({network_name(name): tensor for name, tensor in released.items()})
    known = {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "tie_word_embeddings": True,
    }
    assert {key: config[key] for key in known} == known
    vision = {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14}
    assert {key: config["vision_config"][key] for key in vision} == vision


def test_the_network_has_the_parameters_of_qwen2_vl_2b(network):
    language = LAYERS * (sum(out * into for out, into in LINEARS.values()) + HIDDEN + 2 * KEYS + 2 * HIDDEN)
    assert sum(p.numel() for p in network.language_model.parameters()) == language + HIDDEN + VOCABULARY * HIDDEN
    assert network.language_model.shape.head_dim == 128 and network.visual.shape.head_dim == 80
