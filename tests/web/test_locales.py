"""Chinese and Japanese say what English says: the same nodes and sockets, numbers, file names, options, code and headings."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "web" / "docs"
LANGUAGES = ("zh", "ja")
UNTRANSLATED = {"VQ", "MQ", "TA", "Overall", "top_k", "min_VQ", "min_MQ", "min_TA", "fps", "eta"}
OPTIONS = re.compile(r"\b(?:auto|default|cpu|b?float(?:16|32)|unit-free|raw)\b", re.A | re.I)
NUMBERS = re.compile(r"\d+(?:\.\d+)?", re.A)
CODE = re.compile(r"`([^`]+)`")
QUOTED = re.compile(r"(?<!\w)'([^']+)'")


def locale(language: str) -> dict:
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))


def page(node: str, language: str = "en") -> str:
    """English is the page that the frontend falls back to, for every language without one of its own."""
    path = DOCS / f"{node}.md" if language == "en" else DOCS / node / f"{language}.md"
    return path.read_text(encoding="utf-8")


WORDS = {language: locale(language) for language in ("en", *LANGUAGES)}
NODES = sorted(WORDS["en"])
both_languages = pytest.mark.parametrize("language", LANGUAGES)
every_page = pytest.mark.parametrize("node", NODES)


def strings(words: dict, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """Every string of a locale by its place, as (node, "inputs", socket, "tooltip")."""
    found: dict[tuple[str, ...], str] = {}
    for key, value in words.items():
        found.update({(*place, key): value} if isinstance(value, str) else strings(value, (*place, key)))
    return found


def sockets(node: str, language: str) -> list[tuple[str, str]]:
    """(name in English, name in the language) of a node's inputs and outputs."""
    english, words = WORDS["en"][node], WORDS[language][node]
    return [
        (english[side][key]["name"], words[side][key]["name"])
        for side in ("inputs", "outputs")
        for key in english[side]
    ]


def kept(text: str) -> set[str]:
    """Words that no language translates: types and names (two capitals), file names, endings, folders and identifiers."""
    words = set(re.findall(r"\.?\w+(?:[./]\w+)*", text, re.A))
    return {
        word for word in words if re.search(r"[A-Z]\w*[A-Z]|[._/]", word) and not re.fullmatch(r"[\d./]+", word, re.A)
    }


def missing_node_names(english: str, translated: str, language: str) -> list[str]:
    """Nodes that the English text names and the other does not, or names in English."""
    wrong = []
    translated = re.sub(r"\(pictures/\w+\.webp\)", "", translated)  # a file's name is no word
    for node in NODES:
        name = WORDS["en"][node]["display_name"].split(" (")[0]
        own = re.split("\uff08", WORDS[language][node]["display_name"])[0]  # a full-width bracket
        if name in translated or (name in english and own not in translated):
            wrong.append(name)
    return wrong


def unspaced(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@both_languages
def test_a_locale_has_exactly_the_nodes_and_sockets_of_english(language):
    assert strings(WORDS[language]).keys() == strings(WORDS["en"]).keys()


@both_languages
def test_everything_is_translated_but_names(language):
    english, translated = strings(WORDS["en"]), strings(WORDS[language])
    same = {place for place, text in translated.items() if text == english[place]}
    assert {translated[place] for place in same} <= UNTRANSLATED
    assert not [place for place in same if place[-1] != "name"]
    letters = {"zh": "[\u4e00-\u9fff]", "ja": "[\u3040-\u30ff]"}[language]
    sentences = {place: text for place, text in translated.items() if place[-1] in ("tooltip", "description")}
    assert not [place for place, text in sentences.items() if not re.search(letters, text)]
    assert language == "ja" or not [place for place, text in translated.items() if re.search("[\u3041-\u30fa]", text)]


@both_languages
def test_nodes_and_the_sockets_of_a_node_have_names_of_their_own(language):
    words = WORDS[language]
    assert len({made["display_name"] for made in words.values()}) == len(words)
    for node, made in words.items():
        for side in ("inputs", "outputs"):
            names = [socket["name"] for socket in made[side].values()]
            assert len(set(names)) == len(names), node


@both_languages
def test_numbers_options_files_and_types_are_those_of_english(language):
    translated = strings(WORDS[language])
    for place, text in strings(WORDS["en"]).items():
        if place[-1] == "name":
            continue
        other = translated[place]
        for pattern in (NUMBERS, OPTIONS, CODE):
            assert Counter(pattern.findall(other.lower())) == Counter(pattern.findall(text.lower())), place
        if place[-1] != "display_name":
            assert not {word for word in kept(QUOTED.sub("", text)) if word not in other}, place
        assert not missing_node_names(text, other, language), place


@both_languages
def test_what_english_quotes_is_quoted_or_the_name_of_a_socket(language):
    names: dict[str, set[str]] = {}
    for node in NODES:
        for english, own in sockets(node, language):
            names.setdefault(english, set()).add(own)
    translated = strings(WORDS[language])
    quotes = [(place, quoted) for place, text in strings(WORDS["en"]).items() for quoted in QUOTED.findall(text)]
    assert len(quotes) > 5
    for place, quoted in quotes:
        assert any(name in translated[place] for name in names.get(quoted, {quoted})), (place, quoted)


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_string_has_a_character_that_the_frontends_messages_give_a_meaning(language):
    """vue-i18n reads { } as a place to fill, | as a plural and @ as a link."""
    assert not [place for place, text in strings(WORDS[language]).items() if re.search("[{}|@$]", text)]


def test_every_node_has_a_page_in_every_language_and_no_page_is_left_over():
    assert {path.stem for path in DOCS.glob("*.md")} == set(NODES)
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.glob("*/*.md")} == {
        f"{node}/{language}.md" for node in NODES for language in LANGUAGES
    }


