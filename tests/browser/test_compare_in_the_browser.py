"""Compare Clips in the browser: in step, under the wipe, pair by pair, after a reload; in both frontends and in its page."""

import json

import numpy as np
import pytest
from comfy_page import READY
from comfy_server import REPOSITORY
from contrast import hard_to_read
from graphs import build
from written_clips import write_clips

from videoalign.cli.main import main
from videoalign.clips.video_file import write_video
from videoalign.micro_world import ClipFormat
from videoalign.nodes.clip_pairs import compared as compared_sets
from videoalign.nodes.clip_pairs import named_sets
from videoalign.nodes.scored_clip import ScoredClip
from videoalign.pages.scripts import inline_script, inline_style

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]
VIEW = ".videoalign-compare"
PALETTE = "name => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)"
READY_PLAYER = f"document.querySelector('{VIEW} .videoalign-player')?.dataset.ready === '1'"
TIMES = f"[...document.querySelectorAll('{VIEW} video')].map(one => one.currentTime)"
# Of each text of the view, its contrast with the page's card; texts on a ground of their own left out.
CONTRASTS = """() => {
    const channels = text => text.startsWith("color(srgb") ? text.match(/[0-9.]+/g).slice(0, 3).map(Number)
        : text.match(/[0-9.]+/g).slice(0, 3).map(one => one / 255);
    const light = colour => channels(colour).map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
        .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
    const view = document.querySelector(".videoalign-compare");
    const ground = light(getComputedStyle(view.closest(".card")).backgroundColor);
    const found = {};
    for (const one of view.querySelectorAll(".videoalign-verdict, .videoalign-pair, .videoalign-delta > *, td, th, .videoalign-caution")) {
        if (!one.textContent) continue;
        const text = light(getComputedStyle(one).color);
        found[one.className + one.textContent] = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    }
    return found;
}"""


def compared(page, clips: int = 3) -> dict:
    """Two batches of scored clips and what compares them, run; ids by name."""
    nodes = {
        "model": {"type": "VideoAlignLoadVideoReward", "at": [20, 60], "widgets": {"model": "tiny.safetensors"}},
        "compare": {"type": "VideoAlignCompareClips", "at": [880, 60]},
    }
    wires = []
    for place, name in enumerate(("a", "b")):
        widgets = {"number": 800 + 20 * place, "clips": clips}
        nodes[name] = {"type": "VideoAlignTestClip", "at": [20, 260 + 160 * place], "widgets": widgets}
        score = {"caption": "a grey square moves", "fps": 8, "clips_in_batch": clips}
        nodes[f"score_{name}"] = {"type": "VideoAlignScoreVideo", "at": [440, 60 + 900 * place], "widgets": score}
        wires += [
            ("model", 0, f"score_{name}", "reward"), (name, 0, f"score_{name}", "clip"), (f"score_{name}", 0, "compare", name),
        ]  # fmt: skip
    ids = build(page, nodes, wires)
    page.run()
    page.page.wait_for_function(READY_PLAYER)
    return ids


def near(page, node: int) -> None:
    """Bring a node into view at its own size."""
    page.page.evaluate(
        """id => {
            const node = window.app.graph.getNodeById(id), view = window.app.canvas.ds;
            view.scale = 1;
            view.offset = [40 - node.pos[0] + 60, 120 - node.pos[1]];
            window.app.canvas.setDirty(true, true);
        }""",
        node,
    )
    page.settle()


def stopped(view, page) -> None:
    """Play no longer, with the keys going to the view."""
    view.focus()
    page.wait_for_function("document.querySelector('.videoalign-player').dataset.playing === '1'")
    view.press(" ")
    page.wait_for_function("document.querySelector('.videoalign-player').dataset.playing === '0'")


def at(page, frame: int, rate: float = 8.0) -> None:
    """All clips are in the middle of this frame."""
    page.wait_for_function(f"({TIMES}).every(time => Math.abs(time - {(frame + 0.5) / rate}) < 1e-3)")


def handled(view, page) -> None:
    """Frame steps, the scrub bar, the wipe and the keys."""
    stopped(view, page)
    for _ in range(9):
        view.press(",")
    at(page, 0)
    for _ in range(3):
        view.press(".")
    at(page, 3)
    scrub = view.locator(".videoalign-scrub")
    assert "frame 4" in scrub.get_attribute("aria-valuetext")
    scrub.focus()
    scrub.press("ArrowRight")
    at(page, 4)
    view.focus()
    view.press("w")
    wipe = view.get_by_role("slider", name="wipe")
    assert wipe.get_attribute("aria-valuenow") == "50"
    stage = view.locator(".videoalign-stage").bounding_box()
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 4, stage["y"] + stage["height"] / 2)
    page.mouse.up()
    assert abs(int(wipe.get_attribute("aria-valuenow")) - 25) <= 1
    before = int(wipe.get_attribute("aria-valuenow"))
    wipe.press("ArrowRight")
    assert int(wipe.get_attribute("aria-valuenow")) == before + 2
    at(page, 4)  # the wipe moves no time


