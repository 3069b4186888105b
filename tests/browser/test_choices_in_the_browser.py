"""Choose A or B in ComfyUI's page."""

import itertools
import json
import os
import signal

import pytest
from comfy_page import ComfyPage
from contrast import hard_to_read
from graphs import build
from written_clips import write_clips

from videoalign.micro_world import ClipFormat
from videoalign.preferences.reading import read_preferences

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

SMALL = ClipFormat(size=32, frames=9)
VIEW = ".videoalign-choose"


def add_node(page, folder: str, chooser: str = "") -> int:
    """A node that shows a folder's pairs, its page ready for keys."""
    widgets = {"folder": folder, "chooser": chooser}
    node = build(page, {"choose": {"type": "VideoAlignChoosePair", "at": [60, 60], "widgets": widgets}}, [])["choose"]
    page.page.wait_for_selector(f"{VIEW} .videoalign-question", state="visible", timeout=30_000)
    wait_until_shown(page)
    page.fit()  # now the node is as high as these clips make it
    page.page.locator(VIEW).focus()
    return node


def wait_until_shown(page) -> None:
    """Until both clips of a pair are on the screen."""
    page.page.wait_for_selector(f"{VIEW}[data-ready='1']", timeout=60_000)


def prompt(page) -> str:
    return page.page.inner_text(".videoalign-prompt")


def wait_until_kept(page, count: int) -> None:
    """Until the page says that the server has so many choices."""
    page.page.wait_for_function(
        f"count => document.querySelector('{VIEW}').dataset.done === String(count)", arg=count, timeout=60_000
    )


def playing(page) -> list[float]:
    return page.page.eval_on_selector_all(".videoalign-video", "videos => videos.map(one => one.currentTime)")


@pytest.fixture
def folder(page, request):
    """Four pairs in a folder of the server's output, named after the test."""
    name = "choices/" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
    write_clips(page.server.base / "output" / name, 4, SMALL)
    return name


def choices(page, folder: str, chooser: str = ""):
    return read_preferences(page.server.base / "output" / folder / f"choices{chooser and '_' + chooser}.jsonl")


@pytest.mark.slow
def test_twenty_pairs_by_keyboard_are_all_in_the_file_when_the_server_is_killed_right_after_the_last(
    start_comfyui, chromium, frontend, screenshots
):
    server = start_comfyui()
    write_clips(server.base / "output" / "videoalign" / "choices", 20, SMALL)
    context = chromium.new_context(viewport={"width": 1600, "height": 1100})
    page = ComfyPage(context.new_page(), server, frontend == "nodes2", screenshots, frontend)
    add_node(page, "videoalign/choices")
    answers = (("1", "2", "3", "4"), ("a", "s", "b", "x"), ("ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp"))
    expected = {}
    for number in range(20):
        wait_until_shown(page)
        text = prompt(page)
        keys = answers[number % 3]
        turn = [keys[(number + place) % 4] for place in range(4)]
        expected.setdefault(text.removeprefix("Prompt"), []).append(
            [("A", "same", "B", "both bad")[keys.index(key)] for key in turn]
        )
        for key in turn[:2]:
            page.page.keyboard.press(key)
        if number == 4:
            page.shoot("choose")
        for key in turn[2:]:
            page.page.keyboard.press(key)
        if number == 4:
            page.shoot("choose")
    wait_until_kept(page, 20)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    kept = read_preferences(server.base / "output" / "videoalign" / "choices" / "choices.jsonl")
    kept.check_clips()
    assert len(kept) == 20
    found = {}
    for pair in kept:
        seen = pair.in_source_order()
        bad = seen.source.columns.get("both_bad", "").split()
        given = ["both bad" if name in bad else seen.labels[name] for name in ("VQ", "MQ", "TA", "Overall")]
        found.setdefault(pair.prompt, []).append(given)
    assert {text: sorted(given) for text, given in found.items()} == {
        text.strip(): sorted(given) for text, given in expected.items()
    }
    assert {pair.source.columns["swapped"] for pair in kept} == {0, 1}
    assert page.texts(".videoalign-end h2") == ["All 20 pairs are chosen."]
    assert str(server.base / "output" / "videoalign" / "choices" / "choices.jsonl") in page.texts(
        ".videoalign-end code"
    )
    page.shoot("choose_end")
    context.close()


