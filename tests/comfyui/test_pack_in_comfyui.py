"""What ComfyUI knows of the pack: nodes, help, translations, templates."""

import ast
import importlib.util
import json
import urllib.request

import pytest
from comfy_server import REPOSITORY
from english_locale import english

pytestmark = pytest.mark.comfyui

NODES = (
    "LoadVideoReward", "LoadJudge", "Measurements", "Panel", "ScoreVideo", "RewardWeights", "RankingRules", "PickBest", "CompareClips", "SaveScores", "LoadScores",
    "LoadLatentReward", "RewardGuidance", "RewardTrace", "MicroCaption", "MicroClip",
)  # fmt: skip
PACK = "ComfyUI-VideoAlign"
HEAVY = {
    "torch",
    "transformers",
    "diffusers",
    "numpy",
    "av",
    "PIL",
    "einops",
    "safetensors",
    "pydantic",
    "sentencepiece",
}


@pytest.fixture(scope="module")
def definitions(comfyui) -> dict:
    return comfyui.get("/object_info")


def fetch(comfyui, path: str) -> bytes:
    with urllib.request.urlopen(comfyui.url + path, timeout=30) as answer:
        return answer.read()


def inputs_of(definition: dict) -> dict:
    """By name; the fixed sockets that an old ComfyUI has for a growing input count as one."""
    groups = [definition["input"].get(group, {}) for group in ("required", "optional")]
    return {name.split(".")[0]: entry for group in groups for name, entry in group.items()}


@pytest.mark.parametrize("name", NODES)
def test_every_node_explains_itself_and_all_its_sockets(definitions, name):
    definition = definitions[f"VideoAlign{name}"]
    assert definition["category"] == "VideoAlign"
    assert len(definition["description"]) > 40
    for socket, entry in inputs_of(definition).items():
        assert len(entry[1].get("tooltip", "")) > 15, socket
    assert len(definition["output_tooltips"]) == len(definition["output"])
    assert all(len(tooltip) > 8 for tooltip in definition["output_tooltips"])


@pytest.mark.parametrize("name", NODES)
def test_every_node_has_a_help_page_that_names_its_inputs_and_outputs(comfyui, definitions, name):
    page = fetch(comfyui, f"/extensions/{PACK}/docs/VideoAlign{name}.md").decode()
    definition = definitions[f"VideoAlign{name}"]
    assert page.startswith(f"# {definition['display_name']}\n")
    described = page.replace("candidate0", "candidates").replace("three values", "VQ, MQ, TA, preset")
    for socket in [*inputs_of(definition), *definition["output_name"]]:
        assert socket.lower() in described.lower().replace("**weights**", "weights"), socket


def test_the_english_locale_says_what_the_nodes_say(comfyui, definitions):
    assert comfyui.get("/i18n")["en"]["nodeDefs"].items() >= english(definitions).items(), "run english_locale.py"


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_other_languages_are_offered_with_their_help_pages(comfyui, language):
    words = json.loads((REPOSITORY / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert comfyui.get("/i18n")[language]["nodeDefs"].items() >= words.items()
    for node, made in words.items():
        page = fetch(comfyui, f"/extensions/{PACK}/docs/{node}/{language}.md").decode()
        assert page.startswith(f"# {made['display_name']}\n")


def test_the_pictures_of_the_help_pages_are_served(comfyui):
    for path in (REPOSITORY / "web" / "docs" / "pictures").iterdir():
        assert fetch(comfyui, f"/extensions/{PACK}/docs/pictures/{path.name}") == path.read_bytes()


def test_the_search_finds_the_nodes_by_what_people_look_for(comfyui, definitions):
    if not any("search_aliases" in made for made in definitions.values()):
        pytest.skip("this ComfyUI has no search_aliases")
    for word, name in (("aesthetic", "ScoreVideo"), ("rank", "PickBest"), ("seed", "PickBest"), ("compare", "ChoosePair"),
                       ("preference", "ChoosePair"), ("evaluate", "ScoreVideo"), ("curve", "RewardTrace"), ("critic", "LoadJudge"), ("motion", "Measurements"), ("ensemble", "Panel"),
                       ("veto", "RankingRules")):  # fmt: skip
        assert word in " ".join(definitions[f"VideoAlign{name}"]["search_aliases"])


def test_example_workflows_are_offered_with_pictures_and_use_only_nodes_that_exist(comfyui, definitions):
    offered = comfyui.get("/workflow_templates")[PACK]
    assert len(offered) >= 3
    for name in offered:
        path = f"/api/workflow_templates/{PACK}/{urllib.request.quote(name)}"
        workflow = json.loads(fetch(comfyui, path + ".json"))
        unknown = {node["type"] for node in workflow["nodes"]} - set(definitions) - {"Note", "MarkdownNote", "Reroute"}
        assert not unknown, (name, unknown)
        assert fetch(comfyui, path + ".jpg")[:2] == b"\xff\xd8"


WIDGETS = ("COMBO", "INT", "FLOAT", "STRING", "BOOLEAN", "COMFY_DYNAMICCOMBO_V3")


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "example_workflows").glob("*.json")), ids=lambda file: file.name[:2]
)
def test_a_workflows_wires_and_widgets_are_those_of_its_nodes(definitions, file):
    workflow = json.loads(file.read_text(encoding="utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"] if "Note" not in node["type"]}
    wires = {
        number: (source, slot, target, place, kind) for number, source, slot, target, place, kind in workflow["links"]
    }
    for node in nodes.values():
        definition = definitions[node["type"]]
        given = {entry["name"]: entry for entry in node["inputs"]}
        asked = definition["input"].get("required", {}), definition["input"].get("optional", {})
        sockets = {name for name, (kind, *_) in asked[0].items() if not isinstance(kind, list) and kind not in WIDGETS}
        missing = sockets - {name.partition(".")[0] for name in given}  # inputs that grow are NAME.PART
        assert not missing, (node["type"], missing)
        for name, entry in given.items():
            if "." in name:
                continue
            kind = (asked[0] | asked[1])[name][0]
            if entry["link"] is None:
                assert "widget" in entry or name in asked[1] or kind in WIDGETS, (node["type"], name)
                continue
            source, slot, target, place, _ = wires[entry["link"]]
            assert (target, node["inputs"][place]["name"]) == (node["id"], name)
            made = definitions[nodes[source]["type"]]["output"][slot]
            assert isinstance(kind, list) or made in kind.split(",") or kind == "*", (node["type"], name, made)
            assert entry["link"] in nodes[source]["outputs"][slot]["links"]
    assert {number for node in nodes.values() for output in node["outputs"] for number in output["links"] or ()} == set(
        wires
    )


def test_the_frontends_scripts_are_served(comfyui):
    served = comfyui.get("/extensions")
    for script in (REPOSITORY / "web").glob("*.js"):
        assert f"/extensions/{PACK}/{script.name}" in served


def test_the_packs_start_loads_nothing_but_its_nodes_and_what_these_name():
    """What makes a start slow is a library that it loads; how long it takes is for benchmarks/import_time.py."""
    spec = importlib.util.spec_from_file_location("import_time", REPOSITORY / "benchmarks" / "import_time.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    loaded = benchmark.modules_in_comfyui()
    assert "pack.nodes.extension" in loaded
    assert [name for name in loaded if name.split(".")[0] != "pack"] == []
    heavy = {name: heavy_imports(name) for name in loaded}
    assert {name: imports for name, imports in heavy.items() if imports} == {}


def heavy_imports(module: str) -> set[str]:
    """Libraries that a module of the pack imports as it is loaded, be they there already or not."""
    path = REPOSITORY.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names & HEAVY