def test_clips_are_compared_in_the_node(page):
    ids = compared(page)
    near(page, ids["compare"])
    view = page.page.locator(VIEW)
    page.shoot("compare_node")
    assert "too few to tell, it takes 6 pairs or more" in view.locator(".videoalign-verdict").inner_text()
    assert view.locator(".videoalign-whole tbody tr").count() == 4
    assert view.locator("[role=img]").count() == 4
    first = view.locator("[role=img]").first.get_attribute("aria-label")
    handled(view, page.page)
    page.shoot("compare_node_wipe")
    view.focus()
    view.press("n")
    page.page.wait_for_function(READY_PLAYER)
    assert view.locator(".videoalign-count").inner_text() == "pair 2 of 3"
    assert view.locator("[role=img]").first.get_attribute("aria-label") != first
    gains = page.page.evaluate(
        "id => window.app.nodeOutputs[id].videoalign_comparison[0].pairs.map(pair => pair.cells['0 1'].at(-1).gain)",
        ids["compare"],
    )
    view.press("x")
    lost = sum(gain < 0 for gain in gains)
    assert view.locator(".videoalign-count").inner_text() == (f"pair 1 of {lost}" if lost else "no pair")
    position = page.page.evaluate("id => window.app.graph.getNodeById(id).pos.slice()", ids["compare"])
    assert [round(one) for one in position] == [880, 60]  # dragging the wipe did not drag the node
    view.press("x")
    for palette in ("light", "dark"):
        page.page.evaluate(PALETTE, palette)
        page.settle()
        page.shoot(f"compare_node_{palette}")
        faint = hard_to_read(page.page, VIEW)
        # WCAG asks 4.5 of a text, and 3 of what outlines a control.
        assert not [one for one in faint if not one[0].startswith("border") or one[1] < 3], palette


def test_the_comparison_comes_back_after_a_reload(own_page):
    page = own_page
    compared(page, clips=2)
    before = page.texts(f"{VIEW} .videoalign-delta, {VIEW} td")
    page.wait_for_draft("videoalign_comparison")
    page.set_setting("Comfy.VueNodes.Enabled", page.name == "nodes2")
    page.page.reload()
    page.page.wait_for_function(READY, timeout=300_000)
    page.page.wait_for_function(READY_PLAYER)
    assert page.texts(f"{VIEW} .videoalign-delta, {VIEW} td") == before and len(before) > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["03 Reward guidance, micro model", "04 Before and after a LoRA, micro model"])
