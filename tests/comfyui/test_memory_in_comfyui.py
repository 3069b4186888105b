"""How ComfyUI's memory manager moves the pack's models, in a process with ComfyUI's modules but without its server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from comfy_server import REPOSITORY
from tiny_judges import qwen2_5_vl, save_model

pytestmark = pytest.mark.comfyui

START = """
import importlib.util, sys
sys.argv = ["main.py", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
import nodes
spec = importlib.util.spec_from_file_location("pack", sys.path[0] + "/__init__.py")
sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["pack"])
from comfy import model_management

cpu = torch.device("cpu")
"""
# "meta" stands for a GPU: weights that arrive there are counted, not stored. There is room for one byte.
SCRIPT = (
    START
    + """
from comfy.model_patcher import ModelPatcher
from pack.nodes.whole_model_patcher import WholeModelPatcher

gpu = torch.device("meta")

def loaded(kind):
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.LayerNorm(64), torch.nn.Linear(64, 64))
    patcher = kind(model, gpu, cpu)
    patcher.load(gpu, lowvram_model_memory=1)
    return patcher, {parameter.device.type for parameter in model.parameters()}

whole, devices = loaded(WholeModelPatcher)
assert devices == {"meta"}, devices
assert whole.loaded_size() == whole.model_size()
assert whole.partially_unload(cpu, 1) == 0
# What would happen otherwise: the plain patcher leaves behind what does not fit.
assert "cpu" in loaded(ModelPatcher)[1]

model = torch.nn.Linear(64, 64)
patcher = WholeModelPatcher(model, cpu, cpu)
model_management.load_models_gpu([patcher], force_full_load=True)
assert [entry.model for entry in model_management.current_loaded_models] == [patcher]
model_management.free_memory(1e30, cpu)
assert not model_management.current_loaded_models
assert patcher.loaded_size() == 0
print("as it should be")
"""
)

# A panel of two reward models and the measurements, where there is room for one model at a time.
PANEL = (
    START
    + """
from pack.nodes import panel_handle
from pack.nodes.reward_handle import RewardHandle
from pack.judges import JudgeOptions
from pack.clips.frames import Frames
from pack.errors import VideoAlignError
from pack.reward.settings import EMBEDDED_FILE

# ComfyUI frees nothing for the device cpu; cpu:0 is the same memory, and another device to it.
model_management.get_torch_device = lambda: torch.device("cpu:0")
caption = "two red circles move left over a plain grey ground"
frames = Frames(torch.rand(17, 64, 64, 3, generator=torch.Generator().manual_seed(1)), 8.0)
loads = [lambda: RewardHandle.load("micro", EMBEDDED_FILE, None, on_cpu=False)] * 2
loads.append(lambda: RewardHandle.open("measures", None, JudgeOptions(), on_cpu=True))

def said(panel):
    return panel.score(frames, caption)[0].to_dict()

with torch.inference_mode():
    alone = [load().score(frames, caption)[0].marks for load in loads]
    panel = panel_handle.PanelHandle([load() for load in loads])
    assert [seat.name for seat in panel.judge.seats] == ["videoreward", "videoreward-2", "measures"]
    plenty = said(panel)
    assert {name: plenty[name] for name in alone[0]} == alone[0]
    assert {name: plenty[f"videoreward-2.{name}"] for name in alone[1]} == alone[1]
    assert {name: plenty[f"measures.{name}"] for name in alone[2]} == alone[2]
    assert len(model_management.current_loaded_models) >= 2

    # Under pressure the first has gone when the second's turn has come, and both say the same again.
    model_management.get_free_memory = lambda device=None, torch_free_too=False: (0, 0) if torch_free_too else 0
    for _ in range(2):
        assert said(panel) == plenty
        held = [entry.model for entry in model_management.current_loaded_models]
        assert held == panel.members[1].patchers, held
    model_management.free_memory(1e30, cpu)
    assert said(panel) == plenty

    # A judge that does not fit is asked again after all models have gone; then it refuses, and the others stand.
    first = panel.members[0].judge
    score, calls = first.score_prepared, []

    def short(clips, captions, times=1):
        calls.append(len(model_management.current_loaded_models))
        if len(calls) <= times:
            raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")
        return score(clips, captions)

    first.score_prepared = short
    assert said(panel) == plenty and len(calls) == 2
    calls.clear()
    first.score_prepared = lambda clips, captions: short(clips, captions, times=9)
    row = said(panel)
    assert "does not fit into memory" in row["errors"]["videoreward"] and row["VQ"] is None
    assert row["videoreward-2.VQ"] == plenty["videoreward-2.VQ"] and row["measures.motion"] == plenty["measures.motion"]

# Without OpenCV the node names what to install.
from pack.nodes.load_judge_node import Measurements
sys.modules["cv2"] = None
try:
    Measurements.execute()
except VideoAlignError as error:
    assert "pip install opencv-python-headless" in str(error) and "the extra [measure]" in " ".join(str(error).split()).replace("this pack's extra", "the extra"), error
else:
    raise AssertionError("opened without OpenCV")
print("as it should be")
"""
)


def run(script: str) -> None:
    tree = Path(os.environ["COMFYUI_PATH"]).resolve()
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = script.replace("sys.path[0]", repr(str(REPOSITORY)))
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run([python, "-c", script], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.stdout.strip().endswith("as it should be"), done.stderr[-2000:]


@pytest.mark.slow
def test_a_panels_judges_take_turns_in_memory_and_say_what_they_say_with_plenty_of_it():
    run(PANEL)


JUDGE = """
import torch
from pack.clips.frames import Frames
from pack.errors import ClipError
from pack.judges import JudgeOptions, open_judge
from pack.nodes.reward_handle import RewardHandle

options = JudgeOptions(device="cpu", dtype="float32", weights="8bit", sampling={"num_frames": 2})
judge = open_judge("videoscore2:FOLDER", options)
judge.limit = 2
[module] = judge.modules
handle = RewardHandle("judge", judge, torch.device("cpu"))
[patcher] = handle.patchers
kept = [*module.parameters(), *(buffer for name, buffer in module.named_buffers() if "stored" in name)]
assert any(weight.dtype == torch.float8_e4m3fn for weight in kept)
assert patcher.model_size() == sum(weight.nbytes for weight in kept)
with torch.inference_mode():
    try:
        handle.score(Frames(torch.zeros(4, 48, 64, 3), 8.0), "a cat")
    except ClipError as error:  # the tiny network babbles; it was loaded, asked and read
        assert "holds no marks" in str(error), error
away = WholeModelPatcher(module, gpu, cpu)
away.load(gpu)
assert {weight.device.type for weight in [*module.parameters(), *module.buffers()]} == {"meta"}
print("as it should be")
"""


def test_a_reward_model_is_loaded_whole_and_given_back_whole():
    run(SCRIPT)


@pytest.mark.slow
def test_a_judge_in_eight_bits_is_counted_by_what_it_holds_and_moves_whole(tmp_path):
    folder = save_model(qwen2_5_vl(), tmp_path / "judge")
    run(SCRIPT + JUDGE.replace("FOLDER", folder.as_posix()))
