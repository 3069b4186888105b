"""The page of ``videoalign choose``: every act by mouse and by keyboard, the slip that is taken back, and the end."""

import json
import shlex

import pytest
from choose_pages import VIEW, wait_until_ready
from contrast import hard_to_read

from videoalign.preferences.reading import read_preferences

pytestmark = pytest.mark.browser


def wait_until_kept(page, count: int) -> None:
    page.wait_for_selector(f"{VIEW}[data-done='{count}']", timeout=60_000)


def choices(page):
    return read_preferences(page.folder / "choices.jsonl").pairs


def prompt(page) -> str:
    return page.inner_text(".videoalign-prompt-text")


def times(page) -> list[float]:
    return page.eval_on_selector_all("video", "all => all.map((one) => one.currentTime)")


def focused(page) -> str:
    """What has the keyboard's focus: a question and its answer, an act, or a class."""
    return page.evaluate(
        """() => {
            const one = document.activeElement, question = one.closest('[data-question]')?.dataset.question;
            return question ? `${question} ${one.dataset.answer}` : one.dataset.act ?? one.className.split(' ')[0];
        }"""
    )


def test_pause_frames_and_start_by_mouse_move_both_clips(open_page):
    page = open_page()
    page.wait_for_function("document.querySelector('video').currentTime > 0.2")
    page.click("[data-act=toggle]")
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => one.paused)")
    assert page.inner_text("[data-act=toggle] span") == "Play"
    page.click("[data-act=restart]")
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => !one.paused)")
    page.wait_for_function("document.querySelector('video').currentTime > 0.3")
    page.click("[data-act=earlier]")
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => one.paused && !one.seeking)")
    page.wait_for_function(
        "(([a, b]) => Math.abs(a.currentTime - b.currentTime) < 1e-3)(document.querySelectorAll('video'))"
    )
    before, _ = times(page)
    page.click("[data-act=further]")
    page.wait_for_function("before => document.querySelector('video').currentTime > before", arg=before)
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => !one.seeking)")
    after = times(page)
    # One frame of 12 a second, once the browser has shown two frames one after the other; of 16 until then.
    assert min(abs(after[0] - before - 1 / rate) for rate in (12, 16)) < 2e-3
    assert abs(after[0] - after[1]) < 1e-3
    page.click("[data-act=toggle]")
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => !one.paused)")


def test_full_screen_by_mouse_and_back_by_key(open_page):
    page = open_page()
    page.click("[data-act=full]")
    page.wait_for_function(f"document.fullscreenElement === document.querySelector('{VIEW}')")
    page.keyboard.press("f")
    page.wait_for_function("!document.fullscreenElement")


def test_later_back_keep_and_all_alike_by_mouse(open_page):
    page = open_page(pairs=3)
    first = prompt(page)
    assert page.get_attribute("[data-act=keep]", "aria-disabled") == "true"
    page.click("[data-act=skip]")
    assert prompt(page) != first
    wait_until_ready(page)
    page.click("[data-question=VQ] [data-answer=A]")
    page.click("[data-question=MQ] [data-answer=A]")
    page.click("[data-act=back]")
    assert page.locator(".videoalign-answer.chosen").count() == 1
    page.click("[data-act=keep]")
    wait_until_kept(page, 1)
    assert choices(page)[0].in_source_order().labels == {"VQ": "A"}
    wait_until_ready(page)
    page.click("[data-act=rest]")
    page.click("[data-question=VQ] [data-answer=both_bad]")
    wait_until_kept(page, 2)
    assert set(choices(page)[1].labels.values()) == {"same"} and choices(page)[1].source.both_bad
    assert prompt(page) == first


def test_answers_of_a_pair_that_is_left_for_later_are_there_when_it_comes_again(open_page):
    page = open_page(pairs=2)
    first = prompt(page)
    page.click("[data-question=VQ] [data-answer=B]")
    page.click("[data-act=skip]")
    wait_until_ready(page)
    page.click("[data-act=skip]")
    wait_until_ready(page)
    assert prompt(page) == first
    assert page.get_attribute("[data-question=VQ] [data-answer=B]", "aria-checked") == "true"


