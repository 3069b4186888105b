"""Features, gradients, and the names and parts of the networks."""

import inspect

import pytest
import torch
from tiny_backbones import CONFIGS, inputs, original_state, tiny

from videoalign.backbones.backbone import collate
from videoalign.backbones.conditioning import ConditioningError
from videoalign.backbones.loading import build_backbone
from videoalign.errors import VideoAlignError

FAMILIES = ["wan-t2v", "wan-i2v", "hunyuan-video", "ltx-video"]


@pytest.fixture(scope="module", params=FAMILIES)
def network(request):
    return tiny(request.param)


def first_blocks(network, count):
    """A network of its first blocks, with its weights."""
    own = build_backbone(network.name, network.config, num_blocks=count)
    state = network.module.state_dict()
    own.module.load_state_dict({key: state[key] for key in own.module.state_dict()})
    return own


def tokens_after(network, block, arguments):
    """The video tokens that leave a block of the whole network."""
    caught = []
    hook = network.blocks[block].register_forward_hook(lambda *call: caught.append(call[-1]))
    network.velocity(*arguments)
    hook.remove()
    return caught[0][0] if isinstance(caught[0], tuple) else caught[0]


def test_features_of_the_first_blocks_are_what_leaves_that_block_of_the_whole_network(network):
    arguments = inputs(network)
    for count in range(1, len(network.blocks) + 1):
        features = first_blocks(network, count).features(*arguments)
        assert torch.equal(features, tokens_after(network, count - 1, arguments))
    assert features.shape[1] == 3 * 8 * 6 // (1 if network.name == "ltx-video" else 4)


def test_features_do_not_run_the_head_and_leave_nothing_behind(network):
    hook = network.module.proj_out.register_forward_pre_hook(lambda *_: pytest.fail("the head ran"))
    network.features(*inputs(network))
    hook.remove()
    assert not network.module.norm_out._forward_pre_hooks
    assert network.velocity(*inputs(network)).isfinite().all()


@pytest.mark.parametrize("output", ["velocity", "features"])
def test_the_gradient_to_the_latents_is_that_of_finite_differences(network, output):
    x_t, sigma, conditioning = inputs(network)
    weight = torch.randn(
        getattr(network, output)(x_t, sigma, conditioning).shape, generator=torch.Generator().manual_seed(3)
    )

    def loss(x):
        return (getattr(network, output)(x, sigma, conditioning) * weight).double().mean()

    x_t.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x_t), x_t)
    slope, direction = gradient.norm(), gradient / gradient.norm()
    assert slope > 0
    with torch.no_grad():
        step = 2e-2
        measured = (loss(x_t + step * direction) - loss(x_t - step * direction)) / (2 * step)
    assert abs(measured - slope) < 2e-3 * slope


def test_gradient_checkpointing_changes_no_gradient(network):
    x_t, sigma, conditioning = inputs(network)
    gradients = []
    for checkpointing in (False, True):
        own = first_blocks(network, 3)
        own.module.requires_grad_(True).train()
        if checkpointing:
            own.module.enable_gradient_checkpointing()
        x = x_t.clone().requires_grad_()
        own.features(x, sigma, conditioning).square().mean().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in own.blocks[0].parameters())])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert torch.allclose(plain, checkpointed, rtol=1e-5, atol=1e-8)


def test_weights_are_frozen_and_only_the_head_is_out_of_the_features_reach(network):
    assert not any(parameter.requires_grad for parameter in network.module.parameters())
    own = first_blocks(network, len(network.blocks))
    own.module.requires_grad_(True)
    own.features(*inputs(own)).sum().backward()
    head = {id(parameter) for parameter in own.head_parameters}
    without = {name for name, parameter in own.module.named_parameters() if parameter.grad is None}
    assert {name for name, parameter in own.module.named_parameters() if id(parameter) in head} <= without
    last = f"single_transformer_blocks.{own.config.get('num_single_layers', 0) - 1}"
    assert all(name.startswith((last, "norm_out", "proj_out", "scale_shift_table")) for name in without)


def test_the_time_told_is_sigma(network):
    x_t, sigma, conditioning = inputs(network)
    told = []
    hook = network.module.register_forward_pre_hook(
        lambda module, args, kwargs: told.append(
            inspect.signature(module.forward).bind(*args, **kwargs).arguments["timestep"]
        ),
        with_kwargs=True,
    )
    network.velocity(x_t, sigma, conditioning)
    hook.remove()
    assert torch.equal(told[0], sigma * 1000)


def test_a_sample_does_not_depend_on_what_it_is_batched_with(network):
    x_t, sigma, conditioning = inputs(network, batch=3)
    singles = [{key: value[row] for key, value in conditioning.items()} for row in range(3)]
    for own, length in zip(singles, (7, 4, 7), strict=True):
        own["text"] = own["text"][:length]
    batch = collate(singles)
    assert batch["text_mask"].tolist() == [[True] * 7, [True] * 4 + [False] * 3, [True] * 7]
    together = {output: getattr(network, output)(x_t, sigma, batch) for output in ("velocity", "features")}
    for row, own in enumerate(singles):
        for output, value in together.items():
            alone = getattr(network, output)(x_t[row : row + 1], sigma[row : row + 1], collate([own]))
            assert torch.allclose(alone[0], value[row], rtol=1e-4, atol=1e-5)


