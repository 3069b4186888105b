"""Configuration is strict: a typo is an error that names the key, and every option is documented."""

import sys
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from videoalign.cli.options import CommandConfig, ConfigError, documented_toml, parse_command, positional, validate
from videoalign.evaluation import score_command
from videoalign.reward import convert_command

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Optimiser(CommandConfig):
    rate: float = Field(1e-5, gt=0, description="Learning rate.")
    betas: list[float] = Field([0.9, 0.95], description="Decay of the two moments.")


class Sample(CommandConfig):
    """A configuration with every kind of option."""

    inputs: list[str] = positional(default=[], description="Files.")
    name: str = Field('a "quoted" \\ name\nin two lines', description="Text.")
    steps: int = Field(10, ge=1, description="Number of steps.")
    kind: Literal["small", "large"] = Field("small", description="Size, 100 % of it.")
    folder: Path | None = Field(None, description="Where to write.")
    as_json: bool = Field(False, alias="json", description="Print JSON.")
    optimiser: Optimiser = Optimiser()


class OneFile(CommandConfig):
    """A command that needs one file."""

    file: Path = positional(description="The file.")


def parse(*arguments, config=Sample):
    return parse_command(config, "sample", [str(argument) for argument in arguments])


def refused(*arguments, config=Sample):
    with pytest.raises(ConfigError) as caught:
        parse(*arguments, config=config)
    return str(caught.value)


def toml(tmp_path, text):
    path = tmp_path / "sample.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_options_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    file = toml(tmp_path, 'steps = 20\nkind = "large"\njson = true\n[optimiser]\nrate = 0.5\nbetas = [0.1]\n')
    config = parse("--config", file, "--steps", 30, "--no-json", "--optimiser.betas", 0.2, "--optimiser.betas", 0.3)
    assert (config.steps, config.kind, config.as_json, config.folder) == (30, "large", False, None)
    assert (config.optimiser.rate, config.optimiser.betas) == (0.5, [0.2, 0.3])


def test_positional_arguments_stand_in_the_file_or_anywhere_on_the_command_line(tmp_path):
    file = toml(tmp_path, 'inputs = ["a.mp4"]')
    assert parse("--config", file).inputs == ["a.mp4"]
    assert parse("x", "--config", file, "y", "--steps", 3, "z").inputs == ["x", "y", "z"]
    assert parse("--config", toml(tmp_path, 'file = "a"'), config=OneFile).file == Path("a")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("stepz = 3", "unknown key 'stepz' (did you mean 'steps'?)"),
        ("[optimiser]\nrat = 3", "unknown key 'optimiser.rat' (did you mean 'rate'?)"),
        ("as_json = true", "unknown key 'as_json'"),
        ("[nonsense_of_mine]\nx = 1", "unknown key 'nonsense_of_mine'"),
        ("steps = 0", "steps: input should be greater than or equal to 1, got 0"),
        ('steps = "many"', "steps: input should be a valid integer"),
        ('kind = "huge"', "kind: input should be 'small' or 'large', got 'huge'"),
        ("steps = ", "is not valid TOML"),
        ("optimiser = 3", "optimiser: "),
    ],
)
def test_a_wrong_key_or_value_in_the_file_is_named(tmp_path, text, named):
    file = toml(tmp_path, text)
    message = refused("--config", file)
    assert named in message
    assert str(file) in message


def test_an_option_into_a_section_that_the_file_spells_as_a_value_is_an_error(tmp_path):
    assert "'optimiser' must be a section" in refused(
        "--config", toml(tmp_path, "optimiser = 3"), "--optimiser.rate", 1
    )


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    assert parse("--config", toml(tmp_path, "\ufeffsteps = 3")).steps == 3


def test_a_missing_file_is_named():
    assert "nowhere.toml does not exist" in refused("--config", "nowhere.toml")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--stepz", "3"], "unknown option '--stepz' (did you mean '--steps'?)"),
        (["--optimiser.rat=3"], "unknown option '--optimiser.rat' (did you mean '--optimiser.rate'?)"),
        (["--step", "3"], "unknown option '--step'"),  # abbreviations would change their meaning with new options
        (["--steps", "many"], "steps: input should be a valid integer"),
        (["--optimiser.rate", "nan"], "optimiser.rate: input should be greater than 0, got 'nan'"),
    ],
)
def test_a_wrong_option_on_the_command_line_is_named(arguments, named):
    assert named in refused(*arguments)