def test_the_two_clips_play_together_in_a_loop(page, folder):
    add_node(page, folder)
    page.page.wait_for_function("document.querySelectorAll('.videoalign-video')[0].currentTime > 0.2")
    seen = []
    for _ in range(12):
        left, right = playing(page)
        assert abs(left - right) < 0.13  # a frame of 8 a second
        seen.append(left)
        page.page.wait_for_timeout(150)
    assert any(later < earlier for earlier, later in itertools.pairwise(seen))  # it began anew
    page.page.keyboard.press("Space")
    page.page.wait_for_timeout(200)
    still = playing(page)
    page.page.wait_for_timeout(400)
    assert playing(page) == still


def test_choosing_by_mouse_gives_the_clip_under_the_letter(page, folder):
    add_node(page, folder)
    for question, answer in (("VQ", "A"), ("MQ", "B"), ("TA", "same"), ("Overall", "both_bad")):
        page.page.click(f"[data-question={question}] [data-answer={answer}]")
    wait_until_kept(page, 1)
    (pair,) = choices(page, folder)
    assert pair.in_source_order().labels == {"VQ": "A", "MQ": "B", "TA": "same", "Overall": "same"}
    assert pair.source.both_bad


def test_neither_names_nor_seeds_of_the_clips_are_on_the_page(page, folder):
    add_node(page, folder)
    html = page.page.inner_html(VIEW)
    assert not any(word in html for word in ("_one", "_two", "micro-", '"seed"'))


def test_a_choice_can_be_taken_back_and_made_anew(page, folder):
    add_node(page, folder)
    first = prompt(page)
    for key in ("1", "1", "Backspace", "3", "1", "1"):
        page.page.keyboard.press(key)
    wait_until_kept(page, 1)
    assert choices(page, folder)[0].in_source_order().labels["MQ"] == "B"
    page.page.keyboard.press("Backspace")
    wait_until_kept(page, 0)
    assert prompt(page) == first
    wait_until_shown(page)
    assert page.texts(".videoalign-answer.before span") == ["A", "B", "A", "A"]
    page.page.keyboard.press("Shift+S")
    wait_until_kept(page, 1)
    assert set(choices(page, folder)[0].labels.values()) == {"same"}


def test_enter_keeps_what_is_answered_and_n_leaves_a_pair_for_later(page, folder):
    add_node(page, folder)
    later = prompt(page)
    page.page.keyboard.press("n")
    assert prompt(page) != later
    wait_until_shown(page)
    page.page.keyboard.press("1")
    page.page.keyboard.press("Enter")
    wait_until_kept(page, 1)
    assert list(choices(page, folder)[0].labels) == ["VQ"]
    for done in (2, 3):
        wait_until_shown(page)
        page.page.keyboard.press("Shift+A")
        wait_until_kept(page, done)
    assert prompt(page) == later


def test_the_next_pair_is_there_before_the_server_has_answered(page, folder):
    add_node(page, folder)
    fetched = "document.querySelectorAll('.videoalign-video')[0].currentTime > 0"
    page.page.wait_for_function(fetched)
    page.page.wait_for_timeout(3000)  # clips of the next pairs are being fetched
    waiting = []
    page.page.route("**/videoalign/choices/*", lambda route: waiting.append(route))  # nothing is answered any more
    before = prompt(page)
    page.page.keyboard.press("Shift+A")
    assert prompt(page) != before
    wait_until_shown(page)  # both clips are there to the end
    states = page.page.eval_on_selector_all("video", "all => all.map((one) => one.readyState)")
    assert states == [4, 4]
    assert page.page.get_attribute(VIEW, "data-done") == "0"
    assert page.page.locator(".videoalign-undo").count() == 0  # it is not said to be saved before it is
    for route in list(waiting):
        route.continue_()
    page.page.unroute("**/videoalign/choices/*")
    wait_until_kept(page, 1)