def test_lora_targets_are_the_linear_layers_of_all_attention(network):
    linear = {name for name, own in network.module.named_modules() if isinstance(own, torch.nn.Linear)}
    targets, more = network.lora_targets(), network.lora_targets(ffn=True)
    assert set(targets) < set(more) <= linear and len(set(more)) == len(more)
    in_blocks = {name for name in linear if name.split(".")[0].endswith("blocks")}
    attention = {name for name in in_blocks if ".attn" in name}
    assert set(targets) == attention
    assert set(more) == {name for name in in_blocks if "norm" not in name}


def test_every_layer_lies_where_the_original_has_rows_for_it(network):
    state = original_state(network)
    taken: dict[str, list] = {}
    for name, layer in network.module.named_modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        start = 0
        for original, rows in network.original_modules(name):
            weight = state[f"{original}.weight"]
            piece = weight if rows is None else weight[slice(*rows)]
            assert torch.equal(piece, layer.weight[start : start + len(piece)])
            start += len(piece)
            taken.setdefault(original, []).append(rows or (0, len(weight)))
        assert start == layer.out_features
    for original, ranges in taken.items():
        ends = [0, *(stop for _, stop in sorted(ranges))]
        assert [start for start, _ in sorted(ranges)] == ends[:-1] and ends[-1] == len(state[f"{original}.weight"])


def test_original_names_are_comfyuis():
    assert tiny("wan-t2v").original_modules("blocks.1.attn2.to_out.0") == [("blocks.1.cross_attn.o", None)]
    hunyuan = tiny("hunyuan-video")
    assert hunyuan.original_modules("transformer_blocks.1.attn.add_k_proj") == [
        ("double_blocks.1.txt_attn.qkv", (128, 256))
    ]
    assert hunyuan.original_modules("single_transformer_blocks.0.proj_mlp") == [("single_blocks.0.linear1", (384, 896))]
    assert tiny("ltx-video").original_modules("time_embed.linear") == [("adaln_single.linear", None)]
    with pytest.raises(VideoAlignError, match=r"The hunyuan-video network has no module 'blocks\.0'"):
        hunyuan.original_modules("blocks.0")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_config_builds_the_network_again_and_the_blocks_are_in_order(name):
    network = tiny(name)
    again = build_backbone(network.name, network.config)
    assert again.module.load_state_dict(network.module.state_dict()).missing_keys == []
    order = []
    for index, block in enumerate(network.blocks):
        block.register_forward_hook(lambda *_, index=index: order.append(index))
    network.velocity(*inputs(network))
    assert order == list(range(len(network.blocks))) and network.total_blocks == len(order)
    assert network.sampling.steps >= 20
    size = (network.sampling.frames, network.sampling.height, network.sampling.width)
    assert network.latent_format.shape(*size)[0] == network.latent_format.channels


class TestRefused:
    def test_latents_of_another_format(self, network):
        x_t, sigma, conditioning = inputs(network)
        with pytest.raises(
            VideoAlignError, match=rf"needs {network.latent_format.name} latents .* found \[2, 5, 3, 8, 6\]"
        ):
            network.velocity(x_t[:, :5], sigma, conditioning)

    def test_one_sigma_for_a_batch(self, network):
        x_t, sigma, conditioning = inputs(network)
        with pytest.raises(VideoAlignError, match=r"sigma must have shape \[2\]"):
            network.velocity(x_t, sigma[:1], conditioning)

    def test_text_of_another_width(self, network):
        x_t, sigma, conditioning = inputs(network)
        conditioning["text"] = conditioning["text"][..., :3]
        with pytest.raises(ConditioningError, match="another text encoder"):
            network.features(x_t, sigma, conditioning)

    def test_a_conditioning_that_lacks_something(self, network):
        x_t, sigma, conditioning = inputs(network)
        for key in network.needs:
            with pytest.raises(ConditioningError, match=f"needs '{key}'"):
                network.velocity(x_t, sigma, {own: value for own, value in conditioning.items() if own != key})

    def test_a_conditioning_with_something_unknown(self, network):
        x_t, sigma, conditioning = inputs(network)
        with pytest.raises(ConditioningError, match=r"knows nothing of \['prompt'\]"):
            network.velocity(x_t, sigma, conditioning | {"prompt": torch.ones(2)})

    def test_a_conditioning_for_another_number_of_samples(self, network):
        x_t, sigma, conditioning = inputs(network)
        with pytest.raises(ConditioningError, match="'text' is for 1 samples"):
            network.velocity(x_t, sigma, conditioning | {"text": conditioning["text"][:1]})

    def test_a_text_that_is_all_padding(self, network):
        x_t, sigma, conditioning = inputs(network)
        with pytest.raises(ConditioningError, match="no token"):
            network.velocity(x_t, sigma, conditioning | {"text_mask": torch.tensor([[1] * 7, [0] * 7])})
