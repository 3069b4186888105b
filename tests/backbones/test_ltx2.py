"""LTX-2's video stream: what diffusers' whole network computes of a video alone, from files that hold the sound as well."""

import json
import sys
import types

import pytest
import tiny_ltx2
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import inputs, save_single, tiny

from videoalign.backbones.families import backbone_classes
from videoalign.backbones.loading import load_backbone
from videoalign.errors import VideoAlignError, WeightsError
from videoalign.lora.comfyui_keys import Network, family_of
from videoalign.lora.writing import save_lora

KINDS = ["ltx-2", "ltx-2.3"]


def in_diffusers(whole, x_t, sigma, text):
    """Velocity of the video in diffusers' whole network, whose streams do not see each other; the sound is noise."""
    batch, _, frames, height, width = x_t.shape
    heard = whole.config.caption_channels if whole.config.use_prompt_embeddings else 64
    velocity, _ = whole(
        hidden_states=x_t.flatten(2).transpose(1, 2), audio_hidden_states=torch.randn(batch, 5, 128),
        encoder_hidden_states=text, audio_encoder_hidden_states=torch.randn(batch, 7, heard), timestep=sigma[:, None] * 1000,
        sigma=sigma * 1000, num_frames=frames, height=height, width=width, fps=25.0, audio_num_frames=5,
        isolate_modalities=True, return_dict=False,
    )  # fmt: skip
    return velocity.transpose(1, 2).unflatten(2, (frames, height, width))


