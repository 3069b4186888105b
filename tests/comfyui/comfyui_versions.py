"""Says at the end of a run which ComfyUI ran: a pass without it must not look like a pass with it."""

import pytest

versions_that_ran: set[str] = set()


@pytest.hookimpl
def pytest_sessionfinish(session):
    """A worker of pytest-xdist tells the process that writes the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["comfyui_versions"] = sorted(versions_that_ran)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    versions_that_ran.update(getattr(node, "workeroutput", {}).get("comfyui_versions", ()))


def pytest_terminal_summary(terminalreporter):
    if versions_that_ran:
        terminalreporter.write_line(f"ComfyUI {', '.join(sorted(versions_that_ran))} ran in these tests.")
    elif any("comfyui" in getattr(report, "keywords", ()) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line("No ComfyUI ran in these tests.", yellow=True)
