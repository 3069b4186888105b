import base64

import numpy as np
import pytest
from graphs import best_of, build

from videoalign.clips.video_file import write_video

MINUS, DASH, SIGMA = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{GREEK SMALL LETTER SIGMA}"

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]


def history(page) -> dict:
    """Outputs of the newest run."""
    runs = page.server.get("/history")
    return list(runs.values())[-1]["outputs"]


def shown(score: float) -> str:
    return f"{'+' if score >= 0 else MINUS}{abs(score):.2f} {SIGMA}"


def visible(page, selector: str) -> bool:
    return page.page.locator(selector).first.is_visible()


def test_after_a_run_the_winner_is_seen_first_with_its_scores(page):
    ids = best_of(page)
    page.run()
    page.fit()
    page.shoot("pick_best")
    outputs = history(page)
    ranking = outputs[str(ids["best"])]["videoalign_ranking"][0]
    assert page.texts(".videoalign-rank") == ["#1", "#2", "#3"]
    assert page.texts(".videoalign-ranked.winner .videoalign-total") == [shown(ranking["clips"][0]["total"])]
    assert page.texts(".videoalign-best") == ["BEST"] and visible(page, ".videoalign-best")
    scores = outputs[str(ids["score"])]["videoalign_scores"]
    drawn = page.texts(".videoalign-clip .videoalign-value")
    assert drawn == [shown(clip[name]) for clip in scores for name in ("VQ", "MQ", "TA")]


def test_the_frames_of_every_clip_are_drawn(page):
    best_of(page)
    page.run()
    widths = page.page.eval_on_selector_all(".videoalign-frame", "found => found.map(one => one.naturalWidth)")
    assert len(widths) == 2 * 3 * 4 and all(width == 120 for width in widths)


def test_the_pictures_lie_inside_their_nodes(page):
    best_of(page)
    page.run()
    page.fit()
    sizes = page.page.evaluate(
        """() => [...document.querySelectorAll('.videoalign-panel')].map(one => {
            const inner = one.getBoundingClientRect(), outer = one.parentElement.getBoundingClientRect();
            return [inner.height, inner.bottom - outer.bottom, inner.right - outer.right];
        })"""
    )
    assert len(sizes) == 3
    for height, below, beside in sizes:
        assert height > 10 and below <= 1 and beside <= 1


def test_a_clip_without_a_caption_shows_a_dash_and_says_why(page):
    ids = best_of(page, clips=1, caption="")
    page.run()
    assert page.texts(".videoalign-clip .videoalign-value")[2] == DASH
    assert "no caption" in " ".join(page.texts(".videoalign-clip .videoalign-note"))
    assert page.texts(".videoalign-ranked .videoalign-value")[2] == DASH
    assert "No clip has a caption" in " ".join(page.texts(".videoalign-warning"))
    page.fit()
    page.shoot("no_caption")
    assert ids


def test_a_preset_moves_the_sliders_and_a_slider_leaves_the_preset(page):
    ids = build(page, {"weights": {"type": "VideoAlignRewardWeights", "at": [60, 60]}}, [])
    node = ids["weights"]
    page.set_widget(node, "preset", "visual and motion quality 0.5 : 0.5 : 0")
    assert [page.widget(node, name) for name in ("VQ", "MQ", "TA")] == [0.5, 0.5, 0]
    assert page.texts(".videoalign-share") == ["VQ 50 %", "MQ 50 %", ""]
    page.set_widget(node, "TA", 1)
    assert page.widget(node, "preset") == "custom (the sliders)"
    assert page.texts(".videoalign-share") == ["VQ 25 %", "MQ 25 %", "TA 50 %"]
    page.shoot("weights")


def test_sliders_all_at_zero_are_called_out_at_once(page):
    ids = build(page, {"weights": {"type": "VideoAlignRewardWeights", "at": [60, 60]}}, [])
    for name in ("VQ", "MQ", "TA"):
        page.set_widget(ids["weights"], name, 0)
    assert "All three weights are 0" in page.texts(".videoalign-warning")[0]


def test_changing_a_weight_ranks_anew_without_scoring_again(page):
    ids = best_of(page)
    page.run()
    for name, value in (("VQ", 1), ("MQ", 0), ("TA", 0)):
        page.set_widget(ids["weights"], name, value)
    page.run()
    scores = history(page)[str(ids["score"])]["videoalign_scores"]
    best = max(scores, key=lambda clip: clip["VQ"])
    assert page.texts(".videoalign-ranked.winner .videoalign-total") == [shown(best["VQ"])]
    assert "VQ 100 %" in page.texts(".videoalign-note")[-1] or any(
        "VQ 100 %" in text for text in page.texts(".videoalign-note")
    )


def test_a_saved_graph_comes_back_with_its_values_and_wires(page):
    ids = best_of(page)
    page.set_widget(ids["weights"], "preset", "balanced, gentler text 0.1 : 0.1 : 0.6")
    page.set_widget(ids["best"], "top_k", 2)
    before = page.prompt()
    page.load(page.saved())
    assert page.prompt() == before
    assert before[str(ids["best"])]["inputs"]["candidates.candidate0"] == [str(ids["score"]), 0]
    assert not any("panel" in name for node in before.values() for name in node["inputs"])


