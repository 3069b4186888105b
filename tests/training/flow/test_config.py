"""Options and presets: what is wrong is named, own options win over a preset."""

import pytest

from videoalign.cli.options import ConfigError, parse_command
from videoalign.training.flow.methods import method_summaries
from videoalign.training.flow.presets import preset_names, preset_values
from videoalign.training.train_flow_command import train_command

Config = train_command("dpo").Config

NEEDED = ["--data.train", "p.jsonl", "--model.transformer", "m", "--model.vae", "v", "--model.text-encoder", "t"]


def test_the_defaults_are_the_papers():
    config = parse_command(Config, "train dpo", NEEDED)
    assert (config.dpo.beta, config.dpo.reduction, config.dpo.beta_schedule) == (500, "mean", "constant")
    assert (config.lora.rank, config.lora.alpha, config.lora.dropout, config.lora.targets) == (64, 128, 0, "attention")
    assert (config.optimizer.learning_rate, config.batch_size, config.epochs) == (5e-6, 64, 1)
    assert (config.noise.timesteps, config.noise.shift) == ("uniform", 1.0)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_fits_the_options_of_every_method(name):
    for method in method_summaries():
        config = parse_command(train_command(method).Config, "train", [*NEEDED, "--preset", name])
        assert config.data.width == preset_values(name)["data"]["width"]
        assert config.data.train[0].name == "p.jsonl"


def test_there_is_a_preset_for_every_model_and_size_of_gpu():
    models = {"wan2.1-1.3b", "wan2.1-14b", "wan2.2-a14b", "wan2.2-ti2v-5b", "ltx-video", "hunyuan-video"}
    sizes = {f"{model}-{size}gb" for model in models for size in (12, 16, 24, 80)}
    assert set(preset_names()) == {"micro"} | sizes


def test_own_options_win_over_a_preset_and_an_unknown_preset_names_the_nearest():
    config = parse_command(
        Config, "train dpo", [*NEEDED, "--preset", "wan2.1-14b-24gb", "--data.width", "320", "--lora.rank", "8"]
    )
    assert (config.data.width, config.lora.rank) == (320, 8)
    assert config.memory.offload_blocks
    with pytest.raises(ConfigError, match=r"did you mean 'wan2\.1-14b-24gb'"):
        parse_command(Config, "train dpo", [*NEEDED, "--preset", "wan2.1-14b-24g"])


def test_dropout_is_refused_where_a_clip_is_run_twice():
    with pytest.raises(ConfigError, match="joint"):
        parse_command(Config, "train dpo", [*NEEDED, "--lora.dropout", "0.1"])
    parse_command(Config, "train dpo", [*NEEDED, "--lora.dropout", "0.1", "--dpo.backward", "joint"])


def test_a_misspelt_key_is_named():
    with pytest.raises(ConfigError, match=r"--dpo\.beta-schedule"):
        parse_command(Config, "train dpo", [*NEEDED, "--dpo.beta-schedul", "squared"])
