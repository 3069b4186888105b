"""What an image-to-video Wan is told of its image, against diffusers' pipeline."""

import pytest
import torch
from tiny_backbones import save_single, tiny
from tiny_vaes import clip, tiny_wan21

from videoalign.backbones.image_conditioning import image_entries, image_latents
from videoalign.backbones.loading import describe_backbone, load_backbone
from videoalign.errors import ClipSizeError, VideoAlignError


def test_the_latents_are_those_that_diffusers_pipeline_gives_its_network():
    from diffusers import WanImageToVideoPipeline

    vae, image = tiny_wan21(), clip(1, 32, 48)[0, :, 0]
    pipeline = WanImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=vae.module, scheduler=None, image_processor=None, image_encoder=None,
        transformer=None, transformer_2=None,
    )  # fmt: skip
    _, expected = pipeline.prepare_latents(
        image[None], 1, 16, 32, 48, 9, torch.float32, torch.device("cpu"), torch.Generator().manual_seed(0)
    )
    found = image_latents(vae, image, 9)
    assert found.shape == (20, 3, 4, 6)
    assert (found - expected[0]).abs().max() < 1e-5 * expected.abs().max()
    assert found[:4, 0].eq(1).all() and found[:4, 1:].eq(0).all()


def test_the_first_latent_frame_is_that_of_a_clip_which_begins_with_the_image():
    vae, video = tiny_wan21(), clip(9, 32, 48)
    found = image_latents(vae, video[0, :, 0], 9)
    assert torch.allclose(found[4:, 0], vae.encode(video)[0, :, 0], atol=1e-5)
    assert not torch.allclose(found[4:, 1], vae.encode(video)[0, :, 1], atol=1e-2)


def test_frames_that_do_not_fit_are_refused():
    with pytest.raises(ClipSizeError, match="8 frames"):
        image_latents(tiny_wan21(), torch.zeros(3, 32, 32), 8)


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("wan-t2v", ()),
        ("wan22-ti2v", ()),
        ("ltx-video", ()),
        ("wan-i2v", ("image_latents", "image_embeds")),
        ("wan22-i2v", ("image_latents",)),
    ],
)
def test_a_network_is_asked_what_it_needs_without_its_weights(kind, needed, tmp_path):
    network = describe_backbone(save_single(tiny(kind), tmp_path / "network.safetensors"))
    assert image_entries(network, "network") == needed
    assert network.device.type == "meta" and network.total_blocks == len(tiny(kind).blocks)
    assert network.latent_format == load_backbone(tmp_path / "network.safetensors").latent_format


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("wan-flf2v", {}, "for a first and a last frame"),
        ("hunyuan-video-i2v", {}, "text encoder sees the image too"),
        ("wan22-i2v", {"in_channels": 48}, "takes 32 channels beside the noisy latents"),
    ],
)
def test_networks_that_one_image_does_not_suffice_are_refused_by_name(kind, changes, reason):
    with pytest.raises(VideoAlignError, match=rf"my-model: .*{reason}.*Use a Wan image-to-video model"):
        image_entries(tiny(kind, **changes), "my-model")
