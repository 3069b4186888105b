"""The pack's scripts as text: what one takes from another is there, and nothing is offered that nobody takes."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"
TEXTS = {
    path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir() if path.suffix in (".js", ".html", ".css")
}
SCRIPTS = sorted(name for name in TEXTS if name.endswith(".js"))


def names(listed: str) -> set[str]:
    return {name.strip() for name in listed.split(",") if name.strip()}


def imports(name: str) -> dict[str, set[str]]:
    """File of ours -> the names that a script or page takes from it."""
    taken: dict[str, set[str]] = {}
    for listed, file in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', TEXTS[name]):
        taken.setdefault(file, set()).update(names(listed))
    return taken


def exports(name: str) -> set[str]:
    single = set(re.findall(r"^export (?:async )?(?:function|const|let|class) (\w+)", TEXTS[name], re.M))
    return single.union(*(names(listed) for listed in re.findall(r"^export \{([^}]*)\}", TEXTS[name], re.M)))


@pytest.mark.parametrize("name", [*SCRIPTS, "choose_page.html"])
def test_what_a_script_takes_from_another_is_exported_there(name):
    missing = {file: taken - exports(file) for file, taken in imports(name).items()}
    assert not any(missing.values()), missing


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_exported_that_nobody_takes(name):
    taken = set().union(*(imports(other).get(name, set()) for other in TEXTS))
    assert exports(name) <= taken


@pytest.mark.parametrize(("sheet", "least"), [("videoalign.css", 40), ("compare.css", 20)])
def test_every_class_of_a_style_sheet_is_given_to_something(sheet, least):
    scripts = "".join(text for name, text in TEXTS.items() if not name.endswith(".css"))
    classes = set(re.findall(r"\.(videoalign-[a-z_-]+)", TEXTS[sheet]))
    assert len(classes) > least
    assert not {name for name in classes if name not in scripts}
