import json
import re
import urllib.error
import urllib.request

import pytest

from videoalign.preferences.choices.page import ChoicePage
from videoalign.preferences.reading import read_preferences


def get(url: str) -> tuple[int, bytes, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["Content-Type"]


def post(url: str, values) -> tuple[int, dict]:
    request = urllib.request.Request(url, json.dumps(values).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def test_the_page_and_everything_that_it_loads_is_there(page):
    status, html, kind = get(page.url)
    assert (status, kind) == (200, "text/html; charset=utf-8")
    loaded, to_load = set(), re.findall(r'from "\./([^"]+)"', html.decode())
    while to_load:
        name = to_load.pop()
        if name in loaded:
            continue
        loaded.add(name)
        status, script, kind = get(page.url + name)
        assert (status, kind.split(";")[0]) == (200, "text/javascript"), name
        assert b"scripts/api.js" not in script and b"scripts/app.js" not in script  # ComfyUI's, which is not here
        to_load += re.findall(r'from "\./([^"]+)"', script.decode())
    assert len(loaded) >= 8  # a script that imports nothing would make this test empty
    assert b"choose_view.js" in html and get(page.url + "videoalign.css")[0] == 200


def test_a_choice_over_the_page_is_in_the_file(page, folder):
    _, state = post(page.url + "state", {})
    pair = state["waiting"][0]["pair"]
    status, after = post(page.url + "choose", {"pair": pair, "answers": {"VQ": "A", "Overall": "same"}})
    assert (status, after["done"]) == (200, 1)
    assert [choice.id for choice in read_preferences(folder / "choices.jsonl")] == [pair]
    assert post(page.url + "back", {})[1]["again"]["pair"] == pair


def test_clips_are_handed_out_by_pair_and_side(page):
    _, state = post(page.url + "state", {})
    pair = state["waiting"][0]["pair"]
    contents = [get(f"{page.url}clip?pair={pair}&side={side}") for side in "AB"]
    assert [content[0] for content in contents] == [200, 200]
    assert {content[2] for content in contents} == {"video/mp4"}
    assert contents[0][1] != contents[1][1]


def test_a_browser_gets_the_part_of_a_clip_that_it_asks_for(page):
    _, state = post(page.url + "state", {})
    address = f"{page.url}clip?pair={state['waiting'][0]['pair']}&side=A"
    whole = get(address)[1]
    for asked, part in (("bytes=10-19", whole[10:20]), ("bytes=100-", whole[100:]), (f"bytes=5-{10**9}", whole[5:])):
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Range": asked}), timeout=30) as answer:
            assert (answer.status, answer.read()) == (206, part)


def test_without_the_secret_word_there_is_nothing(page):
    base = page.url.replace(page.word, "guessed")
    assert get(base)[0] == get(base + "choose_view.js")[0] == 404
    assert get(page.url.replace(page.word + "/", ""))[0] == 404
    assert post(base + "state", {})[0] == 404


def test_it_listens_to_this_computer_only_and_its_word_is_new_every_time(page, session_of):
    assert page.address[0] == "127.0.0.1"
    with ChoicePage(session_of()) as other:
        assert other.word != page.word and len(page.word) >= 32


@pytest.mark.parametrize(
    "name", ["../pyproject.toml", "%2e%2e/pyproject.toml", "clip?pair=../../x&side=A", "clip", "videoalign.js"]
)
def test_nothing_else_can_be_read(page, name):
    status, content, _ = get(page.url + name)
    assert status in (400, 404) and b"setuptools" not in content


@pytest.mark.parametrize("values", [[], "text", {"pair": "x", "answers": {"VQ": "A"}}])
def test_a_request_that_makes_no_sense_is_answered_with_a_reason(page, values):
    status, answer = post(page.url + "choose", values)
    assert status == 400 and answer["error"]
