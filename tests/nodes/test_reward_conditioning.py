from types import SimpleNamespace

import pytest
import torch

from videoalign.errors import GuidanceError
from videoalign.nodes.reward_conditioning import chosen_cond, reward_conditioning


def held(value):
    return SimpleNamespace(cond=value)


def cond(name, **about):
    return {"name": name, **about}


@pytest.mark.parametrize(
    ("conds", "sigma", "expected"),
    [
        ([cond("only")], 0.5, "only"),
        ([cond("area", area=(1,)), cond("whole")], 0.5, "whole"),
        ([cond("mask", mask=object()), cond("whole"), cond("later")], 0.5, "whole"),
        ([cond("area", area=(1,)), cond("mask", mask=object())], 0.5, "area"),
        ([cond("early", timestep_end=0.7), cond("late", timestep_start=0.7)], 0.9, "early"),
        ([cond("early", timestep_end=0.7), cond("late", timestep_start=0.7)], 0.3, "late"),
    ],
)
def test_the_active_conditioning_of_the_whole_clip_is_chosen(conds, sigma, expected):
    assert chosen_cond(conds, sigma)["name"] == expected


@pytest.mark.parametrize("conds", [None, [], [cond("early", timestep_end=0.7)]])
def test_no_active_conditioning_is_an_error_that_names_the_noise_level(conds):
    with pytest.raises(GuidanceError, match=r"active at sigma 0\.3000"):
        chosen_cond(conds, 0.3)


def test_each_familys_entries_are_taken_by_name():
    text, image, clip = torch.ones(1, 4, 8), torch.ones(2, 20, 3, 4, 4), torch.ones(1, 257, 1280)
    wan = reward_conditioning("wan", {"c_crossattn": held(text), "c_concat": held(image), "clip_fea": held(clip)}, 2)
    assert {name: tuple(value.shape) for name, value in wan.items()} == {
        "text": (2, 4, 8), "image_latents": (2, 20, 3, 4, 4), "image_embeds": (2, 257, 1280),
    }  # fmt: skip
    mask, pooled = torch.tensor([[1, 1, 0, 0]]), torch.ones(1, 768)
    conds = {
        "c_crossattn": held(text),
        "attention_mask": held(mask),
        "y": held(pooled),
        "guidance": held(torch.tensor([6.0])),
    }
    hunyuan = reward_conditioning("hunyuan-video", conds, 2)
    assert hunyuan["guidance"].tolist() == [6.0, 6.0] and hunyuan["pooled"].shape == (2, 768)
    assert hunyuan["text_mask"].tolist() == [[True, True, False, False]] * 2
    ltx = reward_conditioning("ltx-video", {"c_crossattn": held(text), "frame_rate": held(24), "y": held(pooled)}, 3)
    assert ltx["frame_rate"].tolist() == [24.0] * 3 and set(ltx) == {"text", "frame_rate"}


def test_rows_are_repeated_in_order_for_a_larger_batch():
    two = torch.arange(2.0).view(2, 1, 1)
    assert reward_conditioning("wan", {"c_crossattn": held(two)}, 3)["text"].flatten().tolist() == [0, 1, 0]


def test_a_conditioning_without_text_is_an_error():
    with pytest.raises(GuidanceError, match="no text embedding, which a wan latent reward needs"):
        reward_conditioning("wan", {"c_crossattn": held(None)}, 1)