def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("kind", KINDS)
class TestTheVideoStream:
    def test_is_that_of_the_whole_network(self, kind, tmp_path):
        network = tiny(kind)
        x_t, sigma, told = inputs(network)
        whole = tiny_ltx2.whole_network(network)
        # The same layers in the same order; only seconds are rounded otherwise (frame * (1 / 25) here, frame / 25 there): half
        # a unit of 2^-24 at 1 s, times the fastest cosine's 15708 / 20.
        assert relative(network.velocity(x_t, sigma, told), in_diffusers(whole, x_t, sigma, told["text"])) < 1e-4
        whole.save_pretrained(tmp_path / "transformer")
        folder = load_backbone(tmp_path)
        assert torch.equal(folder.velocity(x_t, sigma, told), network.velocity(x_t, sigma, told))
        assert not [name for name in folder.module.state_dict() if "audio" in name]

    def test_is_read_from_a_file_with_sound_and_connectors(self, kind, tmp_path):
        network = tiny(kind)
        x_t, sigma, told = inputs(network)
        for prefix in ("", "model.diffusion_model."):
            file = load_backbone(save_single(network, tmp_path / "x.safetensors", prefix=prefix))
            assert torch.equal(file.velocity(x_t, sigma, told), network.velocity(x_t, sigma, told))
        shortened = load_backbone(tmp_path / "x.safetensors", num_blocks=2)
        assert shortened.features(x_t, sigma, told).shape == (2, 144, 128)

    def test_takes_the_text_with_the_sounds_behind_it(self, kind):
        network = tiny(kind)
        x_t, sigma, told = inputs(network)
        wide = torch.nn.functional.pad(told["text"], (0, network.text_widths[1] - network.text_width), value=3.0)
        assert torch.equal(network.velocity(x_t, sigma, {"text": wide}), network.velocity(x_t, sigma, told))
        with pytest.raises(VideoAlignError, match="another text encoder"):
            network.velocity(x_t, sigma, {"text": wide[..., :-1]})

    def test_masks_text_and_gives_gradients_to_the_latents(self, kind):
        network = tiny(kind)
        x_t, sigma, told = inputs(network)
        cut = {"text": told["text"][:, :4]}
        masked = told | {"text_mask": (torch.arange(7) < 4).long().expand(2, -1)}
        assert relative(network.velocity(x_t, sigma, masked), network.velocity(x_t, sigma, cut)) < 1e-5
        x_t.requires_grad_()
        network.features(x_t, sigma, told).square().sum().backward()
        assert x_t.grad.isfinite().all() and x_t.grad.abs().max() > 0

    def test_gives_the_same_gradients_with_checkpointing(self, kind):
        network = tiny(kind)
        x_t, sigma, told = inputs(network)
        gradients = []
        for _ in range(2):
            x_t = x_t.detach().requires_grad_()
            network.velocity(x_t, sigma, told).square().sum().backward()
            gradients.append(x_t.grad)
            network.module.enable_gradient_checkpointing()
        assert torch.equal(*gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_is_the_same_in_diffusers(kind, tmp_path):
    import peft
    from diffusers.loaders import LTX2LoraLoaderMixin

    network = tiny(kind)
    x_t, sigma, told = inputs(network)
    whole = tiny_ltx2.whole_network(network)
    plain = network.velocity(x_t, sigma, told)
    peft.inject_adapter_in_model(peft.LoraConfig(r=4, target_modules=network.lora_targets(ffn=True)), network.module)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.module.named_parameters():
            if ".lora_" in name:
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    adapted = network.velocity(x_t, sigma, told)
    lora = save_lora(tmp_path / "x.safetensors", network, dtype=torch.float32)
    state, metadata = LTX2LoraLoaderMixin.lora_state_dict(str(lora), return_lora_metadata=True)
    assert len(state) == 2 * len(network.lora_targets(ffn=True)) and all("lora" in name for name in state)
    LTX2LoraLoaderMixin.load_lora_into_transformer(state, whole, adapter_name="x", metadata=metadata)
    assert relative(adapted, plain) > 0.05
    assert relative(in_diffusers(whole, x_t, sigma, told["text"]), adapted) < 1e-4
    assert all(Network("ltx-2").target(key.rpartition(".lora_A")[0]) for key in load_file(lora) if ".lora_A" in key)


def test_all_tensors_of_a_file_are_known_and_tell_the_family(tmp_path):
    for kind in KINDS:
        tensors = load_file(save_single(tiny(kind), tmp_path / f"{kind}.safetensors"))
        known = Network("ltx-2")
        assert [name for name in tensors if not known.has(name)] == []
        assert family_of([f"model.diffusion_model.{name}" for name in tensors]) == "ltx-2"
    assert family_of(["diffusion_model.transformer_blocks.3.audio_attn1.to_q.lora_A.weight"]) == "ltx-2"
    assert family_of(["transformer.transformer_blocks.3.video_to_audio_attn.to_q.lora_A.weight"]) == "ltx-2"


def test_what_is_not_supported_is_said(tmp_path):
    path = save_single(tiny("ltx-2.3"), tmp_path / "x.safetensors")
    tensors, described = load_file(path), tiny_ltx2.metadata(tiny("ltx-2.3"))
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"use_middle_indices_grid = False.*lost its metadata"):
        load_backbone(path)
    newer = {name: tensor for name, tensor in tensors.items() if not name.endswith("ff.net.2.bias")}
    save_file(newer, path, described)
    with pytest.raises(WeightsError, match=r"LTX-2\.5 or newer"):
        load_backbone(path)
    save_file({name: tensor for name, tensor in tensors.items() if "attn2.to_k" not in name}, path, described)
    with pytest.raises(WeightsError, match="incomplete"):
        load_backbone(path)


def test_a_diffusers_without_its_class_is_said(monkeypatch):
    import diffusers

    monkeypatch.setitem(sys.modules, "diffusers", types.SimpleNamespace(__version__="0.30.0"))
    with pytest.raises(
        VideoAlignError, match=r"LTX-2 needs LTX2VideoTransformer3DModel, which diffusers 0\.30\.0 does not have"
    ):
        backbone_classes()["ltx-2"].network_class()
    assert diffusers.__version__ != "0.30.0"


def test_sampling_defaults_are_of_the_dev_models():
    assert (tiny("ltx-2").sampling.steps, tiny("ltx-2").sampling.guidance_scale) == (40, 4)
    assert (tiny("ltx-2.3").sampling.steps, tiny("ltx-2.3").sampling.guidance_scale) == (30, 3)
    assert json.loads(tiny_ltx2.metadata(tiny("ltx-2"))["config"])["transformer"]["rope_type"] == "split"
