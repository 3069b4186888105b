"""The curve of a guided run, while it samples and afterwards."""

import json

import pytest
from graphs import build
from graphs import guided as guided_graph

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

WATCH = """() => {
    window.seenPoints = [...document.querySelectorAll('.videoalign-trace')].map(view => {
        const seen = [];
        new MutationObserver(() => seen.push(Number(view.dataset.points))).observe(view, { attributes: true });
        return seen;
    });
}"""
STEPS = 8
GUIDED = STEPS - 1  # the first step is pure noise


@pytest.fixture
def guided(page) -> dict:
    """A guided tiny Wan with its trace; ids of the nodes by name."""
    return guided_graph(page, STEPS)


def lengths(page) -> list[int]:
    """Points of each drawn curve."""
    return page.page.eval_on_selector_all(
        "polyline.curve", "lines => lines.map(one => one.getAttribute('points').split(' ').length)"
    )


def wait_for_points(page, count: int) -> None:
    """The server may have finished before the page has drawn the last of what it was told."""
    page.page.wait_for_function(f"window.seenPoints.every(seen => seen.at(-1) === {count})", timeout=20_000)


def test_the_curve_grows_point_by_point_in_both_nodes_while_the_sampler_works(page, guided):
    page.page.evaluate(WATCH)
    page.run()
    wait_for_points(page, GUIDED)
    seen = page.page.evaluate("window.seenPoints")
    (node,) = seen  # the guidance node leaves the curve to the trace behind it
    assert node[: GUIDED + 1] == list(range(GUIDED + 1))  # cleared, then one more with every step
    assert lengths(page) == [GUIDED] * 3
    page.fit()
    page.shoot("curve")


def test_the_drawn_points_are_the_recorded_rewards(page, guided):
    page.run()
    outputs = list(page.server.get("/history").values())[-1]["outputs"]
    (trace,) = outputs[str(guided["trace"])]["videoalign_trace"]
    shown = page.texts(".videoalign-legend b")
    last = trace["points"][-1]
    expected = [f"{'+' if last[name] >= 0 else chr(0x2212)}{abs(last[name]):.2f}" for name in ("VQ", "MQ", "TA")]
    assert shown == expected
    across = page.page.eval_on_selector("polyline.curve.VQ", "line => line.getAttribute('points')")
    places = [float(point.split(",")[0]) for point in across.split()]
    ends = [34 + point["step"] / (STEPS - 1) * (420 - 12 - 34) for point in trace["points"]]
    assert [point["step"] for point in trace["points"]] == pytest.approx(list(range(1, STEPS)))
    assert places == pytest.approx(ends, abs=0.06)


def test_a_new_run_begins_a_new_curve_with_the_last_one_behind_it(page, guided):
    page.run()
    page.set_widget(guided["sampler"], "seed", 2)
    page.set_widget(guided["sampler"], "steps", 5)
    page.page.evaluate(WATCH)
    page.run()
    wait_for_points(page, 4)
    assert [seen[:5] for seen in page.page.evaluate("window.seenPoints")] == [[0, 1, 2, 3, 4]]
    assert lengths(page) == [4] * 3
    ghosts = page.page.eval_on_selector_all("polyline.ghost", "lines => lines.map(one => one.getAttribute('points'))")
    assert [len(points.split(" ")) for points in ghosts] == [GUIDED] * 3  # the run before, over its own steps
    assert page.texts(".videoalign-trace > .videoalign-note") == ["thin: seed 1"]
    page.shoot("curve_with_ghost")


def test_only_the_trace_that_is_wired_to_the_guidance_shows_it(page, guided):
    build(page, {"other": {"type": "VideoAlignRewardTrace", "at": [1260, 700]}}, [])
    page.page.evaluate(
        "id => window.app.graph.getNodeById(id).mode = 2", page.page.evaluate("window.app.graph.nodes.at(-1).id")
    )
    page.run()
    points = page.page.eval_on_selector_all(
        ".videoalign-trace", "views => views.map(view => Number(view.dataset.points))"
    )
    assert sorted(points) == [0, GUIDED]


def test_a_saved_guided_graph_keeps_its_values(page, guided):
    page.set_widget(guided["guide"], "strength", 0.7)
    page.page.locator(".videoalign-point:not(.head)").nth(2).click()
    before = page.prompt()
    assert [before[str(guided["guide"])]["inputs"][name] for name in ("VQ", "MQ", "TA", "strength")] == [
        0.1,
        0.1,
        0.6,
        0.7,
    ]
    saved = json.loads(json.dumps(page.saved()))
    page.clear()
    page.load(saved)
    assert page.prompt() == before
