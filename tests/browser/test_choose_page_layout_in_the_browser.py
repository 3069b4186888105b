"""The page of ``videoalign choose`` on a phone, upright and lying, and on a desk: everything in sight, large enough, readable."""

import pytest
from choose_pages import VIEW, wait_until_ready
from contrast import hard_to_read

from videoalign.preferences.reading import read_preferences

pytestmark = pytest.mark.browser

PHONES = {"portrait": (390, 844), "landscape": (844, 390)}
SIZES = PHONES | {"rows": (1280, 720)}
FINGER = 44  # CSS pixels: WCAG 2.2's target size (enhanced)
BOXES = """() => [...document.querySelectorAll('.videoalign-choose button, .videoalign-choose video, .videoalign-prompt, .videoalign-saying, .videoalign-head')]
    .filter((one) => one.checkVisibility())
    .map((one) => [one.dataset.act ?? one.dataset.answer ?? one.className, one.tagName, one.getBoundingClientRect(), one.scrollWidth - one.clientWidth])
    .map(([name, tag, box, cut]) => ({name, tag, left: box.left, top: box.top, right: box.right, bottom: box.bottom, cut}))"""


def check_boxes(page, width: int, height: int, finger: int = 0) -> None:
    """Everything that can be seen or touched lies inside the viewport; buttons hold their text and are large enough."""
    boxes = page.evaluate(BOXES)
    assert sum(box["tag"] == "BUTTON" for box in boxes) >= 12
    # Half a pixel: boxes are laid out in fractions.
    outside = [
        box
        for box in boxes
        if box["left"] < -0.5 or box["top"] < -0.5 or box["right"] > width + 0.5 or box["bottom"] > height + 0.5
    ]
    assert not outside
    buttons = [box for box in boxes if box["tag"] == "BUTTON"]
    assert not [box for box in buttons if box["cut"] > 0]
    small = [box for box in buttons if min(box["right"] - box["left"], box["bottom"] - box["top"]) < finger]
    assert not small
    for number, one in enumerate(buttons):  # no button lies over another
        for two in buttons[number + 1 :]:
            apart = one["right"] <= two["left"] + 0.5 or two["right"] <= one["left"] + 0.5
            assert apart or one["bottom"] <= two["top"] + 0.5 or two["bottom"] <= one["top"] + 0.5, (one, two)


def check_clips_fill_their_boxes(page, shape: float) -> None:
    boxes = page.eval_on_selector_all("video", "all => all.map((one) => [one.clientWidth, one.clientHeight])")
    assert len(boxes) == 2 and boxes[0] == boxes[1]
    width, height = boxes[0]
    assert abs(height - width / shape) <= 1  # both are whole pixels here
    assert min(width, height) >= 90


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
def test_everything_is_in_sight_and_readable_in_every_state(open_page, shoot, size, theme):
    width, height = SIZES[size]
    page = open_page(shape=(208, 120), size=SIZES[size], touch=size in PHONES, theme=theme)
    finger = FINGER if size in PHONES else 24  # WCAG 2.2's least target size
    assert page.get_attribute(VIEW, "data-layout") == size

    def check(state: str) -> None:
        shoot(page, f"choose_{size}_{theme}_{state}")
        check_boxes(page, width, height, finger)
        check_clips_fill_their_boxes(page, 208 / 120)
        assert not hard_to_read(page, VIEW)

    check("first")
    page.click(".videoalign-question.current [data-answer=A]")
    assert page.get_attribute(".videoalign-question.current", "data-question") == "MQ"
    page.mouse.move(1, 1)
    check("answered")
    for _ in range(3):
        page.locator(".videoalign-question.current [data-answer=both_bad]").click()
    page.wait_for_selector(".videoalign-undo")
    wait_until_ready(page)
    check("saved")
    page.click("[data-act=rest]")
    page.mouse.move(1, 1)
    check("all_alike")
    page.locator(".videoalign-question.current [data-answer=B]").click()
    page.wait_for_selector(".videoalign-end")
    shoot(page, f"choose_{size}_{theme}_end")
    assert not hard_to_read(page, VIEW)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for act in ("back", "look"):
        button = page.locator(f".videoalign-end [data-act={act}]")
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= height and box["height"] >= finger