def test_a_node_from_a_saved_graph_keeps_its_size(page):
    ids = build(page, {"weights": {"type": "VideoAlignRewardWeights", "at": [60, 60]}}, [])
    size = "id => [...window.app.graph.getNodeById(id).size]"
    page.settle()
    before = page.page.evaluate(size, ids["weights"])
    page.load(page.saved())
    page.load(page.saved())
    page.settle()
    assert page.page.evaluate(size, ids["weights"]) == pytest.approx(before, abs=2)


def test_growing_inputs_grow_as_they_are_connected(page):
    ids = best_of(page, clips=1)
    names = "id => window.app.graph.getNodeById(id).inputs.map(one => one.name).filter(name => name.startsWith('candidates'))"
    before = page.page.evaluate(names, ids["best"])
    page.page.evaluate(
        """async ([from, to]) => {
            const graph = window.app.graph, best = graph.getNodeById(to);
            graph.getNodeById(from).connect(0, best, best.inputs.findIndex(one => one.name === 'candidates.candidate1'));
            await new Promise(done => setTimeout(done, 300));
        }""",
        [ids["score"], ids["best"]],
    )
    after = page.page.evaluate(names, ids["best"])
    assert len(after) == len(before) + 1


def test_a_refused_input_is_shown_to_the_user(page):
    ids = best_of(page, clips=2)
    page.set_widget(ids["score"], "clips_in_batch", 7)
    page.run()
    page.shoot("refused")
    page.page.get_by_text("View details").first.click()
    page.page.get_by_text("The latent holds 2 samples, but there are 7 clips").first.wait_for()
    page.shoot("refused_details")


DROP = """([id, data]) => {
    const node = window.app.graph.getNodeById(id), {scale, offset} = window.app.canvas.ds;
    const box = window.app.canvas.canvas.getBoundingClientRect();
    const x = box.left + (node.pos[0] + 60 + offset[0]) * scale, y = box.top + (node.pos[1] + 20 + offset[1]) * scale;
    const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0)), dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], 'dropped.mp4', {type: 'video/mp4'}));
    for (const kind of ['dragenter', 'dragover', 'drop'])
        document.elementFromPoint(x, y).dispatchEvent(
            new DragEvent(kind, {clientX: x, clientY: y, dataTransfer, bubbles: true, cancelable: true})
        );
}"""
# A loader shows a file's name when its upload begins.
LOADERS = """window.app.graph.nodes.filter(one => one.type === 'LoadVideo')
    .map(one => one.isUploading ? 'uploading' : one.widgets[0].value)"""


def test_a_video_that_is_dropped_on_score_video_becomes_its_clip(page, tmp_path):
    write_video(tmp_path / "clip.mp4", np.zeros((9, 64, 64, 3), np.uint8), 8)
    dropped = base64.b64encode((tmp_path / "clip.mp4").read_bytes()).decode()
    ids = build(page, {"score": {"type": "VideoAlignScoreVideo", "at": [700, 60]}}, [])
    page.fit()
    for _ in range(2):  # the second drop is of the same file into the same node
        page.page.evaluate(DROP, [ids["score"], dropped])
        assert page.until(lambda: page.page.evaluate(LOADERS), ["dropped.mp4"]) == ["dropped.mp4"]
    wired = page.prompt()[str(ids["score"])]["inputs"]["clip"]
    assert page.prompt()[wired[0]]["inputs"]["file"] == "dropped.mp4"
    assert (page.server.base / "input" / "dropped.mp4").is_file()


def test_a_linked_caption_is_a_line_and_a_box_again_without_its_wire(page):
    nodes = {
        "text": {"type": "PrimitiveStringMultiline", "at": [20, 60]},
        "score": {"type": "VideoAlignScoreVideo", "at": [500, 60]},
    }
    ids = build(page, nodes, [])
    height = "id => window.app.graph.getNodeById(id).widgets.find(one => one.name === 'caption').computeLayoutSize(window.app.graph.getNodeById(id)).minHeight"
    open_box = page.page.evaluate(height, ids["score"])
    page.page.evaluate(
        """([from, to]) => {
            const graph = window.app.graph, node = graph.getNodeById(to);
            graph.getNodeById(from).connect(0, node, node.inputs.findIndex(one => one.name === 'caption'));
        }""",
        [ids["text"], ids["score"]],
    )
    assert page.until(lambda: page.page.evaluate(height, ids["score"]) < min(open_box, 30), True)
    page.page.evaluate(
        "id => { const node = window.app.graph.getNodeById(id); node.disconnectInput(node.inputs.findIndex(one => one.name === 'caption')); }",
        ids["score"],
    )
    assert page.until(lambda: page.page.evaluate(height, ids["score"]), open_box) == open_box
