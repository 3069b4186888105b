"""Results stay on the page: another workflow tab, undo, reload, reload in the middle of a run, an interrupted run."""

import time

import pytest
from comfy_page import HEAR, READY
from graphs import best_of, guided

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

STEPS = 6


def guided_and_scored(page, steps: int = STEPS) -> dict:
    """A ranking beside a guided tiny Wan; ids of the nodes by name."""
    page.page.evaluate(
        "window.app.graph.id = crypto.randomUUID()"
    )  # as every workflow has that was not emptied by a test
    return best_of(page, clips=2) | guided(page, steps, seed=int(time.monotonic() * 1000) % 10**9, top=1060)


def shown(page) -> dict:
    """What the panels show: values of all bars, frames that have loaded, points of the curves."""
    return {
        "bars": page.texts(".videoalign-value"),
        "frames": page.page.eval_on_selector_all(
            ".videoalign-frame", "found => found.filter(one => one.complete && one.naturalWidth).length"
        ),
        "curves": page.page.eval_on_selector_all(
            "polyline.curve", "lines => lines.map(one => one.getAttribute('points').split(' ').length)"
        ),
    }


def counts(page) -> tuple[int, int, list[int]]:
    now = shown(page)
    return len(now["bars"]), now["frames"], now["curves"]


WHOLE = (12, 16, [STEPS - 1] * 3)  # VQ, MQ and TA of two clips in two nodes, four frames of each, three curves


@pytest.fixture
def complete(page):
    """A graph that has run, and what its panels show then."""
    ids = guided_and_scored(page)
    page.run()
    page.fit()
    assert page.until(lambda: counts(page), WHOLE) == WHOLE
    return ids, shown(page)


def kept_until_the_end(page, ids) -> bool:
    """Whether the workflow keeps the trace, which a run gives when all else is done."""
    return page.page.evaluate(
        "id => 'videoalign_trace' in (window.app.graph.getNodeById(id).properties.videoalign_shown ?? {})", ids["trace"]
    )


