"""VAEs: sizes, determinism, both file layouts, errors."""

import pytest
import torch
from safetensors.torch import save_file
from tiny_vaes import (
    clip,
    ltx2_metadata,
    ltx_metadata,
    original_tensors,
    save_vae,
    tiny_hunyuan_video,
    tiny_hunyuan_video15,
    tiny_ltx2,
    tiny_ltx_video,
    tiny_wan21,
    tiny_wan22,
)

from videoalign.backbones.vae_loading import load_vae, vae_identity
from videoalign.errors import ClipSizeError, WeightsError

TINY = {
    "wan2.1": tiny_wan21, "wan2.2": tiny_wan22, "hunyuan-video": tiny_hunyuan_video, "hunyuan-video-1.5": tiny_hunyuan_video15, "ltxv 0.9.0": tiny_ltx_video,
    "ltxv 0.9.5": lambda: tiny_ltx_video("0.9.5"), "ltx-2": tiny_ltx2,
}  # fmt: skip


@pytest.fixture(scope="module", params=TINY)
def vae(request):
    return TINY[request.param]()


@pytest.fixture
def metadata(request):
    """What a single file says about its VAE."""
    name = request.node.callspec.params["vae"]
    if name == "ltx-2":
        return ltx2_metadata()
    return ltx_metadata(name.removeprefix("ltxv ")) if name.startswith("ltxv") else None


@pytest.fixture
def single_file(vae, metadata, tmp_path):
    return save_vae(vae, tmp_path / "vae.safetensors", metadata)


def fitting_clip(vae, batch=1):
    form = vae.latent_format
    return clip(1 + form.temporal_stride, 2 * form.spatial_stride, 3 * form.spatial_stride, batch)


def test_latents_have_the_shape_that_the_format_promises_and_decode_to_the_clips_shape(vae):
    video = fitting_clip(vae, batch=2)
    latents = vae.encode(video)
    assert latents.shape == (2, *vae.latent_format.shape(*video.shape[2:]))
    assert latents.shape[2:] == (2, 2, 3)
    decoded = vae.decode(latents)
    assert decoded.shape == video.shape and decoded.abs().max() <= 1 and decoded.std() > 0


def test_encoding_is_deterministic_and_takes_the_mode_of_the_posterior(vae):
    video = fitting_clip(vae)
    latents = vae.encode(video)
    assert torch.equal(latents, vae.encode(video))
    mean = vae.module.encode(video).latent_dist.mean
    assert torch.allclose(latents * vae.std.view(1, -1, 1, 1, 1) + vae.mean.view(1, -1, 1, 1, 1), mean, atol=1e-5)
    assert torch.equal(vae.decode(latents), vae.decode(latents))


def test_a_single_file_in_comfyuis_naming_gives_the_same_latents(vae, single_file):
    loaded, video = load_vae(single_file), fitting_clip(vae)
    assert loaded.latent_format == vae.latent_format
    assert torch.equal(loaded.encode(video), vae.encode(video))
    assert torch.equal(loaded.decode(vae.encode(video)), vae.decode(vae.encode(video)))


def test_a_vae_inside_a_checkpoint_is_found(vae, metadata, tmp_path):
    checkpoint = {"vae." + name: tensor for name, tensor in original_tensors(vae).items()}
    checkpoint["model.diffusion_model.blocks.0.weight"] = torch.zeros(2)
    save_file(checkpoint, tmp_path / "checkpoint.safetensors", metadata)
    video = fitting_clip(vae)
    assert torch.equal(load_vae(tmp_path / "checkpoint.safetensors").encode(video), vae.encode(video))


def test_a_diffusers_folder_gives_the_same_latents(vae, tmp_path):
    vae.module.save_pretrained(tmp_path / "pipeline" / "vae")
    video = fitting_clip(vae)
    for path in (tmp_path / "pipeline", tmp_path / "pipeline" / "vae"):
        assert torch.equal(load_vae(path).encode(video), vae.encode(video))


