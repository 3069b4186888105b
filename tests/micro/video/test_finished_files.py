"""The files of the micro video model."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.pixels import as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.finished_files import fold_statistics, save_dit, save_vae
from videoalign.micro.video.flow_training import FlowTraining, new_dit
from videoalign.micro.video.vae_training import new_vae


def test_folding_changes_the_latents_units_and_nothing_else(tmp_path):
    frames = np.stack([sample_video_clip(3, index).frames for index in range(10)])
    vae = new_vae(8, 0, frames).requires_grad_(False)
    video = as_video(frames[:3, :5, :32, :32])
    before = vae.encode(video).latent_dist
    decoded = vae.decode(before.mean).sample
    fold_statistics(vae, before.mean)
    after = vae.encode(video).latent_dist
    torch.testing.assert_close(vae.decode(after.mean).sample, decoded, rtol=1e-3, atol=1e-4)
    scale = after.mean.std(dim=(0, 2, 3, 4)) / before.mean.std(dim=(0, 2, 3, 4))
    torch.testing.assert_close(after.std, before.std * scale.view(1, -1, 1, 1, 1), rtol=1e-3, atol=1e-5)

    save_vae(tmp_path / "vae.safetensors", vae)
    loaded = load_vae(tmp_path / "vae.safetensors")
    latents = loaded.encode(video)
    assert latents.mean(dim=(0, 2, 3, 4)).abs().max() < 0.02
    assert (latents.std(dim=(0, 2, 3, 4)) - 1).abs().max() < 0.02
    torch.testing.assert_close(loaded.decode(latents), decoded, rtol=0, atol=0.02)  # rounded to half precision


def test_the_dit_s_file_has_the_original_names_in_half_precision(tmp_path):
    dit = new_dit(FlowTraining(ffn=32, blocks=1), seed=0)
    save_dit(tmp_path / "dit.safetensors", dit.state_dict())
    with safe_open(tmp_path / "dit.safetensors", "pt") as file:
        names = set(file.keys())
        assert {file.get_tensor(name).dtype for name in names} == {torch.float16}
    assert len(names) == len(dit.state_dict())
    expected = {
        "patch_embedding.weight", "text_embedding.0.weight", "time_embedding.2.bias", "time_projection.1.weight",
        "blocks.0.self_attn.q.weight", "blocks.0.self_attn.norm_k.weight", "blocks.0.cross_attn.o.bias",
        "blocks.0.norm3.weight", "blocks.0.ffn.2.weight", "blocks.0.modulation", "head.head.weight", "head.modulation",
    }  # fmt: skip
    assert expected <= names and not [name for name in names if "attn1" in name or "norm2" in name]


def test_weights_that_do_not_fit_into_half_precision_are_refused(tmp_path):
    with pytest.raises(ValueError, match="diverged"):
        save_dit(tmp_path / "dit.safetensors", {"proj_out.weight": torch.full((2, 2), 1e5)})
    assert not list(tmp_path.iterdir())
