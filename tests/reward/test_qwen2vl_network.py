"""Our vision forward equals transformers' own tower; the network is built without memory and works in every type."""

import copy
import json

import pytest
import torch
from transformers_halves import language_model, vision_tower

from videoalign.errors import CheckpointError
from videoalign.reward.qwen2vl_layers import KeyValueCache, inverse_frequencies
from videoalign.reward.qwen2vl_network import Qwen2VLRewardNetwork


@pytest.fixture(scope="module")
def network(official):
    return official.model("full.fp32").network


def patches_of(*grids):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(t * h * w, 1176, generator=generator) for t, h, w in grids]


@pytest.mark.parametrize("grid", [(1, 2, 2), (3, 4, 6), (2, 8, 4)])
def test_the_vision_tower_equals_transformers_own_forward_on_random_patches(network, grid):
    [patches] = patches_of(grid)
    with torch.no_grad():
        [ours] = network.embed_clips([patches], [grid])
        theirs = vision_tower(network)(patches, torch.tensor([grid]))
    theirs = getattr(theirs, "pooler_output", theirs)  # transformers 5 returns an object
    assert ours.shape == (grid[0] * grid[1] * grid[2] // 4, 64)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_pairs_of_frames_do_not_see_each_other_in_the_vision_tower(network):
    [patches] = patches_of((3, 4, 4))
    with torch.no_grad():
        [together] = network.embed_clips([patches], [(3, 4, 4)])
        [alone] = network.embed_clips([patches[16:32]], [(1, 4, 4)])
    assert torch.allclose(together[4:8], alone, atol=1e-6)


def test_clips_of_mixed_sizes_are_embedded_like_each_alone(network):
    grids = [(1, 4, 6), (2, 4, 4), (3, 4, 6)]
    patches = patches_of(*grids)
    with torch.no_grad():
        together = network.embed_clips(patches, grids)
        for own, grid, features in zip(patches, grids, together, strict=True):
            assert torch.allclose(features, network.embed_clips([own], [grid])[0], atol=1e-5)


def test_rotary_frequencies_are_theta_to_the_power_of_the_channel_rounded_as_asked(official, network):
    language = torch.tensor([1e6 ** (-2 * i / 16) for i in range(8)], dtype=torch.float64)
    assert torch.allclose(inverse_frequencies(16, 1e6).double(), language, rtol=1e-6)
    assert torch.allclose(network.language_model.rotary_emb.inv_freq.double(), language, rtol=1e-6)
    rounded = official.model("full.bf16_official").network
    for part in (rounded.language_model.rotary_emb, rounded.visual.rotary_pos_emb):
        assert part.inv_freq.dtype == torch.float32
        assert torch.equal(part.inv_freq, part.inv_freq.bfloat16().float())
    assert not torch.equal(network.language_model.rotary_emb.inv_freq, rounded.language_model.rotary_emb.inv_freq)


@pytest.mark.parametrize("nested", ["rope_theta", "rope_parameters"])
def test_the_rotary_base_is_found_in_old_and_new_forms_of_the_configuration(checkpoints, nested):
    import json

    config = json.loads((checkpoints / "base" / "config.json").read_text(encoding="utf-8"))
    del config["rope_theta"]
    config.update({"rope_theta": 5000.0} if nested == "rope_theta" else {"rope_parameters": {"rope_theta": 5000.0}})
    with torch.device("meta"):
        assert (
            Qwen2VLRewardNetwork(
                {**config, "rope_parameters": None} if nested == "rope_theta" else config, 1217, 1
            ).language_model.shape.rope_theta
            == 5000.0
        )


def test_rewards_are_computed_in_float32_whatever_the_weights_are(network):
    half = copy.deepcopy(network).half()
    hidden = torch.randn(3, 64).half()
    assert half.rewards(hidden).dtype == torch.float32
    assert torch.allclose(half.rewards(hidden), hidden.float() @ half.rm_head.weight.float().T, atol=1e-6)


def test_scores_that_are_not_finite_are_an_error_that_names_the_type(official):
    from videoalign.errors import ClipError

    model = copy.deepcopy(official.model("full.fp32"))
    model.network.rm_head.weight.data[:] = float("inf")
    with pytest.raises(ClipError, match=r"not finite in torch\.float32"):
        model.score([official.prepared("syn/s04_10fps_2f_64x64")[0]], ["cat"])


@pytest.mark.parametrize("axes", ["a text's equal positions", "three axes of their own"])
def test_the_language_model_equals_transformers_own_forward(network, axes):
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(2, 9, 64, generator=generator)
    positions = torch.arange(9).expand(3, 2, -1)
    if axes == "three axes of their own":
        positions = torch.randint(0, 9, (3, 2, 9), generator=generator)
    with torch.no_grad():
        ours = network.language_model(embeddings, positions)
        theirs = language_model(network)(inputs_embeds=embeddings, position_ids=positions, use_cache=False)
    # Hidden states are normed, so of size one: 20 roundings of float32 in three layers stay below this.
    assert torch.allclose(ours, theirs.last_hidden_state, atol=1e-5)


def test_gradients_of_the_language_model_equal_those_of_transformers(network):
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(1, 7, 64, generator=generator)
    looked_at = torch.randn(1, 7, 64, generator=generator)
    positions = torch.arange(7).expand(3, 1, -1)
    gradients = []
    for forward in (
        network.language_model,
        lambda x, at: language_model(network)(inputs_embeds=x, position_ids=at, use_cache=False).last_hidden_state,
    ):
        given = embeddings.clone().requires_grad_()
        gradients += torch.autograd.grad((forward(given, positions) * looked_at).sum(), given)
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-5 * gradients[0].abs().max())


