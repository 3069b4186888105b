"""model_config.json: read whole, official defaults, and clear errors for what cannot be."""

import json
import math

import pytest

from videoalign.errors import CheckpointError
from videoalign.reward.settings import FrameSampling, LoraSettings, Normalisation, RewardSettings


@pytest.fixture
def config(checkpoints):
    return json.loads((checkpoints / "ckpt_full" / "model_config.json").read_text(encoding="utf-8"))


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "model_config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return RewardSettings.from_model_config(path)

    return read


def test_the_released_configuration_is_the_default(config, read):
    config["model_config"]["model_name_or_path"] = "Qwen/Qwen2-VL-2B-Instruct"
    config["peft_lora_config"] |= {"lora_r": 64, "lora_alpha": 128}
    assert read(config) == RewardSettings()


def test_settings_survive_json(config, read):
    settings = read(config)
    assert RewardSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_this_projects_extensions_are_read(config, read):
    config["data_config"] |= {
        "min_frame_pixels": 3136,
        "min_frames": 2,
        "max_frames": 8,
        "prompt_template": "x {text_prompt}",
    }
    settings = read(config)
    assert settings.sampling == FrameSampling(min_pixels=3136, min_frames=2, max_frames=8)
    assert settings.template == "x {text_prompt}"


def test_scores_are_normalised_by_mean_and_deviation_of_the_configuration(config, read):
    config["inference_config"] = {
        f"{name}_{what}": value for name in ("VQ", "MQ", "TA") for what, value in (("mean", 1), ("std", 4))
    }
    assert read(config).normalisation.apply([1, 3, 5]) == [0, 0.5, 1]
    del config["inference_config"]
    assert read(config).normalisation == Normalisation((3.6757, 1.1646, 2.8105), (2.2476, 1.3811, 2.5121))


def test_rank_stabilised_lora_is_scaled_by_the_root_of_the_rank(config, read):
    config["peft_lora_config"] |= {"lora_r": 16, "lora_alpha": 8, "use_rslora": True}
    lora = read(config).lora
    assert lora.alpha / lora.rank == 8 / math.sqrt(16)
    config["peft_lora_config"]["use_rslora"] = False
    assert read(config).lora == LoraSettings(16, 8.0)
    config["peft_lora_config"]["lora_enable"] = False
    assert read(config).lora is None


@pytest.mark.parametrize(
    ("section", "change", "hint"),
    [
        ("model_config", {"reward_token": "mean"}, r"reward_token = 'mean'"),
        ("model_config", {"output_dim": 2}, r"output_dim = 2"),
        ("model_config", {"reward_token": "last"}, r"needs output_dim = 3"),
        ("data_config", {"eval_dim": "Overall"}, r"eval_dim is \['Overall'\]"),
        ("data_config", {"eval_dim": ["TA", "MQ", "VQ"]}, r"only \['VQ', 'MQ', 'TA'\] is supported"),
        ("data_config", {"fps": -1.0}, r"sampling rate is -1\.0 fps"),
        ("data_config", {"fps": "two"}, r"value of the wrong kind"),
        ("data_config", {"max_frame_pixels": "many"}, r"value of the wrong kind"),
        ("data_config", {"num_frames": 1}, r"at least 2 frames"),
        ("peft_lora_config", {"lora_r": None}, r"value of the wrong kind"),
        ("inference_config", {"VQ_std": 0}, r"deviations .* positive"),
        ("inference_config", {"VQ_mean": float("nan")}, r"must be finite"),
        ("inference_config", {"MQ_mean": None}, r"value of the wrong kind"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_refused_by_name(config, read, section, change, hint):
    config[section] |= change
    with pytest.raises(CheckpointError, match=hint):
        read(config)


@pytest.mark.parametrize(
    ("section", "key", "hint"),
    [
        ("model_config", "model_name_or_path", "lacks 'model_name_or_path'"),
        ("peft_lora_config", "lora_alpha", "lacks 'lora_alpha'"),
        ("inference_config", "TA_std", "lacks 'TA_std'"),
        ("data_config", None, "no section 'data_config'"),
        ("model_config", None, "no section 'model_config'"),
    ],
)
def test_what_decides_the_scores_must_be_there(config, read, section, key, hint):
    if key:
        del config[section][key]
    else:
        del config[section]
    with pytest.raises(CheckpointError, match=hint):
        read(config)


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", '"text"'])
def test_a_damaged_file_is_refused(read, content):
    with pytest.raises(CheckpointError, match=r"model_config\.json (is not valid JSON|has no section)"):
        read(content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"is missing\. A VideoReward folder holds"):
        RewardSettings.from_model_config(tmp_path / "model_config.json")
