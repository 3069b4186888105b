"""What training writes: the official files with the official names, and one file that gives the same scores."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from videoalign.reward.clip import prepare_clip
from videoalign.reward.loading import load_video_reward
from videoalign.reward.settings import Normalisation
from videoalign.training.video_reward.official_layout import full_state, model_config
from videoalign.training.video_reward.task import VideoRewardTask
from videoalign.training.video_reward.trainable import build_trainable

DATA = Path(__file__).parents[2] / "data" / "videoreward" / "checkpoints"
NORMALISATION = Normalisation((0.1, -0.2, 0.3), (1.5, 2.0, 0.5))
PROMPT = "one red circle moves left over a plain grey ground"


def perturb(network):
    """Give every trained parameter, LoRA's zero matrices too, a value of its own."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)


def test_a_tiny_checkpoint_gets_exactly_the_official_key_names_and_shapes(options):
    config = options(
        data={"template": "detailed_special"},
        model={"base": DATA / "base", "checkpoint": DATA / "ckpt_full", "lora_rank": 4, "lora_alpha": 8},
    )
    reward, _ = build_trainable(config)
    official = json.loads((DATA / "state_dict_keys.json").read_text())["keys"]
    state = full_state(reward, lora=True)
    assert {name: list(value.shape) for name, value in state.items()} == {
        n: shape for n, (shape, _) in official.items()
    }


def test_going_on_from_a_checkpoint_and_saving_at_once_gives_that_checkpoint(options):
    config = options(
        data={"template": "detailed_special"},
        model={"base": DATA / "base", "checkpoint": DATA / "ckpt_lora", "torch_dtype": "bfloat16"},
    )
    reward, _ = build_trainable(config)
    state = full_state(reward, lora=True)
    adapters = load_file(DATA / "ckpt_lora" / "checkpoint-600" / "adapter_model.safetensors")
    trained = torch.load(DATA / "ckpt_lora" / "checkpoint-600" / "non_lora_state_dict.pth", weights_only=True)
    for name, value in trained.items():
        assert torch.equal(state[name], value), name
    for name, value in adapters.items():
        assert torch.equal(state[name.replace(".weight", ".default.weight")], value), name


@pytest.mark.parametrize(
    "changes", [{}, {"save_full_model": True}, {"model": {"lora": False, "train_embeddings": "all"}}]
)
def test_the_saved_folder_and_the_single_file_score_like_the_trained_network(options, micro, changes):
    config = options(**changes)
    task = VideoRewardTask(config)
    perturb(task.reward.network)
    clip = prepare_clip(sorted((micro / "data" / "videos").iterdir())[0], task.reward.settings.sampling)
    task.module.eval()
    with torch.no_grad():
        expected = task.reward.raw_rewards([clip], [PROMPT])[0]
    file = task.export(6, NORMALISATION)
    for source in (file, config.output):
        loaded = load_video_reward(source, device="cpu")
        scores = loaded.score_prepared([clip], [[PROMPT]])[0][0]
        assert [scores.raw[name] for name in ("VQ", "MQ", "TA")] == pytest.approx(expected.tolist(), abs=2e-5)
        assert loaded.settings.normalisation == NORMALISATION
        assert loaded.settings.sampling.fps == 8.0


def test_the_saved_configuration_reads_back_to_the_settings_of_the_training(options):
    config = options()
    values = model_config(config, NORMALISATION)
    assert values["inference_config"] == {
        "VQ_mean": 0.1, "VQ_std": 1.5, "MQ_mean": -0.2, "MQ_std": 2.0, "TA_mean": 0.3, "TA_std": 0.5,
    }  # fmt: skip
    official = json.loads((DATA / "ckpt_full" / "model_config.json").read_text())
    for section in ("model_config", "peft_lora_config", "inference_config"):
        assert set(values[section]) <= set(official[section]), section


def test_last_token_training_needs_three_outputs_and_exports_what_it_trained(options, micro):
    with pytest.raises(ValueError, match="output_dim = 3"):
        options(model={"reward_token": "last"})
    config = options(model={"reward_token": "last", "output_dim": 3})
    task = VideoRewardTask(config)
    perturb(task.reward.network)
    clip = prepare_clip(sorted((micro / "data" / "videos").iterdir())[0], task.reward.settings.sampling)
    task.module.eval()
    with torch.no_grad():
        expected = task.reward.raw_rewards([clip], [PROMPT])[0]
    loaded = load_video_reward(task.export(6, NORMALISATION), device="cpu")
    scores = loaded.score_prepared([clip], [[PROMPT]])[0][0]
    assert list(scores.raw.values()) == pytest.approx(expected.tolist(), abs=2e-5)
