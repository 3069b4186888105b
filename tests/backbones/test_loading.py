"""What loads, from which formats, and what is refused in which words."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import (
    CONFIGS,
    beside,
    inputs,
    original_state,
    save_scaled_fp8,
    save_single,
    tencent_name,
    tiny,
    whole_module,
)

from videoalign.backbones.loading import build_backbone, load_backbone
from videoalign.errors import VideoAlignError, WeightsError


@pytest.fixture(scope="module", params=CONFIGS)
def network(request):
    return tiny(request.param)


def test_a_single_file_gives_back_the_network_and_its_config(network, tmp_path):
    own = load_backbone(save_single(network, tmp_path / "model.safetensors"))
    state = network.module.state_dict()
    assert own.name == network.name
    assert own.module.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in own.module.state_dict().items())
    assert torch.equal(own.velocity(*inputs(own)), network.velocity(*inputs(network)))


def test_a_diffusers_folder_gives_what_the_single_file_gives(network, tmp_path):
    whole_module(network).save_pretrained(tmp_path / "model" / "transformer", max_shard_size="1MB")
    assert (tmp_path / "model" / "transformer" / "diffusion_pytorch_model.safetensors.index.json").is_file()
    causal = network.config.get("causal_temporal_positioning")
    index = {"_class_name": "LTXConditionPipeline" if causal else "LTXPipeline"}
    (tmp_path / "model" / "model_index.json").write_text(json.dumps(index))
    single = load_backbone(save_single(network, tmp_path / "single.safetensors"))
    for folder in (tmp_path / "model", tmp_path / "model" / "transformer"):
        own = load_backbone(folder)
        assert torch.equal(own.velocity(*inputs(own)), single.velocity(*inputs(single)))


def test_what_diffusers_leaves_unread_in_a_wan_folder_is_no_error(tmp_path):
    network = tiny("wan-i2v")
    network.module.save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file(load_file(path) | {"blocks.0.attn2.norm_added_q.weight": torch.ones(128)}, path)
    assert torch.equal(load_backbone(tmp_path).velocity(*inputs(network)), network.velocity(*inputs(network)))
    save_file(load_file(path) | {"blocks.0.attn2.norm_added_p.weight": torch.ones(128)}, path)
    with pytest.raises(WeightsError, match="norm_added_p"):
        load_backbone(tmp_path)


def test_the_first_blocks_are_read_without_the_others(network, tmp_path):
    state = original_state(network)
    later = state.keys() - original_state(build_backbone(network.name, network.config, num_blocks=2)).keys()
    assert later
    for key in later:
        state[key] = torch.full_like(state[key], float("nan"))
    tensors, metadata = beside(network)
    save_file(state | tensors, tmp_path / "model.safetensors", metadata or None)
    own = load_backbone(tmp_path / "model.safetensors", num_blocks=2)
    assert own.name == network.name and len(own.blocks) == 2 and own.total_blocks == len(network.blocks)
    assert all(tensor.isfinite().all() for tensor in own.module.state_dict().values())
    with pytest.raises(VideoAlignError, match="Only 2 of the"):
        own.velocity(*inputs(own))


def test_hunyuan_video_files_with_tencents_own_names_load(tmp_path):
    network = tiny("hunyuan-video")
    state = {tencent_name(key): tensor for key, tensor in original_state(network).items()}
    assert "double_blocks.0.img_attn_qkv.weight" in state and "single_blocks.0.q_norm.weight" in state
    save_file(state, tmp_path / "model.safetensors")
    own = load_backbone(tmp_path / "model.safetensors")
    assert torch.equal(own.velocity(*inputs(own)), network.velocity(*inputs(network)))


def test_prefixes_and_the_other_parts_of_a_checkpoint_are_passed_over(tmp_path):
    network = tiny("wan-t2v")
    path = save_single(network, tmp_path / "checkpoint.safetensors", prefix="model.diffusion_model.")
    state = load_file(path) | {"vae.decoder.conv1.weight": torch.zeros(2)}
    save_file(state, path)
    assert torch.equal(load_backbone(path).velocity(*inputs(network)), network.velocity(*inputs(network)))


@pytest.mark.parametrize("style", ["scale_weight", "comfy_quant", "metadata"])
def test_scaled_fp8_files_load_as_what_they_mean(style, tmp_path):
    path, meant = save_scaled_fp8(tiny("wan-t2v"), tmp_path / "fp8.safetensors", style)
    own = load_backbone(path, dtype=torch.float32)
    found = original_state(own)
    assert found.keys() == meant.keys()
    assert all(torch.equal(found[key], meant[key]) for key in meant)
    assert load_backbone(path).dtype == torch.bfloat16


def test_plain_fp8_files_load_as_their_rounded_weights(tmp_path):
    network = tiny("wan-t2v")
    own = load_backbone(save_single(network, tmp_path / "fp8.safetensors", torch.float8_e4m3fn), dtype=torch.float32)
    expected = {key: tensor.to(torch.float8_e4m3fn).float() for key, tensor in original_state(network).items()}
    assert all(torch.equal(tensor, expected[key]) for key, tensor in original_state(own).items())


def test_another_quantisation_is_refused_by_its_name(tmp_path):
    path, _ = save_scaled_fp8(tiny("wan-t2v"), tmp_path / "mxfp8.safetensors", "comfy_quant")
    state = load_file(path)
    note = next(key for key in state if key.endswith("comfy_quant"))
    state[note] = torch.tensor(list(b'{"format": "mxfp8"}'), dtype=torch.uint8)
    save_file(state, path)
    with pytest.raises(WeightsError, match=r"mxfp8\.safetensors.*quantised as 'mxfp8'"):
        load_backbone(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_files_own_type_is_kept_but_for_what_diffusers_keeps_in_float32(dtype, tmp_path):
    own = load_backbone(save_single(tiny("wan-t2v"), tmp_path / "half.safetensors", dtype))
    state = own.module.state_dict()
    assert own.dtype == dtype and state["blocks.0.attn1.to_q.weight"].dtype == dtype
    assert state["blocks.0.scale_shift_table"].dtype == torch.float32
    x_t, sigma, conditioning = inputs(own)
    v = own.velocity(x_t, sigma, conditioning)
    assert v.dtype == x_t.dtype == torch.float32 and v.isfinite().all()


def test_weights_loaded_under_inference_mode_are_ordinary_tensors_and_allow_gradients(tmp_path):
    path = save_single(tiny("wan-t2v"), tmp_path / "model.safetensors", torch.float16)
    with torch.inference_mode():
        own = load_backbone(path, dtype=torch.float32, num_blocks=1)
    assert not any(tensor.is_inference() for tensor in (*own.module.parameters(), *own.module.buffers()))
    x_t, sigma, conditioning = inputs(own)
    x_t.requires_grad_()
    own.features(x_t, sigma, conditioning).square().sum().backward()
    assert x_t.grad.abs().max() > 0


def test_everything_goes_to_the_device_that_was_asked_for(network, tmp_path):
    own = load_backbone(save_single(network, tmp_path / "model.safetensors"), device="meta")
    assert {str(tensor.device) for tensor in (*own.module.parameters(), *own.module.buffers())} == {"meta"}


def test_metadata_may_hold_other_sampling_defaults(tmp_path):
    metadata = {"videoalign.sampling": json.dumps({"frames": 17, "height": 64, "width": 64, "steps": 20})}
    path = save_single(tiny("wan-t2v"), tmp_path / "micro.safetensors", metadata=metadata)
    sampling = load_backbone(path).sampling
    assert (sampling.frames, sampling.height, sampling.width, sampling.steps, sampling.shift) == (17, 64, 64, 20, 5)
    save_single(tiny("wan-t2v"), path, metadata={"videoalign.sampling": '{"step": 20}'})
    with pytest.raises(WeightsError, match=r"micro\.safetensors.*unknown \['step'\]"):
        load_backbone(path)


@pytest.fixture(scope="module")
def state():
    return original_state(tiny("wan-t2v"))


class TestRefused:
    def refused(self, state, tmp_path, match):
        save_file(state, tmp_path / "model.safetensors")
        with pytest.raises(WeightsError, match=match) as caught:
            load_backbone(tmp_path / "model.safetensors")
        assert "model.safetensors" in str(caught.value)

    def test_a_missing_tensor(self, state, tmp_path):
        state = {key: own for key, own in state.items() if key != "blocks.1.self_attn.q.weight"}
        self.refused(state, tmp_path, r"1 tensors are missing \(blocks\.1\.attn1\.to_q\.weight\)")

    def test_a_missing_tensor_that_tells_the_config(self, state, tmp_path):
        state = {key: own for key, own in state.items() if key != "text_embedding.0.weight"}
        self.refused(state, tmp_path, r"looks like a wan network, but tensor 'text_embedding\.0\.weight' is missing")

    def test_an_unknown_tensor(self, state, tmp_path):
        self.refused(
            state | {"blocks.1.extra.weight": torch.zeros(1)}, tmp_path, r"not known \(blocks\.1\.extra\.weight\)"
        )

    def test_a_tensor_of_another_shape(self, state, tmp_path):
        self.refused(state | {"time_projection.1.bias": torch.zeros(7)}, tmp_path, r"has shape \[7\]; expected \[768\]")

    def test_a_variant_by_its_name(self, state, tmp_path):
        self.refused(state | {"vace_patch_embedding.weight": torch.zeros(1)}, tmp_path, "VACE variant of Wan")

    def test_latents_that_no_wan_has(self, state, tmp_path):
        self.refused(state | {"head.head.weight": torch.zeros(128, 128)}, tmp_path, "latents of 32 channels")

    def test_metadata_that_is_no_json(self, tmp_path):
        save_single(tiny("ltx-video"), tmp_path / "model.safetensors", metadata={"config": "{"})
        with pytest.raises(WeightsError, match=r"model\.safetensors: its metadata cannot be understood"):
            load_backbone(tmp_path / "model.safetensors")

    def test_a_setting_of_ltx_video_that_diffusers_has_not(self, tmp_path):
        metadata = {"config": json.dumps({"transformer": {"positional_embedding_max_pos": [40, 2048, 2048]}})}
        save_single(tiny("ltx-video"), tmp_path / "model.safetensors", metadata=metadata)
        with pytest.raises(WeightsError, match=r"positional_embedding_max_pos = \[40, 2048, 2048\]"):
            load_backbone(tmp_path / "model.safetensors")

    def test_another_network(self, tmp_path):
        self.refused({"unet.conv.weight": torch.zeros(1)}, tmp_path, "no known network.*Supported are wan")

    def test_a_lora(self, tmp_path):
        self.refused({"diffusion_model.blocks.0.self_attn.q.lora_A.weight": torch.zeros(1)}, tmp_path, "this is a LoRA")

    def test_a_diffusers_file_without_its_folder(self, tmp_path):
        self.refused({"condition_embedder.time_proj.weight": torch.zeros(1)}, tmp_path, "Give the folder")

    def test_a_truncated_file(self, state, tmp_path):
        path = tmp_path / "model.safetensors"
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read: truncated; its header promises"):
            load_backbone(path)

    def test_a_file_that_is_no_safetensors(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 5) + b"hello")
        with pytest.raises(WeightsError, match="truncated, damaged or not a safetensors file"):
            load_backbone(tmp_path / "model.safetensors")

    def test_a_path_where_nothing_is(self, tmp_path):
        with pytest.raises(WeightsError, match=r"nothing\.safetensors does not exist"):
            load_backbone(tmp_path / "nothing.safetensors")

    def test_a_folder_that_is_no_model(self, tmp_path):
        with pytest.raises(WeightsError, match=r"neither it nor its folder transformer has a config\.json"):
            load_backbone(tmp_path)

    def test_a_folder_of_another_class(self, tmp_path):
        (tmp_path / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
        with pytest.raises(WeightsError, match="is of a UNet2DConditionModel; supported are WanTransformer3DModel"):
            load_backbone(tmp_path)

    @pytest.mark.parametrize("count", [0, 4])
    def test_a_number_of_blocks_that_there_is_not(self, count, state, tmp_path):
        save_file(state, tmp_path / "model.safetensors")
        with pytest.raises(VideoAlignError, match=f"num_blocks is {count}; this wan network has blocks 1 to 3"):
            load_backbone(tmp_path / "model.safetensors", num_blocks=count)

    def test_a_family_that_there_is_not(self):
        with pytest.raises(VideoAlignError, match="There is no backbone 'flux'"):
            build_backbone("flux", {})