@pytest.mark.parametrize("shape", [(120, 208), (64, 64), (240, 64)], ids=["tall", "square", "broad"])
@pytest.mark.parametrize("size", PHONES)
def test_clips_of_every_shape_have_no_bars_around_them_and_push_nothing_out(open_page, shoot, size, shape):
    page = open_page(shape=shape, size=PHONES[size], touch=True)
    shoot(page, f"choose_{size}_{shape[0]}x{shape[1]}")
    check_clips_fill_their_boxes(page, shape[0] / shape[1])
    check_boxes(page, *PHONES[size], FINGER)


@pytest.mark.parametrize("size", [(360, 640), (390, 664), (568, 320), (667, 375)], ids=str)
def test_small_phones_and_those_with_bars_of_their_browser_show_everything_too(open_page, shoot, size):
    page = open_page(shape=(208, 120), size=size, touch=True)
    page.tap("[data-act=rest]")
    page.tap(".videoalign-question.current [data-answer=both_bad]")
    page.wait_for_selector(".videoalign-undo")
    wait_until_ready(page)
    shoot(page, f"choose_{size[0]}x{size[1]}")
    check_boxes(page, *size, FINGER)
    check_clips_fill_their_boxes(page, 208 / 120)


@pytest.mark.parametrize("size", SIZES)
def test_a_long_prompt_is_shown_in_full_at_a_touch_and_leaves_the_questions_in_sight(open_page, shoot, size):
    words = " ".join(f"word{number}" for number in range(500 if size == "rows" else 120))
    page = open_page(size=SIZES[size], touch=size in PHONES, prompt=words)
    check_boxes(page, *SIZES[size], FINGER if size in PHONES else 24)
    assert page.get_attribute(".videoalign-more", "aria-expanded") == "false"
    page.click(".videoalign-more")
    shoot(page, f"choose_{size}_prompt")
    text = page.locator(".videoalign-prompt-text")
    assert text.inner_text().endswith(words)
    assert text.evaluate("one => one.scrollHeight <= one.clientHeight + 1")
    page.click(".videoalign-more")
    check_boxes(page, *SIZES[size], FINGER if size in PHONES else 24)


@pytest.mark.parametrize("size", PHONES)
def test_a_phone_chooses_a_pair_by_touch_alone(open_page, size):
    page = open_page(size=PHONES[size], touch=True)
    page.tap("video >> nth=0")  # stops both
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => one.paused)")
    assert page.get_attribute("[data-act=toggle]", "aria-label") == "Play"
    page.tap(".videoalign-turn >> nth=3")
    assert page.get_attribute(".videoalign-question.current", "data-question") == "Overall"
    page.tap(".videoalign-question.current [data-answer=B]")
    page.tap("[data-act=rest]")
    page.tap(".videoalign-question.current [data-answer=same]")
    page.wait_for_selector(f"{VIEW}[data-done='1']")
    (kept,) = read_preferences(page.folder / "choices.jsonl")
    labels = kept.in_source_order().labels
    assert labels == {"VQ": "same", "MQ": "same", "TA": "same", "Overall": "B"}
    page.tap(".videoalign-undo")
    page.wait_for_selector(f"{VIEW}[data-done='0']")


def test_turning_the_phone_keeps_the_answers(open_page):
    page = open_page(size=PHONES["portrait"], touch=True)
    page.tap(".videoalign-question.current [data-answer=A]")
    page.set_viewport_size(dict(zip(("width", "height"), PHONES["landscape"], strict=True)))
    page.wait_for_selector(f"{VIEW}[data-layout=landscape]")
    assert page.get_attribute("[data-question=VQ] [data-answer=A]", "aria-checked") == "true"
    check_boxes(page, *PHONES["landscape"], FINGER)
