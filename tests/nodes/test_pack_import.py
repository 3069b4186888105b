import ast
import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "diffusers", "cv2", "numpy", "av")
ROOMS = sorted({file.parent.name for file in PACK.glob("*/__init__.py")} - {"tests"})
OF_COMFYUI = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "nodes", "execution", "latent_preview"}


def test_importing_the_pack_brings_in_nothing_heavy():
    code = f"import sys, videoalign; print([name for name in {HEAVY!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_only_the_compat_file_imports_from_comfyui():
    found = {}
    for path in [path for room in ROOMS for path in (PACK / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            if OF_COMFYUI.intersection(name.split(".")[0] for name in names):
                found.setdefault(path.relative_to(PACK).as_posix(), []).extend(names)
    assert set(found) == {"nodes/comfy_compat.py"}
