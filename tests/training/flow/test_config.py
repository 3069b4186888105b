"""Options and presets: what is wrong is named, own options win over a preset."""

import sys

import pytest

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.cli.options import ConfigError, parse_command
from videoalign.training.flow.methods import method_summaries
from videoalign.training.flow.presets import TABLE, preset_names, preset_values
from videoalign.training.loop.run_length import RunLength, concerns, run_length
from videoalign.training.train_flow_command import train_command

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Config = train_command("dpo").Config

MODEL_FILES = ("transformer", "vae", "text_encoder")
NEEDED = ["--data.train", "p.jsonl", "--model.transformer", "m", "--model.vae", "v", "--model.text-encoder", "t"]

# 0.1.0: clip, rank, type of the frozen weights, blocks offloaded, optimizer
PRESETS = {
    "hunyuan-video-12gb": ("480x272x49@24", 64, "nf4", True, "adamw"),
    "hunyuan-video-16gb": ("480x272x49@24", 64, "nf4", True, "adamw"),
    "hunyuan-video-24gb": ("720x400x65@24", 64, "bfloat16", True, "adamw"),
    "hunyuan-video-80gb": ("960x544x97@24", 64, "bfloat16", False, "adamw"),
    "ltx-video-12gb": ("768x512x121@24", 64, "bfloat16", False, "adamw"),
    "ltx-video-16gb": ("768x512x121@24", 64, "bfloat16", False, "adamw"),
    "ltx-video-24gb": ("768x512x121@24", 64, "bfloat16", False, "adamw"),
    "ltx-video-80gb": ("768x512x121@24", 64, "bfloat16", False, "adamw"),
    "wan2.1-1.3b-12gb": ("832x480x81@16", 64, "bfloat16", True, "adamw"),
    "wan2.1-1.3b-16gb": ("832x480x81@16", 64, "bfloat16", False, "adamw"),
    "wan2.1-1.3b-24gb": ("832x480x81@16", 64, "bfloat16", False, "adamw"),
    "wan2.1-1.3b-80gb": ("832x480x81@16", 64, "bfloat16", False, "adamw"),
    "wan2.1-14b-12gb": ("480x272x49@16", 32, "nf4", True, "adamw8bit"),
    "wan2.1-14b-16gb": ("480x272x49@16", 64, "nf4", True, "adamw"),
    "wan2.1-14b-24gb": ("640x368x65@16", 64, "bfloat16", True, "adamw"),
    "wan2.1-14b-80gb": ("832x480x81@16", 64, "bfloat16", False, "adamw"),
    "wan2.2-a14b-12gb": ("480x272x49@16", 32, "nf4", True, "adamw8bit"),
    "wan2.2-a14b-16gb": ("480x272x49@16", 64, "nf4", True, "adamw"),
    "wan2.2-a14b-24gb": ("640x368x65@16", 64, "bfloat16", True, "adamw"),
    "wan2.2-a14b-80gb": ("832x480x81@16", 64, "bfloat16", False, "adamw"),
    "wan2.2-ti2v-5b-12gb": ("832x480x121@24", 64, "bfloat16", True, "adamw"),
    "wan2.2-ti2v-5b-16gb": ("832x480x121@24", 64, "float8", False, "adamw"),
    "wan2.2-ti2v-5b-24gb": ("1280x704x121@24", 64, "float8", False, "adamw"),
    "wan2.2-ti2v-5b-80gb": ("1280x704x121@24", 64, "bfloat16", False, "adamw"),
}  # fmt: skip
PRESETS |= {  # since then
    "hunyuan-video-1.5-12gb": ("640x368x81@24", 64, "bfloat16", True, "adamw"),
    "hunyuan-video-1.5-16gb": ("640x368x81@24", 64, "bfloat16", True, "adamw"),
    "hunyuan-video-1.5-24gb": ("848x480x121@24", 64, "bfloat16", True, "adamw"),
    "hunyuan-video-1.5-80gb": ("848x480x121@24", 64, "bfloat16", False, "adamw"),
    "ltx-2-12gb": ("768x512x121@24", 64, "nf4", True, "adamw"),
    "ltx-2-16gb": ("768x512x121@24", 64, "nf4", True, "adamw"),
    "ltx-2-24gb": ("1280x704x121@24", 64, "bfloat16", True, "adamw"),
    "ltx-2-80gb": ("1280x704x121@24", 64, "bfloat16", False, "adamw"),
}


def test_the_defaults_are_the_papers():
    config = parse_command(Config, "train dpo", NEEDED)
    assert (config.dpo.beta, config.dpo.reduction, config.dpo.beta_schedule) == (500, "mean", "constant")
    assert (config.lora.rank, config.lora.alpha, config.lora.dropout, config.lora.targets) == (64, 128, 0, "attention")
    assert (config.optimizer.learning_rate, config.batch_size, config.epochs) == (5e-6, 64, 1)
    assert (config.noise.timesteps, config.noise.shift) == ("uniform", 1.0)


