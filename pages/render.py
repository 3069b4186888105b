"""Fills a page's template. Every value is text for it, never markup: a prompt may hold anything."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.atomic_file import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """A page as text.

    Args:
        template: file name in ``templates/``.
        values: what it shows; a name that the template uses and that is missing here is an error (jinja2.UndefinedError).
    """
    return _environment().get_template(template).render(**values)


def write_page(path: Path, template: str, **values: object) -> Path:
    """Put a page into a file, whole or not at all; returns its path. The arguments are those of `render`.

    Raises:
        FileError: it cannot be written.
    """
    write_text(path, render(template, **values))
    return Path(path)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
