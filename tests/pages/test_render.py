"""Templates: what a stranger's text does to a page, what a page needs, and whether it can be read."""

import html.parser
import itertools
import json
import re

import jinja2
import pytest

from videoalign.pages.render import TEMPLATES, _environment, render, write_page

HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(2)> \"quotes\" 'single' & &amp; \u2028\u2029 \x00 {{ 7 * 7 }} {% raw %}"
PAGES = ("compare.html.j2", "curves.html.j2", "demo.html.j2", "filmstrip.html.j2")


class Reader(html.parser.HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words += data


def from_template(source: str, **values) -> str:
    return _environment().from_string(source).render(**values)


def test_text_stays_text_in_the_body_and_in_attributes():
    page = Reader(from_template("<p title=\"{{ text }}\" data-x='{{ text }}'>{{ text }}</p>", text=HOSTILE))
    assert page.tags == [("p", {"title": HOSTILE, "data-x": HOSTILE})]
    assert page.words == HOSTILE


def test_values_in_a_script_are_json_that_does_not_end_it():
    values = {"prompt": HOSTILE, "list": [1, None, "<!--"]}
    text = from_template("<script>const values = {{ values | tojson }};</script>", values=values)
    inside = text.removeprefix("<script>const values = ").removesuffix(";</script>")
    assert json.loads(inside) == values
    assert not re.search("[<>&'\u2028\u2029]", inside)  # none of them may stand in a script as it is


def test_a_name_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="title"):
        render("open.html.j2", url="http://127.0.0.1/")


def test_a_page_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "page.html"
    assert write_page(path, "open.html.j2", url="x", title="\ud800 lone surrogate") == path
    before = path.read_bytes()
    with pytest.raises(jinja2.UndefinedError):
        write_page(path, "open.html.j2")
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", [path.name for path in sorted(TEMPLATES.iterdir())])
def test_no_template_switches_escaping_off_or_asks_the_network(name):
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)
    assert not re.search(r"https?:|@import|url\((?!\s*data:)", text.replace('"0; url={{ url }}"', ""))


@pytest.mark.parametrize("name", PAGES)
def test_every_page_begins_with_its_doctype_and_works_on_a_small_screen(name):
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    assert '{% extends "base.html.j2" %}' in source
    page = render("base.html.j2", title=HOSTILE)
    assert page.startswith("<!doctype html>\n<html") and 'name="viewport"' in page
    assert [tag for tag, _ in Reader(page).tags].count("script") == 0


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2, "relative luminance")."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_a_contrast_of_at_least_4_5(scheme):
    assert contrast("#000", "#fff") == pytest.approx(21)
    light, dark = re.findall(r":root \{(.+?)\}", (TEMPLATES / "page.css").read_text(encoding="utf-8"), re.S)
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", light if scheme == "light" else dark))
    assert set(colours) == set(dict(re.findall(r"--([\w-]+): (#\w+);", light)))
    grounds = ("ground", "card")
    curves = [name for name in colours if name.startswith("curve-")]
    assert len(curves) == 8
    pairs = [*itertools.product(("text", "muted", "good", "bad", *curves), grounds)]
    pairs += [("text", "warning"), ("on-mark", "good"), ("on-mark", "bad")]
    low = {pair: ratio for pair in pairs if (ratio := contrast(*(colours[name] for name in pair))) < 4.5}
    assert not low