def test_a_slip_is_taken_back_where_it_is_said_that_it_is_saved_and_the_next_pair_keeps_its_answers(open_page):
    page = open_page(pairs=2)
    slip = prompt(page)
    page.keyboard.press("Shift+A")
    page.wait_for_selector(".videoalign-undo")
    assert page.inner_text(".videoalign-saying [role=status]") == "Saved: A is better."
    other = prompt(page)
    assert other != slip
    wait_until_ready(page)
    page.click("[data-question=VQ] [data-answer=B]")
    assert page.is_visible(".videoalign-undo")
    page.click(".videoalign-undo")
    wait_until_kept(page, 0)
    wait_until_ready(page)
    assert prompt(page) == slip
    assert page.locator(".videoalign-answer.before").count() == 4
    assert page.locator(".videoalign-answer.chosen").count() == 0
    page.keyboard.press("Shift+B")
    wait_until_kept(page, 1)
    assert set(choices(page)[0].in_source_order().labels.values()) == {"B"}
    assert prompt(page) == other
    assert page.get_attribute("[data-question=VQ] [data-answer=B]", "aria-checked") == "true"


def test_what_is_saved_is_said_by_dimension_where_the_answers_differ(open_page):
    page = open_page()
    for key in "1234":
        page.keyboard.press(key)
    page.wait_for_selector(".videoalign-undo")
    said = page.inner_text(".videoalign-saying [role=status]")
    assert said == "Saved: VQ A, MQ same, TA B, Overall both bad."


def test_undo_goes_after_some_seconds_but_back_stays(open_page):
    page = open_page()
    page.keyboard.press("Shift+A")
    page.wait_for_selector(".videoalign-undo")
    page.mouse.move(1, 1)
    page.wait_for_selector(".videoalign-undo", state="detached", timeout=60_000)
    page.click("[data-act=back]")
    wait_until_kept(page, 0)


def test_the_end_names_file_agreement_and_commands_and_leads_back(open_page):
    page = open_page(pairs=2, people=["Ben"])
    for done in (1, 2):
        wait_until_ready(page)
        page.keyboard.press("Shift+A")
        wait_until_kept(page, done)
    page.wait_for_selector(".videoalign-end")
    file = page.folder / "choices.jsonl"
    assert page.inner_text(".videoalign-end h2") == "All 2 pairs are chosen."
    texts = [text.strip() for text in page.locator(".videoalign-end code").all_inner_texts()]
    assert texts[0] == str(file)
    merge, train = (shlex.split(text) for text in texts[1:])
    assert merge[:3] == ["videoalign", "choose", "merge"]
    assert merge[3:5] == [str(file), str(page.folder / "choices_Ben.jsonl")]
    assert train[:5] == ["videoalign", "train", "dpo", "--data.train", str(page.folder / "merged.jsonl")]
    rows = page.locator(".videoalign-agreement tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows[1:]] == ["VQ", "MQ", "TA", "Overall"]
    assert "Ben" in page.inner_text(".videoalign-agreement caption")
    assert "more clips" in page.inner_text(".videoalign-end")
    page.click(".videoalign-end [data-act=back]")
    wait_until_kept(page, 1)
    wait_until_ready(page)
    assert page.locator(".videoalign-end").count() == 0


def test_one_pair_is_chosen_and_new_clips_are_found_without_loading_the_page_anew(open_page):
    page = open_page(pairs=1)
    assert page.inner_text(".videoalign-progress") == "0 of 1 pair chosen"
    page.keyboard.press("Shift+B")
    page.wait_for_selector(".videoalign-end")
    assert page.inner_text(".videoalign-end h2") == "1 pair is chosen."
    text = page.inner_text(".videoalign-end")
    assert "one prompt" in text and "Nobody else" in text and "merge" not in text
    table = page.folder / "clips.jsonl"
    lines = table.read_text(encoding="utf-8")
    table.write_text(lines + lines.replace('"0: ', '"again: '), encoding="utf-8")
    page.click(".videoalign-end [data-act=look]")
    page.wait_for_function("document.body.innerText.includes('again: ')")
    wait_until_ready(page)
    assert "again: " in prompt(page)


def test_a_table_that_cannot_be_read_is_said_in_the_middle_and_looked_into_again(open_page, shoot):
    page = open_page(pairs=1)
    page.keyboard.press("Shift+B")
    page.wait_for_selector(".videoalign-end")
    table = page.folder / "clips.jsonl"
    lines = table.read_text(encoding="utf-8")
    table.write_text(lines + "[1]\n", encoding="utf-8")
    page.expected.append("400")  # the browser writes every refused request to its console
    page.click("[data-act=look]")
    assert "row 3 (line 3): found list; expected a JSON object" in page.get_by_role("alert").inner_text()
    shoot(page, "choose_bad_table")
    assert not hard_to_read(page, VIEW)
    table.write_text(lines, encoding="utf-8")
    page.click("[data-act=look]")
    page.wait_for_selector(".videoalign-end")


def test_tab_reaches_every_question_once_and_arrows_move_inside_it_without_answering(open_page):
    page = open_page()
    stops = []
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == "BODY" or focused(page) in stops:
            break
        stops.append(focused(page))
    questions = [stop for stop in stops if " " in stop]
    assert questions == ["VQ A", "MQ A", "TA A", "Overall A"]
    assert {"toggle", "earlier", "further", "restart", "full", "back", "skip", "rest", "keep"} <= set(stops)
    page.locator("[data-question=MQ] [data-answer=A]").focus()
    walked = []
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        walked.append(focused(page))
    assert walked == ["MQ same", "MQ B", "MQ both_bad", "MQ A", "MQ both_bad"]
    assert page.locator(".videoalign-answer.chosen").count() == 0
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "VQ A"
    page.keyboard.press("Tab")
    assert focused(page) == "MQ A"  # nothing is answered: at the first answer
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert page.get_attribute("[data-question=MQ] [data-answer=both_bad]", "aria-checked") == "true"
    assert focused(page) == "VQ A"  # the first that is open
    page.keyboard.press("Enter")
    assert page.get_attribute("[data-question=VQ] [data-answer=A]", "aria-checked") == "true"
    assert focused(page) == "TA A"
    page.keyboard.press("3")  # the keys go on meaning what they say
    assert page.get_attribute("[data-question=TA] [data-answer=B]", "aria-checked") == "true"


def test_space_and_enter_on_a_button_do_what_the_button_says(open_page):
    page = open_page()
    page.keyboard.press("1")
    page.locator("[data-act=back]").focus()
    page.keyboard.press("Enter")  # not: keep
    assert page.locator(".videoalign-answer.chosen").count() == 0
    page.locator("[data-act=rest]").focus()
    page.keyboard.press("Space")  # not: pause
    assert page.get_attribute("[data-act=rest]", "aria-pressed") == "true"
    page.wait_for_function("!document.querySelector('video').paused")  # a busy machine begins to play late


def test_after_a_click_the_keys_mean_what_they_say_again(open_page):
    page = open_page()
    page.click("[data-act=rest]")
    page.click("[data-act=rest]")
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => !one.paused)")
    page.keyboard.press("Space")
    page.wait_for_function("[...document.querySelectorAll('video')].every((one) => one.paused)")
    assert page.get_attribute("[data-act=rest]", "aria-pressed") == "false"