def open_blank(page) -> None:
    page.page.evaluate("window.app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.page.wait_for_function("window.app.graph.nodes.length === 0 && !document.querySelector('.videoalign-panel')")


def open_workflow(page, workflow: str) -> None:
    """Open another of the page's workflows, by its id, as its tab does."""
    page.page.evaluate(
        """async id => {
            const workflows = window.app.extensionManager.workflow;
            const other = workflows.openWorkflows.find(one => one.changeTracker?.activeState?.id === id);
            await window.app.loadGraphData(JSON.parse(JSON.stringify(other.changeTracker.activeState)), true, true, other);
        }""",
        workflow,
    )
    page.page.wait_for_function("id => window.app.graph.id === id", arg=workflow)
    page.fit()


def test_results_come_back_with_the_workflow_tab(page, complete):
    _, before = complete
    workflow = page.page.evaluate("window.app.graph.id")
    open_blank(page)
    assert shown(page)["bars"] == []
    open_workflow(page, workflow)
    assert page.until(lambda: shown(page), before) == before
    page.shoot("results_after_a_tab_switch")


def test_a_run_that_ends_while_another_workflow_is_open_is_shown_in_its_own_and_in_no_other(page):
    ids = guided_and_scored(page, steps=80)  # enough for a slow page to be elsewhere before the end
    page.capture()
    workflow = page.page.evaluate("window.app.graph.id")
    page.page.evaluate(HEAR)
    page.page.evaluate("window.app.queuePrompt(0, 1)")
    page.page.wait_for_function(
        "Number(document.querySelector('.videoalign-trace')?.dataset.points) > 2", timeout=300_000
    )
    # A copy: the same nodes with the same ids in a workflow of its own.
    page.page.evaluate(
        "async () => { const graph = window.app.graph.serialize(); graph.id = crypto.randomUUID(); await window.app.loadGraphData(graph); }"
    )
    page.page.wait_for_function("id => window.app.graph.id !== id", arg=workflow)
    copied = counts(page)
    page.page.wait_for_function("window.heardRuns.size > 0", timeout=120_000)
    page.settle()
    assert counts(page) == copied and max(copied[2], default=0) < 79
    open_workflow(page, workflow)
    whole = (12, 16, [79] * 3)
    assert page.until(lambda: counts(page), whole) == whole
    assert page.until(lambda: kept_until_the_end(page, ids), True)  # for after a reload, too


def test_results_stay_after_an_undo(page, complete):
    ids, before = complete
    state = "window.app.extensionManager.workflow.activeWorkflow.changeTracker"
    page.capture()
    steps = page.page.evaluate(f"{state}.undoQueue.length")
    page.set_widget(ids["weights"], "VQ", 0.5)
    page.capture()
    assert page.page.evaluate(f"{state}.undoQueue.length") == steps + 1  # the run itself was no step to be undone
    page.page.evaluate(f"{state}.undo()")
    assert page.until(lambda: page.widget(ids["weights"], "VQ") != 0.5, True)
    page.fit()
    assert page.until(lambda: shown(page), before) == before
    page.shoot("results_after_an_undo")


def came_back(page) -> None:
    page.page.wait_for_function(READY, timeout=300_000)
    page.page.wait_for_function("window.app.graph.nodes.length > 5", timeout=300_000)
    page.page.keyboard.press("Escape")
    page.fit()


def reload(page) -> None:
    page.set_setting(
        "Comfy.VueNodes.Enabled", page.name == "nodes2"
    )  # pages of both frontends share the server's settings
    page.page.reload()
    came_back(page)


def test_results_come_back_after_a_reload(page, complete):
    ids, before = complete
    page.wait_for_draft(page.widget(ids["sampler"], "seed"), "videoalign_trace")  # the last result of a run
    reload(page)
    assert page.until(lambda: shown(page), before) == before
    page.shoot("results_after_a_reload")


def test_a_run_that_ends_while_no_page_is_there_is_shown_when_one_is_again(own_page):
    page = own_page
    ids = guided_and_scored(page, steps=40)
    page.page.evaluate("window.app.queuePrompt(0, 1)")
    page.page.wait_for_function(
        "Number(document.querySelector('.videoalign-trace')?.dataset.points) > 2", timeout=300_000
    )
    page.wait_for_draft(page.widget(ids["sampler"], "seed"))
    page.page.goto("about:blank")
    page.until(lambda: bool(page.server.get("/queue")["queue_running"]), False, seconds=600)
    page.set_setting("Comfy.VueNodes.Enabled", page.name == "nodes2")
    page.page.goto(page.server.url)
    came_back(page)
    whole = (12, 16, [39] * 3)
    assert page.until(lambda: counts(page), whole) == whole
    assert page.until(lambda: kept_until_the_end(page, ids), True)
    missed = "localStorage.getItem('videoalign.runs')"
    assert page.until(lambda: page.page.evaluate(missed), "[]") == "[]"


@pytest.mark.slow  # a run that is long enough to be reloaded in its middle
def test_a_reload_in_the_middle_of_a_run_goes_on_with_the_whole_curve(own_page):
    page = own_page
    ids = guided_and_scored(page, steps=150)
    page.page.evaluate("window.app.queuePrompt(0, 1)")
    page.page.wait_for_function(
        "Number(document.querySelector('.videoalign-trace')?.dataset.points) > 5", timeout=60_000
    )
    page.wait_for_draft(page.widget(ids["sampler"], "seed"))
    reload(page)
    page.page.wait_for_function(
        "Number(document.querySelector('.videoalign-trace')?.dataset.points) === 149", timeout=120_000
    )
    whole = (12, 16, [149] * 3)
    assert page.until(lambda: counts(page), whole) == whole


def test_an_interrupted_run_says_where_it_stopped(page):
    guided_and_scored(page, steps=200)
    page.page.evaluate("window.app.queuePrompt(0, 1)")
    page.page.wait_for_function(
        "Number(document.querySelector('.videoalign-trace')?.dataset.points) > 5", timeout=60_000
    )
    page.server.post("/interrupt", {})
    page.page.wait_for_function(
        "document.querySelector('.videoalign-trace').dataset.ended === 'stopped'", timeout=60_000
    )
    points = page.page.eval_on_selector(".videoalign-trace", "view => Number(view.dataset.points)")
    (facts,) = page.texts(".videoalign-legends .videoalign-note")
    assert f"stopped after {points}" in facts and 5 < points < 199
    page.shoot("interrupted")
