"""Wan's members that share its network, as docs/families.md tells of them: guided by a reward for text to video, refused in training."""

import pytest
import torch
from guidance_prompts import random_reward
from tiny_backbones import tiny

from videoalign.backbones.image_conditioning import image_entries
from videoalign.backbones.loading import load_backbone
from videoalign.errors import VideoAlignError
from videoalign.reward.latent.reward_file import save_latent_reward

pytestmark = pytest.mark.comfyui

# Member -> its class in ComfyUI, and what says no to training; None: it is trained as image to video.
SAID = {
    "vace": ("WAN21_Vace", "VACE variant of Wan"),
    "camera": ("WAN21_Camera", "camera control variant of Wan"),
    "s2v": ("WAN22_S2V", "S2V variant of Wan"),
    "animate": ("WAN22_Animate", "Animate variant of Wan"),
    "fun-control": ("WAN21", r"Fun control \(reference image\) variant of Wan"),
    "fun-control-plain": ("WAN21", "takes 36 channels beside the noisy latents; an image-to-video one takes 20"),
    "fun-inp": ("WAN21", None),
}


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
    path = tmp_path_factory.mktemp("members") / "reward.safetensors"
    save_latent_reward(path, random_reward(tiny("wan-t2v", seed=3)), torch.float32)
    return str(path)


@pytest.mark.parametrize("name", SAID)
def test_a_member_is_guided_and_searched_and_its_training_is_refused_or_that_of_image_to_video(
    name, process, reward, tmp_path
):
    path = tmp_path / f"{name}.safetensors"
    kind, plain, shifted, points = process.call(
        "wan_member_calls.member", member_name=name, reward=reward, path=str(path)
    )
    assert kind == SAID[name][0]
    assert plain.isfinite().all() and shifted.isfinite().all()
    assert (plain - shifted).abs().max() > 1e-2 and points == 3
    found = process.call("search_calls.search", model=str(path), reward=reward, seeds=2, steps=4, look_after=2)
    assert sorted(found["order"]) == [5, 6] and found["samples"].isfinite().all()
    if SAID[name][1] is None:
        assert image_entries(load_backbone(path), name) == ("image_latents",)
        return
    with pytest.raises(VideoAlignError, match=SAID[name][1]):
        image_entries(load_backbone(path), name)
