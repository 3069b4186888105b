"""Scripts of ``web/`` inside a page: a page that lies in a folder may not load modules from files beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

WEB = Path(__file__).parents[1] / "web"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const|let|class) (\w+))", re.MULTILINE)


def inline_script(name: str) -> Markup:
    """A module of ``web/`` and all that it imports as one text; what it exports are constants there.

    Each module is a function of its own, so that their private names do not meet.

    Raises:
        ValueError: an import or export that is written otherwise than the files of web/ do, or the end of a script element.
    """
    from markupsafe import Markup

    texts: dict[str, str] = {}
    exported = _add(name, texts)
    whole = "\n".join([*texts.values(), f"const {{ {', '.join(exported)} }} = {_variable(name)};\n"])
    if "</script" in whole.lower() or "<!--" in whole:
        raise ValueError(f"{name} or what it imports ends a script element, and cannot lie in one.")
    return Markup(whole)


def inline_style(name: str) -> Markup:
    """A style sheet of ``web/``."""
    from markupsafe import Markup

    return Markup((WEB / name).read_text(encoding="utf-8"))


def _add(name: str, texts: dict[str, str]) -> list[str]:
    """Put a module's text behind those of its imports; returns what it exports."""
    source = (WEB / name).read_text(encoding="utf-8")
    for other in dict.fromkeys(_IMPORT.findall(source)):
        if other[1] not in texts:
            _add(other[1], texts)
    exported = [found[1] for found in _EXPORT.findall(source)]
    body = _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_variable(found[2])};\n", source)
    body = _EXPORT.sub(r"\1", body)
    if re.search(r"^(import|export)\b", body, re.MULTILINE):
        raise ValueError(f"{name} imports or exports in a form that cannot lie inside a page.")
    texts[name] = f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();"
    return exported


def _variable(name: str) -> str:
    return "module_" + re.sub(r"\W", "_", name)
