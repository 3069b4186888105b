"""HunyuanVideo 1.5: what diffusers' network computes of padded texts, without the padding; LoRAs in diffusers; what is refused."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import inputs, original_state, save_single, tiny

from videoalign.backbones.conditioning import collate
from videoalign.backbones.loading import build_backbone, load_backbone
from videoalign.errors import VideoAlignError, WeightsError
from videoalign.lora.reading import load_lora
from videoalign.lora.writing import save_lora


@pytest.fixture(scope="module")
def network():
    return tiny("hunyuan-video-1.5")


def in_diffusers(network):
    """diffusers' own network with the same weights."""
    from diffusers import HunyuanVideo15Transformer3DModel

    config = {key: value for key, value in network.config.items() if not key.startswith("_")}
    whole = HunyuanVideo15Transformer3DModel(**config).eval().requires_grad_(False)
    whole.load_state_dict(network.module.state_dict())
    return whole


def velocity_in_diffusers(whole, x_t, sigma, texts, glyphs, size=9):
    """Velocity of texts and glyphs of different lengths, padded with noise as a pipeline pads them."""
    masks, padded = [], []
    for tokens in (texts, glyphs):
        mask = torch.tensor([[1] * len(own) + [0] * (size - len(own)) for own in tokens])
        padded.append(torch.stack([torch.cat([own, torch.randn(size - len(own), own.shape[1])]) for own in tokens]))
        masks.append(mask)
    return whole(
        torch.cat([x_t, torch.zeros(len(x_t), 33, *x_t.shape[2:])], dim=1), sigma * 1000, padded[0], masks[0],
        encoder_hidden_states_2=padded[1], encoder_attention_mask_2=masks[1],
        image_embeds=torch.zeros(len(x_t), 3, 1152), return_dict=False,
    )[0]  # fmt: skip


@torch.no_grad()
def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


def ragged(told):
    """Unbatched conditionings whose texts have 7 and 4 tokens and whose prompts quote 5 and nothing."""
    return [
        {"text": told["text"][0], "glyphs": told["glyphs"][0]},
        {"text": told["text"][1, :4], "glyphs": told["glyphs"][1, :0]},
    ]


def test_is_diffusers_network_and_a_batch_is_its_rows(network, tmp_path):
    x_t, sigma, told = inputs(network)
    rows = ragged(told)
    ours = network.velocity(x_t, sigma, collate(rows))
    texts, glyphs = ([row[key] for row in rows] for key in ("text", "glyphs"))
    # Sums of 128 products are off by sqrt(128) 2^-24 = 7e-7 of their size, and about ten of them follow one another.
    assert relative(ours, velocity_in_diffusers(in_diffusers(network), x_t, sigma, texts, glyphs)) < 1e-5
    for index, row in enumerate(rows):
        alone = network.velocity(x_t[index : index + 1], sigma[index : index + 1], collate([row]))
        assert relative(ours[index], alone[0]) < 1e-5
    in_diffusers(network).save_pretrained(tmp_path / "transformer")
    assert torch.equal(load_backbone(tmp_path).velocity(x_t, sigma, collate(rows)), ours)


def test_gives_the_same_gradients_with_checkpointing(network):
    x_t, sigma, told = inputs(network)
    gradients = []
    for _ in range(2):
        x_t = x_t.detach().requires_grad_()
        network.velocity(x_t, sigma, told).square().sum().backward()
        gradients.append(x_t.grad)
        network.module.enable_gradient_checkpointing()
    network.module.disable_gradient_checkpointing()
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0


def test_a_lora_is_the_same_in_diffusers(tmp_path):
    import peft

    network = tiny("hunyuan-video-1.5")
    x_t, sigma, told = inputs(network)
    whole, plain = in_diffusers(network), network.velocity(x_t, sigma, told)
    targets = network.lora_targets(ffn=True)
    config = peft.LoraConfig(r=4, lora_alpha=10, target_modules=targets)
    peft.inject_adapter_in_model(config, network.module)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.module.named_parameters():
            if ".lora_" in name:
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    adapted = network.velocity(x_t, sigma, told)
    lora = save_lora(tmp_path / "x.safetensors", network, dtype=torch.float32)
    # diffusers' pipeline of 1.5 loads no LoRA (0.42); its network takes one under its own names.
    read = load_lora(lora, tiny("hunyuan-video-1.5"))
    state = {}
    for name, own in read.items():
        state[f"{name}.lora_A.weight"], state[f"{name}.lora_B.weight"] = own.A, own.B * own.scale
    whole.load_lora_adapter(state, prefix=None, adapter_name="x")
    theirs = velocity_in_diffusers(whole, x_t, sigma, list(told["text"]), list(told["glyphs"]))
    assert relative(adapted, plain) > 0.05
    assert relative(theirs, adapted) < 1e-4
    assert sum("lora_A" in name for name, _ in whole.named_parameters()) == len(targets)


def test_what_is_not_supported_is_said(network, tmp_path):
    path = tmp_path / "x.safetensors"
    state = original_state(network)
    save_file(state | {"time_r_in.in_layer.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="next noise level"):
        load_backbone(path)
    wide = torch.zeros(128, 98, 1, 1, 1)
    save_file(state | {"img_in.proj.weight": wide}, path)
    with pytest.raises(WeightsError, match=r"takes 98 channels.*upscalers"):
        load_backbone(path)
    with pytest.raises(WeightsError, match="image-to-video network, which needs SigLIP"):
        build_backbone("hunyuan-video-1.5", network.config | {"task_type": "i2v"})
    with pytest.raises(WeightsError, match="next noise level"):
        build_backbone("hunyuan-video-1.5", network.config | {"use_meanflow": True})
    x_t, sigma, told = inputs(network)
    for entry, wrong in (("glyphs", torch.zeros(2, 5, 7)), ("image_latents", torch.zeros(2, 32, 3, 8, 6))):
        with pytest.raises(VideoAlignError, match=f"{entry} must"):
            network.velocity(x_t, sigma, told | {entry: wrong})
    assert len(load_file(save_single(network, path))) == len(state)


def test_sampling_defaults_are_the_authors():
    small, large = tiny("hunyuan-video-1.5").sampling, tiny("hunyuan-video-1.5", target_size=960).sampling
    assert (small.shift, small.height, small.width) == (5, 480, 848)
    assert (large.shift, large.height, large.width) == (9, 720, 1280)
    assert (small.steps, small.guidance_scale, small.fps, small.frames) == (50, 6, 24, 121)
    assert tiny("hunyuan-video-1.5").sampling_as("hunyuan15-cfg").guidance_scale == 1
    assert math.isclose(float(small.schedule[25]), 5 / 6, rel_tol=1e-6)  # s t / (1 + (s - 1) t) at t = 1/2
