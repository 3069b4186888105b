"""The repository as a package: what is listed is what is there, nothing heavy at import, nothing pinned."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_with_python_code_is_a_listed_package():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    folders = {Path(file).parent for file in tracked} - {Path("tests"), Path("benchmarks")}
    found = {
        ".".join(("videoalign", *folder.parts))
        for folder in folders
        if folder.parts[:1] not in (("tests",), ("benchmarks",))
    }
    assert found == listed


def test_every_file_that_the_code_reads_beside_itself_is_in_a_wheel():
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    rooms = {name.split(".")[1] for name in PROJECT["tool"]["setuptools"]["packages"] if "." in name} | {"web"}
    beside = {
        file
        for file in tracked
        if file.split("/")[0] in rooms
        and not file.endswith(".py")
        and not file.startswith("web/docs/")  # ComfyUI's help: it has the folder as its pack
        and not file.startswith("micro/video/begun/")  # the recipe goes on from it, in a checkout
    }
    packed = {
        path.relative_to(ROOT).as_posix()
        for pattern in PROJECT["tool"]["setuptools"]["package-data"]["videoalign"]
        for path in ROOT.glob(pattern)
    }
    assert "pages/templates/base.html.j2" in beside
    assert beside <= packed


def test_no_requirement_is_pinned_and_both_lists_of_requirements_agree():
    required = PROJECT["project"]["dependencies"]
    extras = [entry for extra in PROJECT["project"]["optional-dependencies"].values() for entry in extra]
    assert not [entry for entry in required + extras if "==" in entry]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == required


def test_the_version_is_the_same_everywhere():
    version = PROJECT["project"]["version"]
    assert re.search(r'^__version__ = "(.+)"$', (ROOT / "__init__.py").read_text(encoding="utf-8"), re.M)[1] == version


def test_importing_the_package_and_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, videoalign, videoalign.reward, videoalign.cli.main; "
        "print([m for m in ('torch', 'transformers', 'diffusers', 'cv2', 'av', 'numpy', 'pydantic') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_only_nodes_import_comfyui_and_imports_inside_the_package_are_relative():
    rooms = sorted({name.split(".")[1] for name in PROJECT["tool"]["setuptools"]["packages"] if "." in name})
    comfy = re.compile(r"^\s*(?:import|from) (comfy|comfy_api|folder_paths|server|nodes|execution)\b", re.M)
    absolute = re.compile(rf"^\s*(?:import|from) (videoalign|{'|'.join(rooms)})\b", re.M)
    for room in rooms:
        for file in (ROOT / room).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert not absolute.search(text), file
            assert room == "nodes" or not comfy.search(text), file