def test_a_screen_reader_finds_landmark_heading_groups_and_names(open_page):
    page = open_page()
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("heading", level=1, name="Choose A or B").count() == 1
    assert page.get_by_role("application", name="Choose the better of two clips").count() == 1
    assert page.get_by_role("radiogroup").count() == 4
    assert page.get_by_role("radio", name="Motion quality: B is better").count() == 1
    assert page.get_by_role("group", name="Clips").get_by_role("button").count() == 5
    assert page.get_by_role("group", name="Pair").get_by_role("button").count() == 4
    assert page.get_by_role("progressbar", name="Pairs chosen").get_attribute("aria-valuemax") == "2"
    assert page.get_by_role("status").count() == 1
    page.keyboard.press("Shift+A")
    page.wait_for_selector(".videoalign-undo")
    assert page.get_by_role("status").inner_text() == "Saved: A is better."
    assert page.get_by_role("progressbar").get_attribute("aria-valuenow") == "1"


def test_on_a_phone_a_finger_opens_what_judges_said_and_closes_it(open_page, shoot):
    page = open_page(size=(390, 844), touch=True)
    clips = [json.loads(line)["path"] for line in (page.folder / "clips.jsonl").open(encoding="utf-8")]
    rows = [{"path": name, "judge": "critic", "light": 0.5, "light_reason": f"why {name}. " * 40} for name in clips]
    (page.folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    page.keyboard.press("Shift+1")
    wait_until_kept(page, 1)
    shown = choices(page)[0].in_source_order()
    one, other = (page.locator(".videoalign-judged").nth(place) for place in (0, 1))
    for button, name in ((one, shown.chosen), (other, shown.rejected)):
        button.tap()
        said = button.locator("[role=tooltip]")
        assert button.get_attribute("aria-expanded") == "true" and f"why {name}" in said.inner_text()
        box = said.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and 0 <= box["y"] < 844 - box["height"]
        shoot(page, "choose_judged_phone")
        button.tap()
        assert button.get_attribute("aria-expanded") == "false"
    assert not hard_to_read(page, VIEW)
