"""The pack's workflows as they open and after they ran, in an empty ComfyUI: those for the CPU run at the first click."""

import json
import re

import pytest
from comfy_server import REPOSITORY

pytestmark = [pytest.mark.browser, pytest.mark.comfyui]

FILES = sorted((REPOSITORY / "example_workflows").glob("*.json"), key=lambda file: file.name)
ON_A_CPU = [file for file in FILES if "(CPU" in file.name]


def workflow(file) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def name_of(file) -> str:
    return re.sub(r"\W+", "_", file.stem)[:40]


def boxes(made: dict) -> list[tuple[float, float, float, float]]:
    return [
        (*node["pos"], node["pos"][0] + node["size"][0], node["pos"][1] + node["size"][1]) for node in made["nodes"]
    ]


@pytest.mark.parametrize(
    "file",
    [
        file if file.name.startswith(("01", "03", "12")) else pytest.param(file, marks=pytest.mark.slow)
        for file in FILES
    ],
    ids=name_of,
)
def test_a_workflow_opens_as_it_was_laid_out_with_nothing_on_top_of_another(pages, file):
    page = pages("nodes2" if file.name.startswith(("01", "03", "08")) else "classic")  # each way once in a while
    page.clear()
    page.load(workflow(file))
    page.shoot(f"opens_{name_of(file)}")
    red = page.page.evaluate("window.app.graph.nodes.filter(node => node.has_errors).map(node => node.type)")
    assert not red or file not in ON_A_CPU
    placed = boxes(workflow(file))
    for place, (left, top, right, bottom) in enumerate(placed):
        for other_left, other_top, other_right, other_bottom in placed[place + 1 :]:
            apart = right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
            assert apart, (file.name, (left, top), (other_left, other_top))
    assert not page.complaints, page.complaints


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, marks=pytest.mark.slow) if file.name.startswith(("02", "03", "04")) else file
        for file in ON_A_CPU
    ],
    ids=name_of,
)
def test_a_workflow_for_the_cpu_runs_at_the_first_click(pages, file):
    page = pages("classic")
    page.clear()
    page.load(workflow(file))
    page.run()
    last = list(page.server.get("/history").values())[-1]
    assert last["status"]["status_str"] == "success", last["status"]["messages"]
    page.fit()
    page.shoot(f"ran_{name_of(file)}")
    assert not page.complaints, page.complaints


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_workflow_says_what_it_needs_and_where_its_models_are(file):
    made = workflow(file)
    (note,) = [node for node in made["nodes"] if node["type"] == "MarkdownNote"]
    text = note["widgets_values"][0]
    assert text.startswith("# ") and made["groups"]
    if file in ON_A_CPU:
        assert "Press Run" in text and "CPU" in text
        return
    known = [model for node in made["nodes"] for model in node["properties"].get("models", [])]
    assert known and all(model["url"].startswith("https://huggingface.co/") for model in known)
    assert all(model["url"].endswith(model["name"]) and model["directory"] for model in known)
    if "latent reward" in file.name:
        assert "is public" in text and "videoalign train latent-reward" in text
