"""How long the page of ComfyUI takes for a frame while a graph with a long ranking is moved.

    COMFYUI_PATH=PATH python benchmarks/ranking_panel.py --candidates 200

Needs a ComfyUI tree and Debian's chromium. Frame times are those between animation frames while the canvas is panned, in
milliseconds; a screen's own pace is 16.7.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from results_section import Section, benchmark_parser

HEADING = "A long ranking in the page"
AIM = 33
TESTS = Path(__file__).resolve().parents[1] / "tests"
PAN = """async frames => {
    const canvas = window.app.canvas, times = [];
    await new Promise(done => {
        let last = performance.now();
        const step = now => {
            times.push(now - last);
            last = now;
            canvas.ds.offset[0] += times.length % 40 < 20 ? 6 : -6;
            canvas.setDirty(true, true);
            times.length < frames ? requestAnimationFrame(step) : done();
        };
        requestAnimationFrame(step);
    });
    return times.slice(5);
}"""


def main() -> None:
    """Run it."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--frames", type=int, default=120, help="that are timed")
    options = parser.parse_args()
    sys.path[:0] = [str(TESTS / "comfyui"), str(TESTS / "browser")]
    import graphs
    from comfy_page import ComfyPage
    from comfy_server import ComfyServer
    from playwright.sync_api import sync_playwright

    from videoalign.nodes.reward_models import EMBEDDED_NAME

    with (
        Section(HEADING, options, libraries=("playwright", "comfyui-frontend-package")) as section,
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
    ):
        server = ComfyServer(Path(os.environ["COMFYUI_PATH"]).resolve(), Path(folder))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"]
        )
        section.table("frame, ms", "min", "median", "max")
        try:
            for frontend in ("classic", "nodes2"):
                context = browser.new_context(viewport={"width": 1600, "height": 1100})
                page = ComfyPage(context.new_page(), server, frontend == "nodes2", Path(folder), frontend)
                section.row(f"{frontend}, empty graph", *_frames(page, options.frames)[0])
                graphs.best_of(page, clips=options.candidates, model=EMBEDDED_NAME)
                page.run(seconds=1800)
                page.fit()
                shown = page.page.locator(".videoalign-ranked").count()
                cells, median = _frames(page, options.frames)
                section.row(f"{frontend}, {shown} candidates", *cells)
                # What is left is the frontend's own time for the five nodes.
                page.page.add_style_tag(content=".videoalign-clip, .videoalign-ranked { display: none !important; }")
                page.settle()
                section.row(f"{frontend}, the same nodes with empty lists", *_frames(page, options.frames)[0])
                section.aim(f"{frontend}: median frame, ms", median, at_most=AIM)
                context.close()
        finally:
            browser.close()
            server.stop()


def _frames(page, frames: int) -> tuple[list[str], float]:
    """Cells of a row, and the median."""
    times = page.page.evaluate(PAN, frames)
    median = statistics.median(times)
    return [f"{value:.1f}" for value in (min(times), median, max(times))], median


if __name__ == "__main__":
    main()
