"""locales/en/nodeDefs.json as the nodes themselves have it: ``python english_locale.py`` (COMFYUI_PATH set) writes it anew."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "locales" / "en" / "nodeDefs.json"


def english(definitions: dict) -> dict:
    """The words of the pack's nodes, from /object_info."""
    return {name: _words(made) for name, made in definitions.items() if made.get("category") == "VideoAlign"}


def _words(definition: dict) -> dict:
    inputs = {**definition["input"].get("required", {}), **definition["input"].get("optional", {})}
    outputs = zip(definition["output_name"], definition["output_tooltips"], strict=True)
    return {
        "display_name": definition["display_name"],
        "description": definition["description"],
        "inputs": {name: {"name": name, "tooltip": entry[1]["tooltip"]} for name, entry in inputs.items()},
        "outputs": {str(place): {"name": name, "tooltip": words} for place, (name, words) in enumerate(outputs)},
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from comfy_server import ComfyServer

    with tempfile.TemporaryDirectory() as folder:
        server = ComfyServer(Path(os.environ["COMFYUI_PATH"]).resolve(), Path(folder))
        try:
            words = english(server.get("/object_info"))
        finally:
            server.stop()
    known = json.loads(FILE.read_text())
    FILE.write_text(json.dumps({**{name: words[name] for name in known if name in words}, **words}, indent=2) + "\n")
