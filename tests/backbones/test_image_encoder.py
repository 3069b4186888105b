"""CLIP's tokens of an image, against transformers run by hand, from each format."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_clip import TOKENS, save_clip, tiny_clip

from videoalign.backbones.image_encoder import clip_pixels, image_encoder_identity, load_image_encoder
from videoalign.errors import WeightsError


def picture(height=40, width=72, seed=0):
    """Grey levels [3, H, W] as an 8-bit image has them; smooth, so that Pillow's clipping between two passes does nothing."""
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    return (50 + 150 * torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear"))[0].to(torch.uint8)


def in_range(levels):
    return levels.float() / 127.5 - 1


@pytest.fixture
def file(tmp_path):
    return save_clip(tiny_clip(), tmp_path / "clip_vision_h.safetensors")


def test_the_tokens_are_the_states_before_the_last_layer_of_the_picture_squeezed_to_a_square(file):
    from transformers import CLIPImageProcessor

    levels = picture()
    squeezed = CLIPImageProcessor(size={"height": 224, "width": 224}, do_center_crop=False)
    image = Image.fromarray(levels.permute(1, 2, 0).numpy())
    pixels = squeezed(images=image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = tiny_clip()(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    encoder = load_image_encoder(file)
    found = encoder.encode(in_range(levels)[None])
    assert found.shape == (1, TOKENS, 64) and encoder.width == 64 and found.dtype == torch.float32
    assert (clip_pixels(in_range(levels)[None]) - pixels).abs().max() < 2.5 / 255 / 0.26  # Pillow rounds in between
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
    with torch.no_grad():
        own = tiny_clip()(pixel_values=clip_pixels(in_range(levels)[None]), output_hidden_states=True)
    assert torch.allclose(found, own.hidden_states[-2], atol=1e-5)


def test_a_picture_of_the_right_size_is_only_normalised():
    levels = picture(224, 224)
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    expected = (levels / 255 - mean[:, None, None]) / std[:, None, None]
    assert torch.allclose(clip_pixels(in_range(levels)[None])[0], expected, atol=1e-5)


@pytest.mark.parametrize("folder", ["pipeline", "itself"])
def test_a_diffusers_folder_gives_the_same_tokens(file, folder, tmp_path):
    tiny_clip().save_pretrained(tmp_path / "pipeline" / "image_encoder")
    path = tmp_path / "pipeline" / ("image_encoder" if folder == "itself" else "")
    image = in_range(picture())[None]
    assert torch.allclose(load_image_encoder(path).encode(image), load_image_encoder(file).encode(image), atol=1e-5)


def test_the_identity_is_that_of_the_weights(file, tmp_path):
    identity = image_encoder_identity(file)
    assert load_image_encoder(file).identity == identity
    assert image_encoder_identity(save_clip(tiny_clip(seed=1), tmp_path / "other.safetensors")) != identity


def test_other_files_are_refused_with_what_to_give(file, tmp_path):
    save_file({"blocks.0.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"not a CLIP vision model.*clip_vision_h\.safetensors"):
        load_image_encoder(tmp_path / "other.safetensors")
    state = load_file(file)
    del state["vision_model.encoder.layers.1.mlp.fc2.bias"]
    save_file(state, tmp_path / "torn.safetensors")
    with pytest.raises(WeightsError, match=r"layers\.1\.mlp\.fc2\.bias"):
        load_image_encoder(tmp_path / "torn.safetensors")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text(json.dumps({"model_type": "umt5"}))
    with pytest.raises(WeightsError, match="holds a 'umt5'"):
        load_image_encoder(tmp_path / "text")