def test_two_people_have_files_of_their_own_and_the_graph_keeps_folder_and_name(page, folder):
    node = add_node(page, folder, "Anna")
    page.page.keyboard.press("Shift+A")
    wait_until_kept(page, 1)
    saved = json.loads(json.dumps(page.saved()))
    page.clear()
    page.load(saved)
    node = page.page.evaluate("window.app.graph.nodes[0].id")
    assert (page.widget(node, "folder"), page.widget(node, "chooser")) == (folder, "Anna")
    page.page.wait_for_function(f"document.querySelector('{VIEW}')?.dataset.done === '1'", timeout=30_000)
    page.set_widget(node, "chooser", "Ben")
    page.page.wait_for_function(f"document.querySelector('{VIEW}').dataset.done === '0'", timeout=30_000)
    page.page.locator(VIEW).focus()
    wait_until_shown(page)
    page.page.keyboard.press("Shift+B")
    wait_until_kept(page, 1)
    assert [len(choices(page, folder, name)) for name in ("Anna", "Ben")] == [1, 1]
    assert not any("panel" in name for entry in page.prompt().values() for name in entry["inputs"])


def test_running_the_graph_adds_the_clips_and_shows_them_without_another_run(page):
    nodes = {
        "clips": {"type": "VideoAlignTestClip", "at": [20, 60], "widgets": {"number": 900, "clips": 2}},
        "choose": {
            "type": "VideoAlignChoosePair",
            "at": [420, 60],
            "widgets": {
                "prompt": "a grey pattern",
                "folder": f"run/{page.name}",
                "fps": 8,
                "clips_in_batch": 2,
                "model": "test",
            },
        },
    }
    build(page, nodes, [("clips", 0, "choose", "clip")])
    page.page.wait_for_selector(".videoalign-empty", timeout=30_000)
    page.fit()
    page.shoot("choose_empty")
    assert "Connect two clips or a batch, and run the graph" in page.page.inner_text(".videoalign-empty")
    view, text = (page.page.locator(name).bounding_box() for name in (VIEW, ".videoalign-empty"))
    for start, length in (("x", "width"), ("y", "height")):  # what to do is in the centre of what is empty
        above = text[start] - view[start]
        below = view[start] + view[length] - text[start] - text[length]
        assert abs(above - below) < 0.2 * view[length]
    page.run()
    page.page.wait_for_selector(f"{VIEW} .videoalign-question", state="visible", timeout=30_000)
    page.fit()
    page.page.locator(VIEW).focus()
    wait_until_shown(page)
    page.page.keyboard.press("Shift+A")
    wait_until_kept(page, 1)
    (pair,) = choices(page, f"run/{page.name}")
    assert (pair.prompt, pair.fps) == ("a grey pattern", 8.0)
    assert pair.source.columns["A_model"] == pair.source.columns["B_model"] == "test"


def test_a_key_of_the_page_means_nothing_to_comfyui(page, folder):
    node = add_node(page, folder)
    page.page.click(".videoalign-prompt")
    for key in ("Backspace", "r", ".", "n"):
        page.page.keyboard.press(key)
    assert page.page.evaluate("id => !!window.app.graph.getNodeById(id)", node)


def test_everything_can_be_done_by_mouse_in_the_node(page, folder):
    add_node(page, folder)
    first = prompt(page)
    page.page.wait_for_function("!document.querySelector('.videoalign-video').paused")
    page.page.click("[data-act=toggle]")
    page.page.wait_for_function("[...document.querySelectorAll('.videoalign-video')].every((one) => one.paused)")
    page.page.click("[data-act=skip]")
    assert prompt(page) != first
    wait_until_shown(page)
    second = prompt(page)
    page.page.click("[data-act=rest]")
    page.page.click("[data-question=VQ] [data-answer=B]")
    wait_until_kept(page, 1)
    page.shoot("choose_saved")
    page.page.click(".videoalign-undo")
    wait_until_kept(page, 0)
    assert prompt(page) == second
    wait_until_shown(page)
    page.page.click("[data-act=full]")
    page.page.wait_for_function(f"document.fullscreenElement === document.querySelector('{VIEW}')")
    page.page.wait_for_timeout(300)
    page.shoot("choose_full")
    bars = "all => all.map((one) => Math.abs(one.clientWidth - one.clientHeight))"
    assert max(page.page.eval_on_selector_all(".videoalign-video", bars)) <= 1  # the clips are square: no bars
    assert not hard_to_read(page.page, VIEW)
    page.page.click("[data-act=full]")
    page.page.wait_for_function("!document.fullscreenElement")


