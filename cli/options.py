"""One form of configuration for every command: a strict pydantic model, a TOML file, and command-line overrides.

The model is the manual: each field has a description with its unit, unknown keys are refused, and both the command
line's options and the documented TOML (``--print-config``) are made from it. Precedence: options, file, defaults.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import sys
import types
import typing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .suggestions import closest_option


class CommandConfig(BaseModel):
    """Base of all configurations: unknown keys are errors, values are checked."""

    model_config = ConfigDict(extra="forbid", validate_default=False)

    @classmethod
    def in_effect(cls, values: dict) -> dict:
        """What ``values``, as a file spells them, ask for: with what a preset among them sets. Required ones may be missing.

        Raises:
            ValueError: there is no such preset.
        """
        return values


def positional(**kwargs: typing.Any) -> typing.Any:
    """A field that the command line takes without an option name."""
    return Field(json_schema_extra={"positional": True}, **kwargs)


class ConfigError(Exception):
    """A configuration that cannot be used; the text says which key, what was found and what is allowed."""


def parse_command(config_class: type[CommandConfig], command: str, arguments: list[str]) -> CommandConfig:
    """Read the configuration of one command from its command line (and the TOML file that it names).

    Raises:
        ConfigError: an unknown key or a value out of range, in the file or on the command line.
        SystemExit: after ``--help`` or ``--print-config`` (0), or on an option that does not exist (2).
    """
    parser = argparse.ArgumentParser(
        prog=f"videoalign {command}",
        description=inspect.cleandoc(config_class.__doc__ or ""),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE.toml", help="Read options from a TOML file; options given here win.")
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="Print all options as a documented TOML file, with the given ones and a preset's filled in, and exit.",
    )
    _add_options(parser, config_class, ())
    # What follows -- are arguments, whatever they begin with; argparse itself takes them for options in some versions.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    # Intermixed: clips may stand before, between and after the options.
    known, unknown = parser.parse_known_intermixed_args(arguments[:end])
    given = vars(known)
    unknown += _take_positionals(parser, given, arguments[end + 1 :])
    file, print_config = given.pop("config"), given.pop("print_config")
    if unknown:
        raise ConfigError(f"videoalign {command}: " + _explain_argument(unknown[0], parser))
    values = read_toml(Path(file)) if file else {}
    for path, value in given.items():
        if value in (None, []):  # a positional that is not on the command line may stand in the file
            continue
        *sections, name = path.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{file}: '{section}' must be a section [{section}], got {target!r}")
        target[name] = value
    source = file or f"videoalign {command}"
    if print_config:
        sys.stdout.write(documented_toml(config_class, filled_in(config_class, values, source)))
        raise SystemExit(0)
    return validate(config_class, values, source)


def _take_positionals(parser: argparse.ArgumentParser, given: dict, words: list[str]) -> list[str]:
    """Put further arguments into the positionals of a command; returns those that it has no place for."""
    for action in parser._get_positional_actions():
        if action.nargs == "*":
            given[action.dest] = [*(given.get(action.dest) or []), *words]
            return []
        if words and given.get(action.dest) is None:
            given[action.dest] = words.pop(0)
    return words


def validate(config_class: type[CommandConfig], values: dict, source: str) -> CommandConfig:
    """Build a configuration; errors name ``source`` and the key.

    Raises:
        ConfigError: see the module's description.
    """
    try:
        return config_class.model_validate(values)
    except ValidationError as error:
        lines = [_explain(problem, config_class) for problem in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(lines)) from None


def filled_in(config_class: type[CommandConfig], values: dict, source: str) -> dict:
    """``values`` as they are in effect, of the options' own types. What is required may still be missing.

    Raises:
        ConfigError: see the module's description.
    """
    try:
        values = config_class.in_effect(values)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
    try:
        return _typed(config_class, values, config_class.model_validate(values))
    except ValidationError as error:
        # What is missing is for whoever fills in the printed file; only then can it be seen whether all goes together.
        wrong = [one for one in error.errors() if one["type"] != "missing" and one["loc"]]
        if wrong:
            raise ConfigError(f"{source}: " + "; ".join(_explain(one, config_class) for one in wrong)) from None
    return _typed(config_class, values, None)


def _typed(config_class: type[BaseModel], values: dict, config: BaseModel | None) -> dict:
    """The given values, taken from the configuration that they made or else converted one by one."""
    typed = {}
    for attribute, field in config_class.model_fields.items():
        name = field.alias or attribute
        if name not in values:
            continue
        value, inner = values[name], _model_of(field.annotation)
        if inner is not None and isinstance(value, dict):
            typed[name] = _typed(inner, value, None if config is None else getattr(config, attribute))
        elif config is not None:
            typed[name] = getattr(config, attribute)
        else:
            typed[name] = TypeAdapter(typing.Annotated[field.annotation, field]).validate_python(value)
    return typed


def documented_toml(config_class: type[CommandConfig], values: dict | None = None) -> str:
    """Every option with its description, as a TOML file that parses back to ``values``.

    Args:
        values: what is given, as ``filled_in`` makes it; all other options are comments that tell the default.
    """
    lines, sections = [f"# {line}".rstrip() for line in inspect.cleandoc(config_class.__doc__ or "").splitlines()], []
    _document(config_class, (), lines, sections, values or {})
    return "\n".join([*lines, *sections]).rstrip() + "\n"


def _document(
    config_class: type[BaseModel], path: tuple[str, ...], lines: list[str], sections: list[str], values: dict
) -> None:
    for name, field in _fields(config_class, command=not path):
        inner = _model_of(field.annotation)
        if inner is not None:
            section: list[str] = ["", f"[{'.'.join((*path, name))}]"]
            _document(inner, (*path, name), section, sections, values.get(name) or {})
            sections.extend(section)
            continue
        lines += ["", f"# {field.description or ''}".rstrip()]
        if values.get(name) is not None:
            lines.append(f"{name} = {_toml_value(values[name])}")
            continue
        default = field.get_default(call_default_factory=True)
        unset = default is None or default is PydanticUndefined
        lines.append(f"# {name} =" + ("" if unset else f" {_toml_value(default)}"))


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _add_options(parser: argparse.ArgumentParser, config_class: type[BaseModel], path: tuple[str, ...]) -> None:
    for name, field in _fields(config_class, command=not path):
        inner = _model_of(field.annotation)
        if inner is not None:
            _add_options(parser, inner, (*path, name))
            continue
        key = ".".join((*path, name))
        annotation = _plain(field.annotation)
        options: dict = {"dest": key, "default": argparse.SUPPRESS, "help": _help(field)}
        is_list = typing.get_origin(annotation) in (list, tuple)
        if (field.json_schema_extra or {}).get("positional"):
            options.pop("dest")
            parser.add_argument(key, nargs="*" if is_list else "?", metavar=name.upper(), **options)
            continue
        if annotation is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(annotation) is typing.Literal:
            options["metavar"] = "{" + ",".join(map(str, typing.get_args(annotation))) + "}"
        else:
            options["metavar"] = {int: "N", float: "X", Path: "PATH"}.get(annotation, "TEXT")
        if is_list:
            options["action"] = "append"
        parser.add_argument("--" + key.replace("_", "-"), **options)


def _fields(config_class: type[BaseModel], command: bool = False) -> list[tuple[str, FieldInfo]]:
    """Fields by the name that users write: an alias where pydantic uses the field's name itself (``json``).

    The fields that a command's class declares come before those that it inherits; a section's as they are declared.
    """
    declared = inspect.get_annotations(config_class) if command else config_class.model_fields
    fields = sorted(config_class.model_fields.items(), key=lambda item: item[0] not in declared)
    return [(field.alias or name, field) for name, field in fields]


def _help(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    text = field.description or ""
    if default not in (None, PydanticUndefined, [], (), False):
        text += f" Default: {default}."
    return text.replace("%", "%%")


def _plain(annotation: object) -> object:
    """``X | None`` -> X."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0] if kinds else annotation
    return annotation


