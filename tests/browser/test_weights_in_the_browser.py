"""The triangle and the sliders, of Reward Weights and of Reward Guidance."""

import json

import pytest
from graphs import build

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

CUSTOM = "custom (the sliders)"
TRIANGLE, HANDLE = ".videoalign-triangle", ".videoalign-triangle .handle"
SHARES = "/extensions/ComfyUI-VideoAlign/weight_shares.js"


@pytest.fixture(params=["VideoAlignRewardWeights", "VideoAlignRewardGuidance"])
def node(page, request) -> int:
    """A node with the three sliders."""
    made = build(page, {"weights": {"type": request.param, "at": [60, 60]}}, [])["weights"]
    page.fit()
    page.page.wait_for_selector(TRIANGLE)
    return made


def sliders(page, node) -> list[float]:
    return [page.widget(node, name) for name in ("VQ", "MQ", "TA")]


def set_sliders(page, node, *values) -> None:
    for name, value in zip(("VQ", "MQ", "TA"), values, strict=True):
        page.set_widget(node, name, value)


def at(page, x: float, y: float) -> tuple[float, float]:
    """A point of the triangle's picture, 220 x 186, on the screen."""
    box = page.page.locator(TRIANGLE).bounding_box()
    return box["x"] + x * box["width"] / 220, box["y"] + y * box["height"] / 186


def shown_shares(page) -> list[int]:
    """Percentages that the point stands for, by the words for screen readers."""
    text = page.page.get_attribute(HANDLE, "aria-valuetext")
    return [int(part.split()[1]) for part in text.split(", ")]


def test_dragging_the_point_moves_the_sliders_and_keeps_their_sum(page, node):
    set_sliders(page, node, 0.1, 0.1, 0.6)
    page.page.mouse.move(*at(page, 110, 60))
    page.page.mouse.down()
    page.page.mouse.move(*at(page, 80, 140), steps=4)
    after = sliders(page, node)
    page.page.mouse.up()
    assert after[0] > after[1] > after[2] > 0
    assert sum(after) == pytest.approx(0.8, abs=1e-9)
    page.shoot(f"triangle_{node}")
    page.page.mouse.move(*at(page, 110, 60))  # the button is up: nothing moves any more
    assert sliders(page, node) == after


def test_moving_a_slider_moves_the_point(page, node):
    set_sliders(page, node, 0.2, 0.2, 0.6)
    assert shown_shares(page) == [20, 20, 60]
    low = page.page.locator(HANDLE).bounding_box()["y"]
    set_sliders(page, node, 0.05, 0.05, 0.9)
    assert shown_shares(page) == [5, 5, 90]
    assert page.page.locator(HANDLE).bounding_box()["y"] < low


def test_a_point_of_the_paper_sets_the_sliders_to_its_very_weights(page, node):
    rows = page.page.locator(".videoalign-point:not(.head)")
    expected = ([0, 0, 1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.6], [0.5, 0.5, 0])
    for number, weights in enumerate(expected):
        rows.nth(number).click()
        assert sliders(page, node) == weights
        assert page.texts(".videoalign-point.current b") == [str(number + 1)]
    wins = [text.split() for text in page.page.locator(".videoalign-point:not(.head)").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('.videoalign-win')].map(one => one.textContent).join(' '))"
    )]  # fmt: skip
    assert wins == [
        ["60.6", "46.5", "70.4"],
        ["66.5", "63.7", "60.9"],
        ["68.9", "67.6", "53.3"],
        ["86.4", "93.2", "26.7"],
    ]


def test_the_point_moves_by_keys(page, node):
    set_sliders(page, node, 0.2, 0.2, 0.6)
    page.page.locator(HANDLE).focus()
    for key, expected in (
        ("ArrowLeft", [0.25, 0.15, 0.6]),
        ("ArrowRight", [0.2, 0.2, 0.6]),
        ("ArrowDown", [0.22, 0.23, 0.55]),
        ("3", [0.1, 0.1, 0.6]),
        ("Home", [0.27, 0.27, 0.26]),
    ):
        page.page.keyboard.press(key)
        found = sliders(page, node)
        assert sum(found) == pytest.approx(sum(expected), abs=1e-9)
        assert found == pytest.approx(expected, abs=0.011), key
    assert page.prompt()  # the keys moved the point, not the node, and deleted nothing


