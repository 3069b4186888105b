"""Roles, names and contrast of the pack's widgets, by axe-core, in ComfyUI's dark and light palette."""

import pytest
from graphs import best_of, guided

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

SERIOUS = {"serious", "critical"}
PALETTE = "name => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)"


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


@pytest.mark.parametrize("palette", ["dark", pytest.param("light", marks=pytest.mark.slow)])
def test_the_widgets_have_no_serious_finding(page, palette):
    best_of(page, clips=5)
    guided(page, steps=5, top=1160)
    page.run()
    page.page.evaluate(PALETTE, palette)
    try:
        page.fit()
        page.shoot(f"accessible_{palette}")
        assert not serious(page, ".videoalign-panel")
    finally:
        page.page.evaluate(PALETTE, "dark")
        page.settle()
