"""Pick Best of N: candidates are played, chosen in the winner's place, sorted, and many of them stay light."""

import pytest
from graphs import best_of, build

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]


def places(page) -> list[str]:
    return page.texts(".videoalign-rank, .videoalign-open b")


def test_a_candidate_plays_while_the_pointer_is_over_it_and_after_a_click(page):
    best_of(page, clips=2)
    page.run()
    page.fit()
    strip = page.page.locator(".videoalign-ranked .videoalign-strip").first
    strip.hover()
    video = page.page.locator(".videoalign-ranked video.videoalign-playing")
    video.wait_for()
    page.page.wait_for_function(
        "(() => { const one = document.querySelector('.videoalign-ranked video'); return one.readyState >= 2 && one.currentTime > 0; })()"
    )
    assert strip.get_attribute("aria-pressed") == "true"
    page.shoot("playing")
    page.page.mouse.move(5, 5)
    video.wait_for(state="detached")
    strip.click()
    page.page.mouse.move(5, 5)
    page.settle()
    assert video.count() == 1
    strip.focus()
    page.page.keyboard.press("Enter")
    assert video.count() == 0


def test_a_choice_is_kept_handed_on_after_a_run_and_taken_back(page):
    ids = best_of(page, clips=3)
    build(page, {"shown": {"type": "VideoAlignTestShow", "at": [1400, 60]}}, [])
    page.run()
    page.fit()
    use = page.page.locator(".videoalign-ranked:not(.winner) .videoalign-use:not(.videoalign-against)").last
    use.click()
    chosen = page.widget(ids["best"], "use_this")
    assert chosen and "Run again to hand it on" in page.texts(".videoalign-pending")[0]
    assert use.text_content() == "✓ your choice" and use.get_attribute("aria-pressed") == "true"
    page.run()
    page.page.wait_for_selector(".videoalign-ranked.picked")
    assert page.texts(".videoalign-best") == ["YOURS"]
    assert page.page.locator(".videoalign-pending").is_hidden()
    page.shoot("chosen")
    saved = page.saved()
    page.clear()
    page.load(saved)
    assert page.widget(ids["best"], "use_this") == chosen
    page.page.wait_for_selector(".videoalign-ranked.picked")  # the picture is there again
    page.page.locator(".videoalign-ranked.picked .videoalign-use:not(.videoalign-against)").click()
    assert page.widget(ids["best"], "use_this") == ""
    assert "hand on the best clip" in page.texts(".videoalign-pending")[0]


def test_many_candidates_are_lines_that_open_and_can_be_sorted(page):
    best_of(page, clips=6)
    page.run()
    page.fit()
    assert page.page.locator(".videoalign-ranked.line").count() == 3
    assert places(page) == [f"#{place}" for place in range(1, 7)]
    page.page.locator(".videoalign-open").first.click()
    assert page.until(page.page.locator(".videoalign-ranked.line").count, 2) == 2
    page.page.locator("select.videoalign-order").select_option("VQ")
    values = page.page.eval_on_selector_all(
        ".videoalign-ranked", "rows => rows.map(one => one.textContent.match(/VQ ?([+\u2212][0-9.]+)/)[1])"
    )
    numbers = [float(value.replace("\u2212", "-")) for value in values]
    assert numbers == sorted(numbers, reverse=True) and sorted(places(page)) == [f"#{place}" for place in range(1, 7)]
    page.shoot("sorted")


def test_gates_that_are_off_say_so(page):
    ids = best_of(page, clips=2)
    labels = "id => window.app.graph.getNodeById(id).widgets.filter(one => one.name.startsWith('min_')).map(one => one.label)"
    assert page.page.evaluate(labels, ids["best"]) == ["min_VQ (off)", "min_MQ (off)", "min_TA (off)"]
    page.set_widget(ids["best"], "min_MQ", 0.5)
    assert page.page.evaluate(labels, ids["best"]) == ["min_VQ (off)", "min_MQ", "min_TA (off)"]


def test_the_packs_wires_have_colours_of_their_own(page):
    best_of(page, clips=1)
    types = ["VIDEOALIGN_REWARD", "VIDEOALIGN_SCORES", "VIDEOALIGN_WEIGHTS"]
    colours = page.page.evaluate("types => types.map(type => LGraphCanvas.link_type_colors[type])", types)
    assert len(set(colours)) == 3 and all(colour.startswith("#") for colour in colours)


def test_two_candidates_are_compared_in_step(page):
    best_of(page, clips=4)
    page.run()
    page.fit()
    compare = page.page.locator(".videoalign-ranked button", has_text="compare")
    compare.nth(0).click()
    assert "another candidate" in page.texts(".videoalign-compared")[0]
    compare.nth(2).click()
    page.page.wait_for_function(
        "document.querySelectorAll('.videoalign-compared video').length === 2 && "
        "[...document.querySelectorAll('.videoalign-compared video')].every(one => one.readyState >= 2)"
    )
    assert compare.nth(0).get_attribute("aria-pressed") == compare.nth(2).get_attribute("aria-pressed") == "true"
    assert len(page.texts(".videoalign-compared .videoalign-by")) == 4  # VQ, MQ, TA and the total
    page.shoot("compared_candidates")
    compare.nth(0).click()
    assert page.page.locator(".videoalign-compared video").count() == 0
