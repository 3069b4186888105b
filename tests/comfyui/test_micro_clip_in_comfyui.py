"""Drawn clips to try the scores on: what is spoilt is what loses."""

import pytest
from comfy_server import RefusedError
from prompts import load_model, node, score_video, show

from videoalign.micro_world.faults import MOTION_FAULTS, VISUAL_FAULTS
from videoalign.nodes.reward_models import EMBEDDED_NAME

pytestmark = pytest.mark.comfyui

CAPTION = "one green square moves right over a plain grey ground"


def scored(comfyui, fault="none", degree=1.0, seed=3, caption=CAPTION) -> dict:
    run = comfyui.run(
        {
            "reward": load_model(EMBEDDED_NAME),
            "clip": node("MicroClip", caption=caption, fault=fault, degree=degree, seed=seed),
            "score": score_video("clip", reward="reward", caption=["clip", 1]),
            "shown": show("clip", 0),
        }
    )
    assert not run.errors, run.error
    return run.outputs["score"]["videoalign_scores"][0] | run.outputs["shown"]["shown"][0]


def test_a_clip_is_drawn_as_the_world_draws_it_and_the_same_seed_draws_the_same(comfyui):
    first, other = scored(comfyui), scored(comfyui, seed=4)
    assert first["shape"] == [17, 64, 64, 3] and first["sha256"] != other["sha256"]
    assert scored(comfyui, fault="noise", degree=0.0)["sha256"] == first["sha256"]


@pytest.mark.parametrize(("fault", "falls"), [("noise", "VQ"), ("blocks", "VQ"), ("freeze", "MQ"), ("jitter", "MQ")])
def test_the_score_of_what_is_spoilt_falls(comfyui, fault, falls):
    spoilt = [scored(comfyui, fault, seed=seed)[falls] for seed in (3, 4, 5)]
    faultless = [scored(comfyui, seed=seed)[falls] for seed in (3, 4, 5)]
    assert sum(faultless) > sum(spoilt) + 1.5  # sigma, of three clips


def test_a_caption_of_another_world_is_refused_by_the_node(comfyui):
    with pytest.raises(RefusedError, match="unknown word 'fox'"):
        comfyui.run(
            {"clip": node("MicroClip", caption="a fox", fault="none", degree=0.5, seed=1), "s": show("clip", 0)}
        )


def test_every_fault_of_the_world_is_offered(comfyui):
    made = comfyui.get("/object_info/VideoAlignMicroClip")["VideoAlignMicroClip"]["input"]["required"]["fault"]
    assert (made[1].get("options") or made[0]) == ["none", *VISUAL_FAULTS, *MOTION_FAULTS]
