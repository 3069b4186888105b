"""The page of ``videoalign choose``, opened as a browser opens it."""

import os
import subprocess
import sys
import time

import pytest
from written_clips import write_clips

from videoalign.micro_world import ClipFormat
from videoalign.preferences.reading import read_preferences

pytestmark = pytest.mark.browser
VIEW = ".videoalign-choose"


@pytest.fixture
def address(tmp_path):
    """What `videoalign choose` gives the default browser to open; it serves until the test ends."""
    write_clips(tmp_path / "clips", 3, ClipFormat(size=32, frames=9))
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/address.part\nmv {tmp_path}/address.part {tmp_path}/address\n'
    )
    browser.chmod(0o755)
    command = [sys.executable, "-m", "videoalign.cli.main", "choose", str(tmp_path / "clips")]
    environment = {**os.environ, "BROWSER": f"{browser} %s"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "address").exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield (tmp_path / "address").read_text().strip()
        process.terminate()


@pytest.mark.parametrize("width", [360, 1200])
def test_the_opened_file_leads_to_the_page_on_which_pairs_are_chosen(address, chromium, tmp_path, width):
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    for done in (1, 2):
        page.wait_for_selector(f"{VIEW}[data-ready='1']", timeout=60_000)
        page.keyboard.press("Shift+A")
        page.wait_for_selector(f"{VIEW}[data-done='{done}']", timeout=60_000)
    page.keyboard.press("Backspace")
    page.wait_for_selector(f"{VIEW}[data-done='1']", timeout=60_000)
    assert page.url.startswith("http://127.0.0.1:") and not complaints
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    (kept,) = read_preferences(tmp_path / "clips" / "choices.jsonl")
    assert set(kept.in_source_order().labels.values()) == {"A"}