@every_page
@both_languages
def test_a_page_has_the_form_of_the_english_one(node, language):
    english, translated = page(node), page(node, language)
    for shape in (r"^(#+) ", r"^(-) ", r"^(\|)", r"(pictures/[\w.]+)"):
        assert re.findall(shape, translated, re.M) == re.findall(shape, english, re.M), shape
    assert english.startswith(f"# {WORDS['en'][node]['display_name']}\n")
    assert translated.startswith(f"# {WORDS[language][node]['display_name']}\n")


@every_page
@both_languages
def test_a_page_has_the_code_numbers_and_names_of_the_english_one(node, language):
    english, translated = page(node), page(node, language)
    assert commands(translated) == commands(english)
    for pattern in (NUMBERS, CODE):
        assert Counter(map(unspaced, pattern.findall(translated))) == Counter(map(unspaced, pattern.findall(english)))
    assert not {word for word in kept(english) if word not in translated}
    assert not missing_node_names(unspaced(english), translated, language)


def commands(text: str) -> list[str]:
    """Lines of code blocks; what stands two spaces behind a command is a remark."""
    return [re.split(" {2,}", line.strip())[0] for line in text.splitlines() if line.startswith("    ")]


@every_page
@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_a_page_names_every_socket_as_the_node_shows_it_and_as_english_does(node, language):
    text = page(node, language).replace("candidate0", "candidates")
    assert not [names for names in sockets(node, language) if not all(name in text for name in names)]


@both_languages
def test_the_words_that_the_micro_model_knows_stay_english(language):
    items = [re.findall(r"^- \*\*\w+\*\*(?:: |\uff1a)(.+)$", text, re.M) for text in micro_pages(language)]
    assert items[0] == items[1]
    assert len(items[0]) == 5


def micro_pages(language: str) -> tuple[str, str]:
    return page("VideoAlignMicroCaption"), page("VideoAlignMicroCaption", language)


@every_page
@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_stars_become_emphasis(node, language):
    """CommonMark: a star between punctuation inside and a letter outside, as often without spaces, stays a star."""
    for line in re.sub(r"`[^`]+`", "x", page(node, language)).split("\n\n"):
        pieces = re.split(r"\*+", line)
        assert len(pieces) % 2, line
        for before, inside, after in zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False):
            assert inside == inside.strip() != "", line
            assert inside[0].isalnum() or not before[-1:].isalnum(), line
            assert inside[-1].isalnum() or not after[:1].isalnum(), line


def test_the_pictures_are_small_and_each_is_in_a_page():
    """The frontend reads a picture's path from web/docs/, whatever the page's language and the pack's folder are."""
    shown = {picture for node in NODES for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page(node))}
    files = {path.relative_to(DOCS).as_posix(): path.stat().st_size for path in (DOCS / "pictures").iterdir()}
    assert shown == set(files)
    assert max(files.values()) <= 40_000