def test_a_text_read_in_parts_is_the_text_read_at_once(network):
    embeddings = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(3))
    cache = KeyValueCache()
    with torch.no_grad():
        whole = network.read(embeddings)
        parts = [network.read(part, cache) for part in embeddings.split((5, 1, 4, 2), dim=1)]
    assert cache.get_seq_length() == 12
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


def test_what_is_read_after_a_repeated_cache_leaves_the_first_one_as_it_was(network):
    embeddings = torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(4))
    cache = KeyValueCache()
    with torch.no_grad():
        network.read(embeddings, cache)
        three = cache.repeated(3)
        after = network.read(embeddings[:, :2].expand(3, -1, -1), three)
        again = network.read(embeddings[:, :2], cache)
    assert (cache.get_seq_length(), three.get_seq_length()) == (8, 8)
    assert torch.allclose(after, again.expand(3, -1, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; Qwen2-VL's is 'silu'"),
        ({"use_sliding_window": True}, "use_sliding_window is True"),
        ({"num_attention_heads": 5}, "hidden_size is 64, which its num_attention_heads"),
        ({"rope_scaling": {"mrope_section": [1, 1, 1]}}, "its sum must be 8"),
        ({"vision_config": {"embed_dim": 64, "num_heads": 5}}, "embed_dim is 64, which its num_heads"),
    ],
)
def test_a_configuration_of_another_model_is_refused_in_words(checkpoints, wrong, words):
    config = json.loads((checkpoints / "base" / "config.json").read_text()) | wrong
    with torch.device("meta"), pytest.raises(CheckpointError, match=words):
        Qwen2VLRewardNetwork(config, 1217, 1)


def test_a_configuration_cannot_name_an_attention_implementation(checkpoints):
    config = json.loads((checkpoints / "base" / "config.json").read_text())
    named = {"attn_implementation": "author/repository", "_attn_implementation_internal": "author/repository"}
    with torch.device("meta"):
        network = Qwen2VLRewardNetwork(config | named | {"vision_config": config["vision_config"] | named}, 1217, 1)
    assert "author/repository" not in str([vars(module) for module in network.modules()])