def test_a_missing_or_surplus_positional_argument_is_an_error():
    assert "file: field required" in refused(config=OneFile)
    assert "unexpected argument 'b'" in refused("a", "b", config=OneFile)


def test_after_two_dashes_everything_is_an_argument():
    config = parse("x", "--steps", 3, "--", "-lead.mp4", "--json", "--", "y")
    assert (config.inputs, config.steps, config.as_json) == (["x", "-lead.mp4", "--json", "--", "y"], 3, False)
    assert parse("--", "-lead.mp4").inputs == ["-lead.mp4"]
    assert parse("--").inputs == [] and parse("--steps", 3, "--", "a").inputs == ["a"]
    assert parse("--", "-file", config=OneFile).file == Path("-file")
    assert "unexpected argument 'b'" in refused("a", "--", "b", config=OneFile)


@pytest.mark.parametrize("config", [Sample, score_command.Config, convert_command.Config])
def test_the_printed_configuration_parses_back_to_the_defaults(config):
    printed = tomllib.loads(documented_toml(config))
    for name, field in config.model_fields.items():
        if field.is_required():
            assert name not in printed
            assert f"# {name} =" in documented_toml(config)
    required = {name: "x" for name, field in config.model_fields.items() if field.is_required()}
    inputs = {"clips": ["a.mp4"], "model": "x"} if config is score_command.Config else {}
    assert validate(config, {**printed, **required, **inputs}, "printed") == config(**required, **inputs)


@pytest.mark.parametrize("config", [Sample, OneFile])
def test_print_config_prints_a_file_that_the_command_reads_and_exits(config, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("--print-config", config=config)
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    inputs = ["a"] if config is OneFile else []
    assert parse("--config", toml(tmp_path, printed), *inputs, config=config) == parse(*inputs, config=config)


@pytest.mark.parametrize("config", [Sample, score_command.Config, convert_command.Config])
def test_every_option_is_described_in_help_and_in_the_printed_file(config, capsys):
    with pytest.raises(SystemExit):
        parse("--help", config=config)
    shown = " ".join(capsys.readouterr().out.split())
    printed = documented_toml(config)
    sections = [field.annotation for field in config.model_fields.values() if isinstance(field.default, CommandConfig)]
    for holder in (config, *sections):
        for field in holder.model_fields.values():
            if not isinstance(field.default, CommandConfig):
                assert field.description
                assert f"# {field.description}" in printed
                assert field.description.split("; ")[0].split("/")[0] in shown


def test_errors_of_a_nested_section_say_which_section():
    message = refused(
        "a.mp4", "--model", "m", "--sampling.fps", 1, "--sampling.num-frames", 4, config=score_command.Config
    )
    assert "sampling: fps and num_frames exclude each other; give one of them" in message


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "give either clips or --manifest"),
        (["a.mp4", "--manifest", "rows.csv"], "give either clips or --manifest"),
        (["--manifest", "rows.csv", "--prompt", "x"], "captions come from the manifest"),
        (["a.mp4", "--captions-from-txt", "--prompt", "x"], "exclude each other"),
        (["a.mp4", "--fps", "0"], "fps: input should be greater than 0"),
        (["a.mp4", "--batch-size", "0"], "batch_size: input should be greater than or equal to 1"),
    ],
)
def test_score_refuses_options_that_contradict_each_other(arguments, named):
    assert named in refused("--model", "m", *arguments, config=score_command.Config)


def test_a_configuration_cannot_be_made_with_an_unknown_key_in_code_either():
    with pytest.raises(ValidationError):
        Sample(stepz=3)


def test_what_is_missing_is_named_as_an_option_with_what_it_is():
    class Inner(CommandConfig):
        train: list[Path] = Field(description="Preference files.")
        width: int = Field(5, description="Width.")

    class Outer(CommandConfig):
        """A command that needs a section."""

        data: Inner
        out_file: Path = Field(description="Where to write.")

    message = refused(config=Outer)
    assert "data.train: field required; give --data.train, or data.train in the file. Preference files; " in message
    assert "out_file: field required; give --out-file" in message and "width" not in message
    assert "data.train: field required" in refused("--data.width", "3", "--out-file", "x", config=Outer)
