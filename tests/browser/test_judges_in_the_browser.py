"""Marks, reasons and refusals of a panel's judges in Score Video, Pick Best of N and Compare Clips."""

import pytest
from graphs import build
from prompts import node

from videoalign.nodes.reward_models import EMBEDDED_NAME

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]


@pytest.fixture(params=["classic", pytest.param("nodes2", marks=pytest.mark.slow)])
def frontend(request) -> str:
    """Nodes 2.0 with --run-slow: it takes as long again."""
    return request.param


@pytest.fixture(scope="module")
def critic(comfyui):
    """A judge with reasons, registered before a page asks for the nodes."""
    assert not comfyui.run({"register": node("TestJudges")}).errors


def judged(page, clips: int = 4) -> dict:
    """Four clips and one that the critic refuses, judged by three, ranked by rules."""
    nodes = {
        "reward": {"type": "VideoAlignLoadVideoReward", "at": [20, 60], "widgets": {"model": EMBEDDED_NAME}},
        "critic": {"type": "VideoAlignLoadJudge", "at": [20, 280], "widgets": {"judge": "test-critic"}},
        "measures": {"type": "VideoAlignMeasurements", "at": [20, 500]},
        "panel": {"type": "VideoAlignPanel", "at": [20, 620]},
        "clip": {"type": "VideoAlignTestClip", "at": [20, 800], "widgets": {"number": 700, "clips": clips}},
        "short": {"type": "VideoAlignTestClip", "at": [20, 1040], "widgets": {"number": 800, "frames": 6}},
        "score": {"type": "VideoAlignScoreVideo", "at": [440, 60], "widgets": {"fps": 8, "clips_in_batch": clips}},
        "refused": {"type": "VideoAlignScoreVideo", "at": [440, 1300], "widgets": {"fps": 8}},
        "rules": {
            "type": "VideoAlignRankingRules",
            "at": [20, 1280],
            "widgets": {"weights": "test-critic.light = 1\nmeasures.sharpness = 0.5\nVQ=0, MQ=0", "gates": "test-critic.light > 0.1"},
        },
        "best": {"type": "VideoAlignPickBest", "at": [940, 60]},
        "compared": {"type": "VideoAlignCompareClips", "at": [1480, 60]},
    }  # fmt: skip
    wires = [
        ("reward", 0, "panel", "judges.judge0"), ("critic", 0, "panel", "judges.judge1"), ("measures", 0, "panel", "judges.judge2"),
        ("panel", 0, "score", "reward"), ("clip", 0, "score", "clip"), ("panel", 0, "refused", "reward"), ("short", 0, "refused", "clip"),
        ("score", 0, "best", "candidates.candidate0"), ("refused", 0, "best", "candidates.candidate1"), ("rules", 0, "best", "rules"),
        ("score", 0, "compared", "a"), ("best", 5, "compared", "b"),
    ]  # fmt: skip
    ids = build(page, nodes, wires)
    page.fit()
    return ids


def outputs(page) -> dict:
    last = list(page.server.get("/history").values())[-1]
    assert last["status"]["status_str"] == "success", last["status"]["messages"]
    return last["outputs"]


def test_marks_reasons_and_refusals_are_seen_and_come_back(critic, page):
    ids = judged(page)
    page.run()
    page.fit()
    ran = outputs(page)
    scores = ran[str(ids["score"])]["videoalign_scores"]
    assert page.texts(".videoalign-clip .videoalign-judgename")[:3] == ["videoreward", "test-critic", "measures"]
    chip = page.page.locator(".videoalign-clip .videoalign-chip", has_text="object_motion").first
    assert f"{scores[0]['measures.object_motion']:.3g}" in chip.text_content()
    assert "motion without the camera's" in chip.get_attribute("title")
    assert "share of VBench's threshold, 0 to 1" in chip.get_attribute("title")
    assert "less is better" in page.page.locator(".videoalign-chip", has_text="shake").first.get_attribute("title")
    assert "test-critic gave no marks: the critic wants nine frames" in page.texts(
        ".videoalign-clip .videoalign-warning"
    )
    # The reason stands beside the mark in one line, and opens to its whole text; the node grows with it.
    reason = page.page.locator(".videoalign-clip .videoalign-reason").first
    said = reason.locator(".videoalign-said")
    assert not said.is_visible()
    reason.locator("summary").click()
    assert said.is_visible() and said.text_content() == scores[0]["reasons"]["test-critic.light"]
    page.shoot("reasons")
    # Pick Best: what counts, in the marks' own figures; all the others below.
    ranking = ran[str(ids["best"])]["videoalign_ranking"][0]
    assert page.texts(".videoalign-ranked.winner .videoalign-zbar .videoalign-name") == ["light", "sharpness"]
    why = page.page.locator(".videoalign-ranked.winner .videoalign-body > .videoalign-reason")
    why.locator("summary").click()
    assert why.locator(".videoalign-said").is_visible() and "white" in why.locator(".videoalign-said").text_content()
    assert page.texts(".videoalign-ranked.winner .videoalign-total") == [f"+{ranking['clips'][0]['total']:.2f} z"]
    assert page.texts("select.videoalign-order option") == ["total", "test-critic.light", "measures.sharpness"]
    page.page.locator(".videoalign-open").last.click()
    out = page.page.locator(".videoalign-ranked", has_text="has no test-critic.light")
    assert out.locator(".videoalign-rank").text_content() == "out"
    page.shoot("panel_ranking")
    # The workflow keeps what the marks are once, and shows them all again.
    page.page.wait_for_timeout(500)
    before = sorted(page.texts(".videoalign-clip .videoalign-chip"))
    saved = page.saved()
    page.clear()
    page.load(saved)
    assert sorted(page.texts(".videoalign-clip .videoalign-chip")) == before and len(before) > 4 * 18


def test_two_candidates_and_two_sets_are_compared_judge_by_judge(critic, page):
    ids = judged(page)
    page.run()
    page.fit()
    compare = page.page.locator(".videoalign-ranked button", has_text="compare")
    compare.nth(0).click()
    compare.nth(1).click()
    marks = outputs(page)[str(ids["best"])]["videoalign_ranking"][0]["clips"][0]["marks"]
    shown = page.texts(".videoalign-compared .videoalign-delta b")
    assert (
        {"light", "sharpness", "VQ", "total"}
        <= set(shown)
        <= {mark["name"].rpartition(".")[2] for mark in marks} | {"total"}
    )
    assert page.texts(".videoalign-compared .videoalign-judge") == [
        "videoreward",
        "test-critic",
        "measures",
        "all of them",
    ]
    guard = outputs(page)[str(ids["compared"])]["videoalign_comparison"][0]["comparisons"][0]["guard"]
    assert guard["outcome"] == "too few to tell"
    assert f"{guard['outcome']} {guard['sentence']}" in page.texts(".videoalign-guard")
    page.shoot("panel_compared")
