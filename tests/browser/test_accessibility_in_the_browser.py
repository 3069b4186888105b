"""Roles, names and contrast of the pack's widgets, by axe-core, in ComfyUI's dark and light palette."""

import pytest
from graphs import best_of, build
from guidance_prompts import MODEL, REWARD, make_guidance_files

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

SERIOUS = {"serious", "critical"}
PALETTE = "name => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)"


@pytest.fixture(params=["classic", pytest.param("nodes2", marks=pytest.mark.slow)])
def frontend(request) -> str:
    """Nodes 2.0 with --run-slow: it takes as long again."""
    return request.param


def serious(page, within: str) -> list[str]:
    """Serious findings of axe-core inside elements of a selector."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    found = axe.run(page.page, context={"include": [[within]]}).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_the_widgets_have_no_serious_finding(page, palette):
    make_guidance_files(page.server.base)
    page.page.evaluate("window.app.refreshComboInNodes()")
    best_of(page, clips=5)
    nodes = {
        "unet": {"type": "UNETLoader", "at": [20, 1160], "widgets": {"unet_name": MODEL}},
        "reward": {"type": "VideoAlignLoadLatentReward", "at": [20, 1320], "widgets": {"model": REWARD}},
        "text": {"type": "VideoAlignTestText", "at": [20, 1520], "widgets": {"control_after_generate": "fixed"}},
        "latent": {
            "type": "EmptyHunyuanLatentVideo", "at": [20, 1640], "widgets": {"width": 64, "height": 64, "length": 9, "batch_size": 1},
        },
        "guide": {"type": "VideoAlignRewardGuidance", "at": [400, 1160]},
        "sampler": {"type": "KSampler", "at": [900, 1160], "widgets": {"control_after_generate": "fixed", "steps": 5, "cfg": 1}},
        "trace": {"type": "VideoAlignRewardTrace", "at": [1260, 1160]},
    }  # fmt: skip
    wires = [
        ("unet", 0, "guide", "model"), ("reward", 0, "guide", "latent_reward"), ("guide", 0, "sampler", "model"),
        ("text", 0, "sampler", "positive"), ("text", 0, "sampler", "negative"), ("latent", 0, "sampler", "latent_image"),
        ("guide", 2, "trace", "trace"), ("sampler", 0, "trace", "samples"),
    ]  # fmt: skip
    build(page, nodes, wires)
    page.run()
    page.page.evaluate(PALETTE, palette)
    try:
        page.fit()
        page.shoot(f"accessible_{palette}")
        assert not serious(page, ".videoalign-panel")
    finally:
        page.page.evaluate(PALETTE, "dark")
        page.page.wait_for_timeout(300)