def test_the_micro_workflows_end_in_a_comparison(pages, name):
    page = pages("classic")
    page.clear()
    (file,) = (REPOSITORY / "example_workflows").glob(f"{name}*.json")
    page.load(json.loads(file.read_text(encoding="utf-8")))
    page.run()
    page.page.wait_for_function(READY_PLAYER)
    page.fit()
    page.shoot(f"workflow_{name.split(',')[0].replace(' ', '_')}")
    node = page.page.evaluate("window.app.graph.nodes.find(one => one.type === 'VideoAlignCompareClips').id")
    near(page, node)
    page.shoot(f"workflow_{name.split(',')[0].replace(' ', '_')}_compare")
    (verdict,) = page.texts(f"{VIEW} .videoalign-verdict")
    assert " of 8 pairs" in verdict and "it takes" not in verdict
    boxes = page.page.evaluate(
        "window.app.graph.nodes.map(one => [one.title, one.pos[0], one.pos[1] - 30, one.size[0], one.size[1] + 30])"
    )
    for place, (title, x, y, width, height) in enumerate(boxes):
        for other, x2, y2, width2, height2 in boxes[:place]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y, (title, other)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of `videoalign compare` of clean and of spoilt micro clips."""
    folder = tmp_path_factory.mktemp("compared")
    write_clips(folder / "both", 7, ClipFormat(frames=9))
    rows = [json.loads(line) for line in (folder / "both" / "clips.jsonl").read_text().splitlines()]
    for side in ("one", "two"):
        mine = [
            row | {"id": row["path"][:-4], "path": f"../both/{row['path']}"}
            for row in rows
            if f"_{side}" in row["path"]
        ]
        (folder / side).mkdir()
        (folder / side / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in mine))
    options = ["--output", str(folder / "out"), "--device", "cpu", "--judge", "micro-world"]
    assert main(["compare", str(folder / "one"), str(folder / "two"), *options]) == 0
    return folder / "out" / "index.html"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), pytest.param("dark", 390, marks=pytest.mark.slow)])
def test_the_page_of_compare_plays_pairs_in_step(written, chromium, screenshots, scheme, width):
    context = chromium.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(written.as_uri())
    page.wait_for_function(READY_PLAYER)
    view = page.locator(VIEW)
    view.scroll_into_view_if_needed()
    page.screenshot(path=str(screenshots / f"compare_page_{scheme}.png"), full_page=True)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 10 and min(contrasts.values()) >= 4.5, contrasts
    handled(view, page)
    page.screenshot(path=str(screenshots / f"compare_page_wipe_{scheme}.png"))
    order = view.get_by_role("combobox", name="order of the pairs")
    order.select_option("lost")
    gains = []
    for _ in range(7):
        gains.append(view.locator("[role=img] .videoalign-by").nth(3).inner_text())
        view.focus()
        view.press("n")
    values = [float(text.split()[0].replace("\u2212", "-")) for text in gains]
    assert values == sorted(values) and values[0] < 0 < values[-1]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") and not complaints
    order.select_option("given")
    view.focus()
    view.press("x")
    assert view.locator(".videoalign-count").inner_text() == f"pair 1 of {sum(value < 0 for value in values)}"
    context.close()


@pytest.fixture
def three_sets(tmp_path):
    """A page of the view alone: three sets, two pairs, clips of different length and rate, and one that is gone."""
    rng = np.random.default_rng(5)
    for name, frames, fps in (("slow", 16, 8), ("short", 24, 24), ("long", 32, 8)):
        picture = rng.integers(0, 255, (frames, 16, 16, 3), np.uint8).repeat(16, 1).repeat(16, 2)
        write_video(tmp_path / f"{name}.mp4", picture, fps, "yuv420p")
    files = [("slow", 8), ("short", 24), ("long", 8)]
    sets = [
        [ScoredClip({"VQ": vq + place}, name) for vq in (0.0, 1.0 - place)] for place, (name, _) in enumerate(files)
    ]
    data, _ = compared_sets(named_sets([name for name, _ in files], sets))
    for pair in data["pairs"]:
        for clip, (name, fps) in zip(pair["clips"], files, strict=True):
            clip |= {"file": f"{name}.mp4", "fps": fps}
    data["pairs"][1]["clips"][2]["file"] = "gone.mp4"
    page = tmp_path / "view.html"
    page.write_text(
        f"<!doctype html><meta charset=utf-8><style>{inline_style('compare.css')}</style><body><script>"
        f"{inline_script('compare_view.js')}const view = compareView({json.dumps(data)}, clip => clip.file);"
        "document.body.append(view.element);</script>",
        encoding="utf-8",
    )
    return page


def test_any_two_of_three_sets_are_watched_by_time_and_a_clip_that_is_gone_is_told(three_sets, chromium, screenshots):
    context = chromium.new_context(viewport={"width": 800, "height": 700})
    page = context.new_page()
    page.goto(three_sets.as_uri())
    page.wait_for_function(READY_PLAYER)
    view = page.locator(VIEW)
    stopped(view, page)
    bar = view.locator(".videoalign-scrub")
    assert float(bar.get_attribute("max")) == pytest.approx(2.0, abs=0.01)  # of the longer one
    bar.evaluate("one => { one.value = 0.5; one.dispatchEvent(new Event('input')); }")
    page.wait_for_function(f"({TIMES}).every(time => Math.abs(time - 0.5) < 1e-3)")
    view.focus()
    view.press(".")  # a frame of the finer one
    at(page, 13, 24.0)
    bar.evaluate("one => { one.value = 1.5; one.dispatchEvent(new Event('input')); }")
    page.wait_for_function(
        f"Math.abs(({TIMES})[0] - 1.5) < 1e-3 && Math.abs(({TIMES})[1] - 1) < 0.05"
    )  # it waits at its end
    view.get_by_role("combobox", name="compared", exact=True).select_option("2")
    page.wait_for_function(READY_PLAYER)
    assert view.locator("figcaption").all_inner_texts() == ["slow", "long"]
    assert view.locator(".videoalign-verdict").inner_text().startswith("long won 1 of 2 pairs (1 equal)")
    view.get_by_role("combobox", name="compare with").select_option("1")
    assert view.locator("figcaption").all_inner_texts() == ["short", "long"]
    view.focus()
    view.press("n")
    page.wait_for_function("document.querySelector('.videoalign-gone')")
    assert "no longer there" in view.locator(".videoalign-gone").inner_text()
    view.focus()
    view.press(".")  # the other clip is watched all the same
    page.wait_for_function(f"({TIMES}).length === 1 && ({TIMES})[0] > 0")
    page.screenshot(path=str(screenshots / "compare_view_three_sets.png"))
    context.close()
