"""The losses that ``videoalign train NAME`` knows: a file each, which belongs to them by lying here.

A file NAME.py has the model of the loss's options, a class of ``method.Method`` called NAME, and ``METHOD``, that class. The
first line of its docstring is what ``videoalign --help`` says about it. A loss of another package is added with
``register_method``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import VideoAlignError

if TYPE_CHECKING:
    from ..method import Method

_registered: dict[str, type[Method]] = {}


def method_summaries() -> dict[str, str]:
    """Name of each method -> what it does in a line. No method is imported for it (each needs torch)."""
    texts = {**_docstrings(), **{name: method_help(method) for name, method in _registered.items()}}
    return {name: text.partition("\n")[0] for name, text in texts.items()}


def load_method(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        VideoAlignError: there is none of this name; the message lists what there is.
    """
    if name in _registered:
        return _registered[name]
    if name not in _docstrings():
        raise VideoAlignError(f"There is no training method '{name}'; known are {', '.join(method_summaries())}.")
    return importlib.import_module(f".{name}", __name__).METHOD


def register_method(method: type[Method]) -> type[Method]:
    """Make ``videoalign train NAME`` of a class of another package, for this process; also as a decorator.

    Raises:
        VideoAlignError: it has no name that an option can begin with, or another method has this name.
    """
    name = getattr(method, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise VideoAlignError(
            f"{method.__qualname__}.name is {name!r}; a method's name is a word of letters, digits and _."
        )
    # A module that is run a second time, as a script does with itself, brings its class again.
    known = _registered.get(name)
    if name in _docstrings() or (known and known.__qualname__ != method.__qualname__):
        raise VideoAlignError(f"There is a training method '{name}' already; call {method.__qualname__} another name.")
    _registered[name] = method
    return method


def method_help(method: type[Method]) -> str:
    """What the command says about a method: the docstring of its module, or the class's where that has none."""
    return inspect.cleandoc(sys.modules[method.__module__].__doc__ or method.__doc__ or "")


@cache
def _docstrings() -> dict[str, str]:
    """Name of each file of this room -> its docstring."""
    files = sorted(file for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))
    return {file.stem: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "" for file in files}
