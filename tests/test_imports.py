"""Imports run one way: no file and no room stands on one that stands on it; and no file grows too long to be read.

All imports count, those inside functions too, since they make the same knot; those under TYPE_CHECKING do not run.
"""

import ast
import itertools
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "videoalign"
NO_PACKAGE = {"tests", "benchmarks", "example_workflows", "web", "locales"}
ABOVE_ALL = {"", "cli.main"}
"""What starts the pack and the command line: it may know every room, and no room knows it."""
LONGEST_FILE = 400
LARGEST_TRAINING = 10_400
"""Half of the 17.0k lines that training/ had in 0.1.0, and 1,900 for plans, the cache alone, the moving average, and what a run chooses itself."""


def tracked(pattern):
    """The repository's files of this pattern, tracked by git; where there is no git, those that lie there."""
    listed = subprocess.run(["git", "ls-files", "-z", pattern], cwd=REPOSITORY, capture_output=True, text=True)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    files = [REPOSITORY / name for name in names if name] or [
        path for path in REPOSITORY.rglob(pattern) if not any(part.startswith(".") for part in path.parts[1:])
    ]
    return sorted(path for path in files if path.is_file())


def module_of(file):
    """Its dotted name inside the package; a folder's ``__init__`` is the folder."""
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="module")
def sources():
    """Module -> its syntax tree, for every module of the package."""
    files = [file for file in tracked("*.py") if file.relative_to(REPOSITORY).parts[0] not in NO_PACKAGE]
    assert len(files) > 200
    return {module_of(file): ast.parse(file.read_text(encoding="utf-8"), file) for file in files}


def running(tree):
    """The nodes of a tree without those that only a type checker sees."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        checked = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        waiting += node.orelse if checked else ast.iter_child_nodes(node)


def named(module, is_folder, node):
    """Dotted names inside the package that an import statement may mean: `from x import y` is x, and x.y if that is a file."""
    if isinstance(node, ast.Import):
        return [alias.name.removeprefix(PACKAGE + ".") for alias in node.names if alias.name.startswith(PACKAGE + ".")]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        here = module.split(".") if module else []
        kept = len(here) - node.level + is_folder
        base = [*here[:kept], *(node.module or "").split(".")]
    elif (node.module or "").split(".")[0] == PACKAGE:
        base = node.module.split(".")[1:]
    else:
        return []
    base = ".".join(part for part in base if part)
    return [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]


@pytest.fixture(scope="module")
def imports(sources):
    """Module -> the modules of the package that it imports, itself left out."""
    folders = {module.rpartition(".")[0] for module in sources}
    found = {}
    for module, tree in sources.items():
        names = [name for node in running(tree) for name in named(module, module in folders or module == "", node)]
        found[module] = {name for name in names if name in sources} - {module}
        for name in list(found[module]):
            # `from .room import file` runs room/__init__ first, but what it asks for is the file.
            if any(other.startswith(name + ".") for other in found[module]) and not _defines(sources[name]):
                found[module].discard(name)
    return found


def _defines(tree):
    """Whether a folder's ``__init__`` is more than its docstring."""
    return len(tree.body) > (ast.get_docstring(tree) is not None)


def circles(arrows):
    """The shortest circle through each name that is in one, as lists that begin and end with one name; each name once."""
    told, seen = [], set()
    for start in sorted(arrows):
        if start not in seen and (found := _shortest(arrows, start)):
            told.append(found)
            seen.update(found)
    return told


def _shortest(arrows, start):
    """The shortest way from a name back to itself, None where there is none."""
    waiting, before = [start], {}
    for name in waiting:
        for following in sorted(arrows.get(name, ())):
            if following == start:
                way = [start]
                while name != start:
                    way.append(name)
                    name = before[name]
                return [start, *way[::-1]]
            if following not in before:
                before[following] = name
                waiting.append(following)
    return None


def rooms(imports, folder):
    """Arrows between the rooms that lie in ``folder``, each with what it holds, and one import that makes each arrow.

    The files of the folder itself belong to no room: they may stand below its rooms or above them.
    """
    inside = f"{folder}." if folder else ""
    folders = {module.rpartition(".")[0] for module in imports}

    def room(module):
        first = module.removeprefix(inside).split(".")[0] if module.startswith(inside) else ""
        return inside + first if inside + first in folders and module else ""

    arrows, reasons = {}, {}
    for module, targets in imports.items():
        for target in targets:
            one, two = room(module), room(target)
            if one and two and one != two and module not in ABOVE_ALL:
                arrows.setdefault(one, set()).add(two)
                reasons.setdefault((one, two), f"{module} imports {target}")
    return arrows, reasons


def test_no_files_import_each_other_in_a_circle(imports):
    assert sum(map(len, imports.values())) > 500
    told = [" -> ".join(found) for found in circles(imports)]
    assert not told, "files import each other in a circle:\n" + "\n".join(told)


def test_no_rooms_import_each_other_in_a_circle(imports):
    told = []
    for folder in sorted({module.rpartition(".")[0] for module in imports}):
        arrows, reasons = rooms(imports, folder)
        for found in circles(arrows):
            steps = "; ".join(reasons[step] for step in itertools.pairwise(found))
            told.append(f"rooms of {folder or 'the package'} in a circle: {' -> '.join(found)} ({steps})")
    assert not told, "\n".join(told)


def test_nothing_stands_on_what_starts_the_pack_and_the_command_line(imports):
    rooms_and_files = {module: targets for module, targets in imports.items() if module not in ABOVE_ALL}
    above = {module: sorted(targets & ABOVE_ALL) for module, targets in rooms_and_files.items() if targets & ABOVE_ALL}
    assert not above


def test_no_file_is_longer_than_can_be_read():
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in tracked("*.py")}
    long = [
        f"{file.relative_to(REPOSITORY)} has {count} lines" for file, count in lines.items() if count > LONGEST_FILE
    ]
    assert not long, f"over {LONGEST_FILE} lines: {'; '.join(long)}. Split them by topic."


def test_training_is_no_house_of_its_own():
    files = [file for file in tracked("training/*") if file.suffix in (".py", ".toml")]
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    assert 0 < lines < LARGEST_TRAINING, f"training/ has {lines} lines; what is no trainer belongs elsewhere."


@pytest.mark.parametrize(
    ("arrows", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, [["b", "c", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}}, [["a", "b", "c", "a"], ["d", "e", "d"]]),
    ],
)
def test_each_circle_is_told_by_its_shortest_way_round(arrows, expected):
    assert circles(arrows) == expected


def test_imports_in_functions_count_and_those_for_type_checkers_do_not():
    tree = ast.parse(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from .seen_by_checkers import X\nelse:\n    from .otherwise import X\n"
        "def f():\n    from ..files import tables\n    import videoalign.reward.clip\n"
    )
    names = [name for node in running(tree) for name in named("training.loop", False, node)]
    assert set(names) >= {"training.otherwise", "files", "files.tables", "reward.clip"}
    assert "training.seen_by_checkers" not in names
