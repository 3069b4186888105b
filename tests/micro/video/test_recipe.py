"""The recipe of the micro video model, at a size that runs in seconds."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from videoalign.backbones.loading import load_backbone
from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.backbones.sampling import generate
from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.pixels import as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.encoding import read_latents
from videoalign.micro.video.flow_training import FlowStage, FlowTraining, LatentPool, new_dit, train_flow
from videoalign.micro.video.recipe import Recipe, begin_from, make_video_model
from videoalign.micro.video.vae_training import VaePhase

TINY = Recipe(
    shards=2,
    shard_size=2,
    vae_shards=2,
    vae_phases=(VaePhase(1, 16, 1, 2, 1e-3), VaePhase(5, 16, 1, 2, 1e-3)),
    finishing=VaePhase(17, 64, 1, 2, 1e-3, made_share=0.5),
    made=2,
    flow=FlowTraining(
        ffn=32, blocks=2, stages=(FlowStage(1), FlowStage(2, frame_share=1, doubled=True)), batch=2, first_clips=2
    ),
)
CAPTION = "one red circle moves left over a plain grey ground"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    return folder, make_video_model(folder, TINY)


def test_the_files_load_by_the_package_s_own_loaders_and_sample(made):
    _, (vae_file, dit_file) = made
    backbone, vae = load_backbone(dit_file, dtype=torch.float32), load_vae(vae_file)
    assert len(backbone.blocks) == 2 and backbone.sampling.steps == 16 and backbone.sampling.fps == 8
    (clip,) = generate(backbone, vae, MicroTextEncoder(), [CAPTION], [0])
    assert clip.video.shape == (3, 17, 64, 64) and clip.video.isfinite().all() and clip.video.std() > 0


def test_latents_of_the_clips_have_mean_0_and_standard_deviation_1_where_the_sampler_sees_them(made):
    folder, _ = made
    latents, captions = read_latents(folder / "latents" / "latents_0000.safetensors")  # of the clips that are folded by
    assert latents.shape == (2, 16, 5, 8, 8) and len(captions) == 2
    assert latents.float().mean(dim=(0, 2, 3, 4)).abs().max() < 0.02
    assert (latents.float().std(dim=(0, 2, 3, 4)) - 1).abs().max() < 0.02


def test_the_latents_are_those_of_the_vae_file_also_after_its_decoder_was_finished(made):
    folder, (vae_file, _) = made
    stored, captions = read_latents(folder / "latents" / "latents_0001.safetensors")
    clips = [sample_video_clip(TINY.clip_seed, index) for index in (2, 3)]
    assert captions == [clip.caption for clip in clips]
    video = as_video(np.stack([clip.frames for clip in clips]))
    torch.testing.assert_close(stored.float(), load_vae(vae_file).encode(video), rtol=2e-3, atol=4e-3)


def test_what_is_finished_is_not_made_again(made):
    folder, files = made
    before = {file: file.stat().st_mtime_ns for file in [*folder.rglob("*.npy"), files[0]]}
    weights = load_file(files[1])
    assert make_video_model(folder, TINY) == files
    assert {file: file.stat().st_mtime_ns for file in before} == before
    again = load_file(files[1])  # not the bytes: safetensors orders metadata as it likes
    assert again.keys() == weights.keys() and all(torch.equal(again[name], weights[name]) for name in weights)


def test_a_run_of_which_only_the_files_are_left_goes_on_from_them(made, tmp_path):
    folder, (_, network) = made
    begin_from(tmp_path, network, folder / "begun_vae.safetensors", step=TINY.flow.steps - 1)
    lines = []
    pool = LatentPool(folder / "latents")
    steps = list(train_flow(tmp_path / "flow_state.pt", new_dit(TINY.flow, 0), pool, TINY.flow, 5, report=lines.append))
    assert [step for step, _ in steps] == [TINY.flow.steps]
    before = load_backbone(network, dtype=torch.float32).module.state_dict()
    moved = [(steps[0][1][name] - value).abs().max() for name, value in before.items()]
    assert max(moved) > 0 and torch.stack(moved).max() < 0.1  # a step, not another network
    assert (tmp_path / "begun_vae.safetensors").read_bytes() == (folder / "begun_vae.safetensors").read_bytes()