def test_the_keyboard_walks_the_questions_in_the_node_and_the_canvas_does_not_listen(page, folder):
    node = add_node(page, folder)
    at = page.page.evaluate("id => [...window.app.graph.getNodeById(id).pos]", node)
    page.page.locator("[data-question=VQ] [tabindex='0']").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Space")
    assert page.page.get_attribute("[data-question=VQ] [data-answer=same]", "aria-checked") == "true"
    for key in ("ArrowLeft", "Enter"):  # from A to both bad
        page.page.keyboard.press(key)
    assert page.page.get_attribute("[data-question=MQ] [data-answer=both_bad]", "aria-checked") == "true"
    page.page.keyboard.press("1")
    page.page.keyboard.press("Backspace")
    page.page.keyboard.press("3")
    page.page.keyboard.press("3")
    wait_until_kept(page, 1)
    labels = choices(page, folder)[0].in_source_order().labels
    assert labels == {"VQ": "same", "MQ": "same", "TA": "B", "Overall": "B"}
    assert page.page.evaluate("id => [...window.app.graph.getNodeById(id).pos]", node) == at


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_the_node_can_be_read_in_both_themes(page, folder, palette):
    choose = "name => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)"
    page.page.evaluate(choose, palette)
    try:
        add_node(page, folder)
        page.page.keyboard.press("1")
        page.page.mouse.move(1, 1)
        page.shoot(f"choose_{palette}")
        assert not hard_to_read(page.page, VIEW)
        page.page.keyboard.press("Shift+4")
        page.page.wait_for_selector(".videoalign-undo")
        assert not hard_to_read(page.page, VIEW)
    finally:
        page.page.evaluate(choose, "dark")


def test_what_a_judge_said_is_a_tooltip_on_each_clip_once_the_choice_is_saved(page, folder):
    place = page.server.base / "output" / folder
    clips = [json.loads(line) for line in (place / "clips.jsonl").open(encoding="utf-8")]
    rows = [
        {
            "path": clip["path"],
            "judge": "critic",
            "light": number + 0.25,
            "light_reason": f"reason {number}\nof clip {number}",
        }
        for number, clip in enumerate(clips)
    ]
    (place / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    add_node(page, folder)
    assert not page.page.locator(".videoalign-judged").count() and "reason" not in page.page.inner_text(VIEW)
    page.page.keyboard.press("Shift+1")
    wait_until_kept(page, 1)
    (pair,) = choices(page, folder)
    shown = pair.in_source_order()
    place_of = {clip["path"]: number for number, clip in enumerate(clips)}
    for side, number in (("A", place_of[shown.chosen]), ("B", place_of[shown.rejected])):
        one = page.page.locator(".videoalign-judged", has=page.page.locator("b", has_text=side)).first
        tooltip = one.locator("[role=tooltip]")
        one.hover()
        assert tooltip.is_visible()
        assert f"light {number}.25: reason {number}\nof clip {number}" in tooltip.inner_text()
        assert one.locator("canvas").bounding_box()["width"] > 10
    page.shoot("choose_judged")
    assert not hard_to_read(page.page, VIEW)
    page.page.mouse.move(1, 1)
    assert not page.page.locator("[role=tooltip]").first.is_visible()
    page.page.click(".videoalign-undo")
    wait_until_kept(page, 0)
    assert not page.page.locator(".videoalign-judged").count()  # the pair is chosen anew
