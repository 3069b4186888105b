"""*Search Seeds* beside ComfyUI's own samplers, on tiny networks with random weights."""

import os
from pathlib import Path

import pytest
import torch
from comfy_process import ComfyProcess, RemoteError
from comfyui_versions import versions_that_ran
from guidance_prompts import random_reward
from tiny_backbones import save_single, tiny

from videoalign.reward.latent.reward_file import save_latent_reward

pytestmark = pytest.mark.comfyui
SEEDS, STEPS, LOOK = 3, 8, 3


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    tree = Path(os.environ["COMFYUI_PATH"]).resolve()
    made = ComfyProcess(tree, tmp_path_factory.mktemp("process") / "log.txt")
    versions_that_ran.add((tree / "comfyui_version.py").read_text().split('"')[1])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny Wan, another one, and a latent reward for both."""
    folder = tmp_path_factory.mktemp("tiny")
    for seed in (0, 1):
        save_single(tiny("wan-t2v", seed), folder / f"{seed}.safetensors")
    save_latent_reward(folder / "reward.safetensors", random_reward(tiny("wan-t2v", seed=3)), torch.float32)
    return {"model": str(folder / "0.safetensors"), "reward": str(folder / "reward.safetensors"), "other": str(folder / "1.safetensors")}


@pytest.fixture(scope="module")
def search(process, files):
    return lambda **asked: process.call("search_calls.search", model=files["model"], reward=files["reward"], **asked)


@pytest.fixture(scope="module")
def plain(process, files):
    return lambda seed, **asked: process.call("search_calls.plain", model=files["model"], seed=seed, **asked)


def test_with_every_sampler_the_winner_is_the_clip_of_ksampler_and_the_cost_is_the_formulas(process, search, plain):
    comfyuis, ours = process.call("search_calls.listed")
    assert set(comfyuis) - set(ours) == {"dpm_fast", "dpm_adaptive"} and len(ours) >= 40
    wrong = {}
    for name in ours:
        found = search(sampler_name=name)
        own = plain(found["seed"], sampler_name=name)
        work = int(found["report"].split(" model evaluations")[0].rpartition(" ")[2])
        equal = torch.equal(found["samples"], own["samples"])
        if not (equal and found["asked"] == work and len(found["marks"]) == SEEDS):
            wrong[name] = (equal, found["asked"], work, own["asked"])
    assert not wrong
