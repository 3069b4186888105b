"""Chromium on the tests' ComfyUI server, in the classic canvas and in Nodes 2.0."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from choose_pages import ChoosePages
from comfy_page import ComfyPage
from comfyui_fixtures import comfyui, reward_file, start_comfyui

__all__ = ["comfyui", "reward_file", "start_comfyui"]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    if shutil.which("chromium") and importlib.util.find_spec("playwright"):
        return
    reason = "needs Debian's chromium and the Python package playwright"
    for item in items:
        if "browser" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory) -> Path:
    """Where the pictures go: the folder VIDEOALIGN_SCREENSHOTS, or a temporary one."""
    chosen = os.environ.get("VIDEOALIGN_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, tmp_path):
    """Opens the page of ``videoalign choose``; see `ChoosePages`."""
    pages = ChoosePages(chromium, tmp_path)
    yield pages
    pages.close()


@pytest.fixture
def shoot(screenshots):
    """Take a picture of a page."""
    return lambda page, name: page.screenshot(path=str(screenshots / f"{name}.png"))


@pytest.fixture(params=["classic", pytest.param("nodes2", marks=pytest.mark.slow)])
def frontend(request) -> str:
    """Which of the two frontends: Nodes 2.0 with --run-slow, for it takes as long again; workflows open in both (test_templates)."""
    return request.param


@pytest.fixture(scope="module")
def pages(chromium, comfyui, screenshots):
    """A page for each frontend, opened when first asked for.

    Each file of tests has its own: a page that has opened several workflows may draw no nodes after its graph was emptied.
    """
    opened = {}

    def get(frontend: str) -> ComfyPage:
        if frontend not in opened:
            context = chromium.new_context(viewport={"width": 1600, "height": 1100})
            opened[frontend] = ComfyPage(context.new_page(), comfyui, frontend == "nodes2", screenshots, frontend)
        return opened[frontend]

    yield get
    for page in opened.values():
        page.page.context.close()


@pytest.fixture
def page(pages, frontend) -> ComfyPage:
    """The frontend's page with an empty graph; nothing of ours may complain during the test."""
    page = pages(frontend)
    page.clear()
    yield page
    assert not page.complaints, page.complaints


@pytest.fixture
def own_page(chromium, comfyui, screenshots, frontend):
    """A page that has had no workflow before: which of several a reload opens is not asked here."""
    context = chromium.new_context(viewport={"width": 1600, "height": 1100})
    page = ComfyPage(context.new_page(), comfyui, frontend == "nodes2", screenshots, frontend)
    yield page
    context.close()
    assert not page.complaints, page.complaints
