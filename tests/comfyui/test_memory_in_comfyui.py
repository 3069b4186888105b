"""How ComfyUI's memory manager moves the pack's models, in a process with ComfyUI's modules but without its server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from comfy_server import REPOSITORY
from tiny_judges import qwen2_5_vl, save_model

pytestmark = pytest.mark.comfyui

# "meta" stands for a GPU: weights that arrive there are counted, not stored. There is room for one byte.
SCRIPT = """
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
from comfy.model_patcher import ModelPatcher
from pack.nodes.whole_model_patcher import WholeModelPatcher

cpu, gpu = torch.device("cpu"), torch.device("meta")

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


def run(script):
    tree = Path(os.environ["COMFYUI_PATH"]).resolve()
    script = script.replace("sys.path[0]", repr(str(REPOSITORY)))
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    done = subprocess.run(
        [python, "-c", script], cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("as it should be"), done.stderr[-3000:]


def test_a_reward_model_is_loaded_whole_and_given_back_whole():
    run(SCRIPT)


def test_a_judge_in_eight_bits_is_counted_by_what_it_holds_and_moves_whole(tmp_path):
    folder = save_model(qwen2_5_vl(), tmp_path / "judge")
    run(SCRIPT + JUDGE.replace("FOLDER", folder.as_posix()))
