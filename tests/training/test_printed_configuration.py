"""``--print-config`` prints what is in effect: the printed file gives the same run as the options and the preset did."""

import pytest

from videoalign.cli.main import commands, load_command
from videoalign.cli.options import ConfigError, filled_in, parse_command
from videoalign.training.flow.presets import preset_names, preset_values
from videoalign.training.loop.run_length import run_length

REQUIRED = {
    "train latent-reward": ["--data.train=p.jsonl", "--model.trunk=t", "--model.vae=v", "--model.text-encoder=micro"],
    "train video-reward": ["--data.train=p.jsonl", "--model.base=b"],
}
FLOW = ["--data.train=p.jsonl", "--model.transformer=t", "--model.vae=v", "--model.text-encoder=micro"]
TRAINERS = [name for name in commands() if name.startswith("train ")]
GIVEN = [
    "--optimizer.learning-rate=1e-4",
    "--max-steps",
    "7",
    "--no-resume",
    "--log-with",
    "wandb",
    "--output",
    "a folder",
]


def printed(name, arguments, tmp_path, capsys):
    """The file that is printed, as a path, and its text."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        parse_command(load_command(name).Config, name, [*arguments, "--print-config"])
    text = capsys.readouterr().out
    file = tmp_path / "printed.toml"
    file.write_text(text, encoding="utf-8")
    return file, text


def parsed(name, *arguments):
    return parse_command(load_command(name).Config, name, list(map(str, arguments)))


def check_same(ours, expected, fewest=8):
    assert ours == expected
    for rows in (fewest, 5000):  # what was given is told apart from defaults, on which the length of a run depends
        assert run_length(ours, rows, 1e-5) == run_length(expected, rows, 1e-5)


@pytest.mark.parametrize("name", TRAINERS)
def test_the_printed_options_of_every_trainer_give_the_same_run(name, tmp_path, capsys):
    arguments = [*REQUIRED.get(name, FLOW), *GIVEN]
    file, text = printed(name, arguments, tmp_path, capsys)
    check_same(parsed(name, "--config", file), parsed(name, *arguments))
    assert "learning_rate = 0.0001" in text and "# save_every =" in text and "\nepochs" not in text
    file, _ = printed(name, REQUIRED.get(name, FLOW), tmp_path, capsys)
    check_same(parsed(name, "--config", file), parsed(name, *REQUIRED.get(name, FLOW)))


@pytest.mark.parametrize("name", [name for name in TRAINERS if name not in REQUIRED])
def test_every_preset_is_printed_with_its_values_and_gives_the_same_run_with_and_without_its_name(
    name, tmp_path, capsys
):
    for preset in preset_names():
        arguments = [*FLOW, "--preset", preset, "--data.width", "96", "--optimizer.learning-rate=1e-4"]
        expected = parsed(name, *arguments)
        file, text = printed(name, arguments, tmp_path, capsys)
        check_same(parsed(name, "--config", file), expected)
        file.write_text(text.replace(f'preset = "{preset}"', "# preset ="), encoding="utf-8")
        # Without the name a preset's batch is one that was given, which is not cut to fewer rows.
        fewest = preset_values(preset).get("batch_size", 8)
        check_same(parsed(name, "--config", file), expected.model_copy(update={"preset": None}), fewest)


def test_a_preset_put_into_a_file_that_was_printed_without_one_is_not_overruled_by_it(tmp_path, capsys):
    file, text = printed("train dpo", FLOW, tmp_path, capsys)
    file.write_text(text.replace("# preset =", 'preset = "wan2.1-14b-12gb"'), encoding="utf-8")
    config = parsed("train dpo", "--config", file)
    assert (config.data.width, config.memory.base_dtype) == (480, "nf4")


def test_a_file_and_options_over_it_are_printed_as_one(tmp_path, capsys):
    given = tmp_path / "given.toml"
    given.write_text('preset = "wan2.1-1.3b-12gb"\n[lora]\nrank = 3\nalpha = 5\n', encoding="utf-8")
    file, text = printed("train dpo", ["--config", str(given), "--lora.rank", "9"], tmp_path, capsys)
    assert "rank = 9" in text and "alpha = 5" in text and "offload_blocks = true" in text
    assert "# train =" in text  # nothing that is required was given, and it can be filled in
    assert parsed("train dpo", "--config", file, *FLOW) == parsed(
        "train dpo", "--config", given, "--lora.rank", "9", *FLOW
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "wan"], "there is no preset 'wan'"),
        (["--lora.rank", "none"], "lora.rank: input should be a valid integer"),
        (["--lora.rank", "0"], "lora.rank: input should be greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_in_the_place_of_a_file_that_cannot_be_used(arguments, said, tmp_path, capsys):
    with pytest.raises(ConfigError, match=said):
        parse_command(load_command("train dpo").Config, "train dpo", [*arguments, "--print-config"])


def test_every_command_prints_a_file_without_being_given_anything(capsys):
    for name in commands():
        with pytest.raises(SystemExit):
            parse_command(load_command(name).Config, name, ["--print-config"])
        assert filled_in(load_command(name).Config, {}, name) == {}
