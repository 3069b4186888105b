"""T5 encoders and embedded tokenizers against the real ComfyUI's, at tiny size, from one file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_text import SIZES, comfyui_state, sentencepiece_file, tiny_t5

from videoalign.backbones.text_loading import load_text_encoder

pytestmark = pytest.mark.comfyui

PROMPTS = ["a cat walks over the red hill.", "two dogs and a cat, catdog's hills", "x", "a ö cat", "the the  the", ""]
PROMPTS += ["a </s> <pad> cat", "日本 😀 cat", "▁a▁cat"]
CONFIG = {
    "model_type": "umt5", "vocab_size": SIZES["vocab_size"], "d_model": SIZES["d_model"], "d_kv": SIZES["d_kv"],
    "d_ff": SIZES["d_ff"], "num_layers": SIZES["num_layers"], "num_heads": SIZES["num_heads"],
    "dense_act_fn": "gelu_pytorch_tanh", "is_gated_act": True, "layer_norm_epsilon": 1e-6,
    "relative_attention_num_buckets": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """ComfyUI files of both kinds, and what ComfyUI makes of them."""
    folder = tmp_path_factory.mktemp("texts")
    for kind in ("umt5", "t5"):
        save_file(comfyui_state(tiny_t5(kind), sentencepiece_file(kind == "umt5")), folder / f"{kind}.safetensors")
    configs = {"umt5": CONFIG, "t5": CONFIG | {"model_type": "t5"}}
    (folder / "texts.json").write_text(json.dumps({"prompts": PROMPTS, "configs": configs}))
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("comfyui_texts.py")
    run = subprocess.run(
        [python, script, os.environ["COMFYUI_PATH"], folder], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


@pytest.mark.parametrize("kind", ["umt5", "t5"])
def test_ids_and_states_are_comfyuis(folder, kind):
    encoder = load_text_encoder(folder / f"{kind}.safetensors", torch.float32)
    ids = json.loads((folder / "comfyui_ids.json").read_text())[kind]
    assert [encoder.tokenize(prompt) for prompt in PROMPTS] == ids
    states = load_file(folder / f"{kind}.states.safetensors")
    for number, conditioning in enumerate(encoder.encode(PROMPTS)):
        expected = states[str(number)]
        assert torch.allclose(conditioning["text"][: len(expected)], expected, atol=1e-4)
