"""Which tests several workers (``pytest -n 2``) keep together, and what they begin with.

pytest-xdist's ``--dist loadgroup`` would do, but its 3.8 does not see the groups under pytest 9.2: it writes a name that
pytest no longer reads. A scheduler that asks for the group of a path needs no marks.
"""

from pathlib import PurePosixPath

import pytest

# By folder, the longest first, so that no long group is left for the end.
LONGEST_FIRST = ("comfyui", "browser", "training", "micro", "reward", "backbones")
# These score the same clips with the same checkpoints; one worker makes them once (the fixture `official`).
SHARE_CHECKPOINTS = ("test_official_", "test_caption_independence")
# Pages in a browser without a ComfyUI behind them.
PAGES = ("test_choose_page_", "test_filter_page_")


def path_of(nodeid: str) -> PurePosixPath:
    """The file of a test, below tests/."""
    return PurePosixPath(nodeid.partition("::")[0].partition("tests/")[2])


def group_of(nodeid: str) -> str:
    """Tests of a group run in one process: those of a file, and those that share a ComfyUI or loaded checkpoints."""
    path = path_of(nodeid)
    if path.parts[0] == "browser" and path.name.startswith(PAGES):
        return "pages"
    if path.parts[0] in ("comfyui", "browser"):
        return path.parts[0]
    if path.parent.name == "reward" and path.name.startswith(SHARE_CHECKPOINTS):
        return "official"
    return str(path)


def order_of(nodeid: str) -> tuple[int, str]:
    """Sorts groups, and leaves the order inside a file as it is."""
    folder = path_of(nodeid).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST), group_of(nodeid)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: order_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)
