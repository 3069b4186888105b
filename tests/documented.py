"""The examples of docs/extending.md as files: what the page shows is what the tests run."""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"


def example(name: str) -> str:
    """The code that the page shows as the file ``name``."""
    shown = re.search(
        rf"^`{re.escape(name)}`[^\n]*:\n\n```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    assert shown, f"{PAGE.name} shows no {name}"
    return shown[1]


def load_example(name: str) -> ModuleType:
    """That file as a module, imported anew from a folder of its own."""
    path = Path(tempfile.mkdtemp(prefix="documented-")) / name
    path.write_text(example(name), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as an ordinary import does; a method's help is its module's docstring
    spec.loader.exec_module(module)
    return module
