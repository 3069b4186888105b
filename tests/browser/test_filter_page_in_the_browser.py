"""The page of ``videoalign filter``: readable on wide and narrow screens, light and dark, with nothing that a screen reader trips over."""

import json

import numpy as np
import pytest

from videoalign.cli.main import main
from videoalign.clips.video_file import write_video
from videoalign.micro_world import Fault, make_clip, sample_scene

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filtered")
    rows = [{"path": "gone.mp4", "prompt": "x", "error": "gone.mp4 does not exist."}]
    for number in range(6):
        faults = [Fault("noise", 0.8)] if number % 2 else []
        clip = make_clip(np.random.default_rng(number), sample_scene(np.random.default_rng(number // 3)), faults)
        write_video(folder / f"{number}.mp4", clip.frames, clip.fps)
        rows.append(
            {
                "path": f"{number}.mp4",
                "prompt": clip.caption,
                "VQ": -0.5 if faults else 0.25 * number,
                "motion": 0.1 * number,
            }
        )
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = [
        "--output",
        folder / "kept",
        "--keep",
        "VQ>=0",
        "--keep",
        "motion<5",
        "--best",
        "0.5",
        "--by",
        "VQ",
        "--by",
        "motion",
    ]
    assert main(["filter", str(folder / "scores.jsonl"), *map(str, options)]) == 0
    return folder / "kept" / "index.html"


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (400, "dark")])
def test_the_page_fits_shows_frames_and_has_no_serious_finding(chromium, screenshots, page_file, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(page_file.as_uri())
    assert page.locator("h1").inner_text() == "2 of 7 clips kept"
    assert page.locator(".clip.dropped").count() == 5 and page.locator(".clip.kept").count() == 2
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.locator(".clip.kept img").count() == 10
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    findings = [one for one in axe.run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert not findings and not said
    page.screenshot(path=str(screenshots / f"filter_{scheme}.png"), full_page=True)
    page.close()