def test_a_preset_and_the_triangle_agree(page):
    node = build(page, {"weights": {"type": "VideoAlignRewardWeights", "at": [60, 60]}}, [])["weights"]
    page.fit()
    page.set_widget(node, "preset", "all equal 1 : 1 : 1")
    assert shown_shares(page) == [33, 33, 33]
    page.page.mouse.click(*at(page, 110, 18))
    assert sliders(page, node) == [0, 0, 1]
    assert page.widget(node, "preset") == "text alignment only 0 : 0 : 1"
    page.page.mouse.click(*at(page, 90, 120))
    assert page.widget(node, "preset") == CUSTOM
    page.page.locator(".videoalign-point:not(.head)").nth(1).click()
    assert page.widget(node, "preset") == "balanced, text first 0.1 : 0.1 : 0.8"


def test_a_drag_a_key_and_a_click_are_one_step_each_to_undo(page, node):
    page.capture()
    steps, seen = page.undo_steps(), [sliders(page, node)]
    page.page.mouse.move(*at(page, 110, 60))
    page.page.mouse.down()
    page.page.mouse.move(*at(page, 80, 140), steps=4)
    page.page.mouse.up()
    seen.append(sliders(page, node))
    page.page.keyboard.press("ArrowRight")
    seen.append(sliders(page, node))
    page.page.locator(".videoalign-point:not(.head)").nth(3).click()
    assert page.until(page.undo_steps, steps + 3) == steps + 3
    for before in reversed(seen):
        page.page.evaluate("window.app.extensionManager.command.execute('Comfy.Undo')")
        assert page.until(lambda: sliders(page, node), before, seconds=20) == before


def test_a_saved_graph_keeps_the_weights_that_the_triangle_gave(page, node):
    page.page.mouse.click(*at(page, 90, 120))
    before = sliders(page, node)
    assert before != [0.1, 0.1, 0.8]
    saved = json.loads(json.dumps(page.saved()))
    page.clear()
    page.load(saved)
    kept = page.page.evaluate("window.app.graph.nodes[0].id")
    assert sliders(page, kept) == before
    assert shown_shares(page) == pytest.approx([100 * value / sum(before) for value in before], abs=0.51)


def test_weights_that_arrive_by_wire_hold_the_triangle_still(page):
    nodes = {
        "weights": {"type": "VideoAlignRewardWeights", "at": [60, 60]},
        "guide": {"type": "VideoAlignRewardGuidance", "at": [640, 60]},
    }
    ids = build(page, nodes, [("weights", 0, "guide", "weights")])
    page.fit()
    assert page.page.locator(".videoalign-picker.fixed").count() == 1
    page.page.locator(".videoalign-picker.fixed .videoalign-point").nth(4).click()
    assert sliders(page, ids["guide"]) == [0.1, 0.1, 0.8]
    assert "weights is connected" in " ".join(page.texts(".videoalign-note"))


def test_sliders_and_points_convert_into_each_other_without_loss(page):
    """Every weight on a grid of a hundredth comes back from its point; sums and limits hold everywhere."""
    worst = page.page.evaluate(
        """async address => {
            const { sharesOf, weightsOf, pointOf, sharesAt } = await import(address);
            const corners = [[22, 162], [198, 162], [110, 18]];
            let wrong = 0, sums = 0, beyond = 0, seen = 0;
            for (let a = 0; a <= 100; a += 4) for (let b = 0; b <= 100; b += 4) for (let c = 0; c <= 100; c += 4) {
                if (a + b + c === 0) continue;
                const weights = [a / 100, b / 100, c / 100], sum = (a + b + c) / 100;
                const back = weightsOf(sharesAt(pointOf(sharesOf(weights), corners), corners), sum, 0.01, 1);
                seen += 1;
                if (back.some((value, place) => Math.abs(value - weights[place]) > 1e-9)) wrong += 1;
            }
            for (let k = 0; k < 2000; k++) {
                const shares = sharesOf([Math.random(), Math.random() ** 4, Math.random()]), sum = 0.03 + 2.97 * Math.random();
                const weights = weightsOf(shares, sum, 0.01, 1), found = weights.reduce((x, y) => x + y);
                if (Math.max(...weights) > 1 || Math.min(...weights) < 0) beyond += 1;
                const fits = Math.max(...shares) * sum <= 0.99; // away from a slider's end, where rounding decides
                if (fits && Math.abs(found - sum) > 0.00501) sums += 1;
            }
            return { wrong, sums, beyond, seen };
        }""",
        SHARES,
    )
    assert worst == {"wrong": 0, "sums": 0, "beyond": 0, "seen": 26**3 - 1}