def test_the_identity_follows_weights_precision_and_tiling(tmp_path):
    state = original_tensors(tiny_wan21())
    save_file(state, tmp_path / "vae.safetensors")
    next(iter(state.values())).view(-1)[0] += 1e-3
    save_file(state, tmp_path / "changed.safetensors")
    loaded = [
        (tmp_path / "vae.safetensors", torch.float32, False),
        (tmp_path / "changed.safetensors", torch.float32, False),
        (tmp_path / "vae.safetensors", torch.bfloat16, False),
        (tmp_path / "vae.safetensors", torch.float32, True),
    ]
    identities = [load_vae(path, dtype, tiling=tiling).identity for path, dtype, tiling in loaded]
    assert len(set(identities)) == 4
    assert identities == [vae_identity(path, dtype, tiling) for path, dtype, tiling in loaded]


def test_weights_that_come_from_no_file_have_an_identity_of_their_own():
    first, second = tiny_wan21(), tiny_wan21()
    assert first.identity == second.identity
    second.module.quant_conv.bias[0] += 1
    assert first.identity != second.identity


def test_tiles_of_a_big_clip_change_the_latents_little_and_keep_their_shape(vae):
    form = vae.latent_format
    video = clip(1, 64, 40 * form.spatial_stride)
    whole = vae.encode(video)
    vae.set_tiling(True)
    tiled = vae.encode(video)
    vae.set_tiling(False)
    assert tiled.shape == whole.shape and not torch.equal(tiled, whole)
    assert (tiled - whole).abs().mean() < 0.2 * whole.std()


def test_gradients_flow_through_the_decoder_to_the_latents(vae):
    latents = vae.encode(fitting_clip(vae)).requires_grad_()
    vae.decode(latents).sum().backward()
    assert latents.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in vae.module.parameters())


def test_weights_loaded_under_inference_mode_are_ordinary_tensors(single_file):
    with torch.inference_mode():
        loaded = load_vae(single_file)
    assert not any(parameter.is_inference() for parameter in loaded.module.parameters())


def test_sizes_that_do_not_fit_are_refused_with_the_nearest_that_do():
    vae = tiny_wan21()
    with pytest.raises(ClipSizeError, match=r"6 frames are not 1 more than a multiple of 4: use 5 or 9"):
        vae.encode(torch.zeros(1, 3, 6, 16, 16))
    with pytest.raises(ClipSizeError, match="width 20 is not a multiple of 8: use 16 or 24"):
        vae.encode(torch.zeros(1, 3, 5, 16, 20))
    with pytest.raises(ClipSizeError, match="height 3 is not a multiple of 8: use 8"):
        vae.encode(torch.zeros(1, 3, 5, 3, 16))
    with pytest.raises(ClipSizeError, match=r"\[1, 48, 1, 2, 2\].*16"):
        vae.decode(torch.zeros(1, 48, 1, 2, 2))


def test_what_is_not_a_vae_is_named(tmp_path):
    save_file({"blocks.0.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a VAE that is supported"):
        load_vae(tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="does not exist"):
        load_vae(tmp_path / "nowhere.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="holds no VAE"):
        load_vae(tmp_path / "empty")


def test_an_incomplete_file_is_named_with_the_missing_tensor(tmp_path):
    state = original_tensors(tiny_wan21())
    del state["decoder.upsamples.3.time_conv.bias"]
    save_file(state, tmp_path / "incomplete.safetensors")
    with pytest.raises(WeightsError, match=r"decoder\.upsamples\.3\.time_conv\.bias"):
        load_vae(tmp_path / "incomplete.safetensors")


def test_a_truncated_file_is_named(tmp_path):
    save_file(tiny_wan21().original_state_dict(), tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "part.safetensors").write_bytes(whole[:-1000])
    with pytest.raises(WeightsError, match="truncated"):
        load_vae(tmp_path / "part.safetensors")