def effective(config):
    data, memory = config.data, config.memory
    assert (config.batch_size, config.micro_batch_size, config.precision) == (64, 1, "bfloat16")
    assert memory.gradient_checkpointing and config.lora.alpha == 2 * config.lora.rank
    clip = f"{data.width}x{data.height}x{data.frames}@{data.fps:g}"
    return clip, config.lora.rank, memory.base_dtype, memory.offload_blocks, config.optimizer.kind


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_every_method_what_it_gave_in_0_1_0(name):
    for method in method_summaries():
        config = parse_command(train_command(method).Config, "train", [*NEEDED, "--preset", name])
        assert effective(config) == PRESETS[name]
        assert config.data.train[0].name == "p.jsonl"


def test_the_micro_preset_fits_too():
    config = parse_command(Config, "train dpo", [*NEEDED, "--preset", "micro"])
    assert (config.max_steps, config.batch_size, config.micro_batch_size, config.eval_every) == (60, 24, 24, None)
    assert (config.data.width, config.data.height, config.data.frames, config.data.fps) == (64, 64, 17, 8)
    assert (config.precision, config.memory.base_dtype, config.lora.dtype) == ("float32",) * 3
    assert (config.lora.rank, config.lora.alpha, config.optimizer.learning_rate) == (16, 32, 3e-4)
    assert not config.tensorboard and not config.memory.gradient_checkpointing


def test_the_micro_preset_knows_its_model_unless_another_one_is_given():
    config = parse_command(Config, "train dpo", ["--preset", "micro", "--data.train", "p.jsonl"])
    assert config.model.transformer == MICRO_NETWORK and config.model.vae == MICRO_VAE
    assert (config.model.text_encoder, config.model.name) == ("micro", "videoalign-micro")
    other = parse_command(Config, "train dpo", ["--preset", "micro", *NEEDED])
    assert (str(other.model.transformer), str(other.model.vae), other.model.name) == ("m", "v", None)
    with pytest.raises(ConfigError, match=r"--model\.vae"):
        parse_command(Config, "train dpo", ["--preset", "micro", "--data.train", "p.jsonl", "--model.transformer", "m"])


def test_the_micro_presets_anchor_is_of_rvm_alone_and_an_own_one_wins():
    needed = ["--preset", "micro", "--data.train", "p.jsonl", "--data.clips", "c.jsonl"]
    rvm = train_command("rvm").Config
    assert parse_command(rvm, "train rvm", needed).rvm.anchor == 0.1
    assert parse_command(rvm, "train rvm", [*needed, "--rvm.anchor", "0.02", "--rvm.scale", "0.2"]).rvm.anchor == 0.02
    assert parse_command(rvm, "train rvm", [*needed[2:], *NEEDED]).rvm.anchor == 1e-3  # the paper's
    for method in set(method_summaries()) - {"rvm"}:
        assert not hasattr(parse_command(train_command(method).Config, "train", needed[:4]), "rvm")


def test_the_batch_of_a_preset_is_cut_to_the_rows_and_one_that_is_given_is_not():
    for given, steps in (([], RunLength(60, 15)), (["--batch-size", "32"], RunLength(60, 32))):
        config = parse_command(Config, "train dpo", [*NEEDED, "--preset", "micro", *given])
        assert run_length(config, 15, config.optimizer.learning_rate) == steps
        assert len(concerns(config, steps, 15, config.optimizer.learning_rate)) == len(given) // 2


def test_no_preset_of_the_table_repeats_another_of_its_model_or_a_default():
    contents = [(name.rpartition("-")[0], preset_values(name)) for name in tomllib.loads(TABLE.read_text())]
    assert all(contents.count(content) == 1 for content in contents)
    needed = {"data": {"train": ["p"]}, "model": dict.fromkeys(MODEL_FILES, "m")}
    defaults = {}
    for method in method_summaries():  # each has a section of its own
        defaults |= train_command(method).Config.model_validate(needed).model_dump()
    for name, values in contents:
        for key, value in values.items():
            pairs = (
                [(value[k], defaults[key][k]) for k in value] if isinstance(value, dict) else [(value, defaults[key])]
            )
            assert all(given != default for given, default in pairs), (name, key)


def test_there_is_a_preset_for_every_model_and_size_of_gpu():
    assert set(preset_names()) == {"micro", *PRESETS}


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
        parse_command(Config, "train dpo", [*NEEDED, "--lora.dropout", "0.1", "--dpo.backward", "split"])
    for given in ([], ["--dpo.backward", "joint"]):
        parse_command(Config, "train dpo", [*NEEDED, "--lora.dropout", "0.1", *given])


def test_a_misspelt_key_is_named():
    with pytest.raises(ConfigError, match=r"--dpo\.beta-schedule"):
        parse_command(Config, "train dpo", [*NEEDED, "--dpo.beta-schedul", "squared"])