def _model_of(annotation: object) -> type[BaseModel] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def read_toml(path: Path) -> dict:
    """The content of a TOML file.

    Raises:
        ConfigError: it is not there, or not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist. --print-config prints a file to start from.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text ({error}). Save it as UTF-8.") from None
    except (OSError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _explain_argument(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("-"):
        return f"unexpected argument '{argument}'"
    name = argument.split("=")[0]
    close = closest_option(name, parser._option_string_actions)
    return f"unknown option '{name}'" + (f" (did you mean '{close}'?)" if close else "")


def _explain(problem: dict, config_class: type[CommandConfig]) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        holder: type[BaseModel] | None = config_class
        for part in location[:-1]:
            holder = _model_of(holder.model_fields[part].annotation) if holder and part in holder.model_fields else None
        close = difflib.get_close_matches(location[-1], [name for name, _ in _fields(holder)] if holder else [], n=1)
        return f"unknown key '{key}'" + (f" (did you mean '{close[0]}'?)" if close else "")
    if problem["type"] == "missing":
        return "; ".join(_missing(config_class, location)) or f"{key}: field required"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
    return f"{key}: {message}{given}" if key else message


def _missing(config_class: type[BaseModel], location: list[str]) -> list[str]:
    """A sentence for each option that is required there, with its name on the command line and what it is."""
    holder: type[BaseModel] = config_class
    for index, part in enumerate(location):
        field = dict(_fields(holder)).get(part)
        if field is None:
            return []
        inner = _model_of(field.annotation)
        if index + 1 == len(location):
            if inner is None:
                return [_required(tuple(location), field)]
            return [
                sentence
                for name, one in inner.model_fields.items()
                if one.is_required()
                for sentence in _missing(config_class, [*location, one.alias or name])
            ]
        if inner is None:
            return []
        holder = inner
    return []


def _required(path: tuple[str, ...], field: FieldInfo) -> str:
    name = ".".join(path)
    if (field.json_schema_extra or {}).get("positional"):
        return f"{name}: field required"
    return f"{name}: field required; give --{name.replace('_', '-')}, or {name} in the file. {field.description or ''}".rstrip(
        " ."
    )
