"""A folder's own code is never run, whoever would say yes."""

import json
import shutil
import subprocess
import sys

import pytest

EVIL = """
import pathlib
pathlib.Path({mark!r}).write_text("ran")
from transformers import AutoConfig, PretrainedConfig, Qwen2TokenizerFast
class Evil(Qwen2TokenizerFast): pass
class EvilConfig(PretrainedConfig): model_type = "evil"
"""
TRY = """
from pathlib import Path
from videoalign.reward.reward_tokenizer import read_tokenizer
from videoalign.backbones.text_hunyuan_video import HunyuanVideoTextEncoder
import torch
for call in (lambda: read_tokenizer(Path({folder!r})), lambda: HunyuanVideoTextEncoder.from_folder(Path({pipeline!r}), torch.float32, "cpu")):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def hostile(checkpoints, tmp_path):
    """A folder of a base model whose configurations ask for a Python file beside them; the file leaves a mark."""
    folder, mark = tmp_path / "base", tmp_path / "MARK"
    shutil.copytree(checkpoints / "base", folder)
    (folder / "tokenizer.json").unlink(missing_ok=True)  # so that transformers chooses the class
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark)))
    for name, keys in (
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, "tokenizer_class": "Evil"},
        ),
        (
            "config.json",
            {"auto_map": {"AutoConfig": "evil.EvilConfig", "AutoModel": "evil.Evil"}, "model_type": "evil"},
        ),
    ):
        path = folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | keys))
    pipeline = tmp_path / "pipeline"
    for part in ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"):
        shutil.copytree(folder, pipeline / part)
    return folder, pipeline, mark


def test_a_folder_that_asks_for_its_own_code_is_not_obeyed_even_with_a_y_on_standard_input(hostile):
    folder, pipeline, mark = hostile
    code = TRY.format(folder=str(folder), pipeline=str(pipeline))
    done = subprocess.run([sys.executable, "-c", code], input="y\ny\ny\n", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not mark.exists(), done.stdout


def test_the_same_folder_is_obeyed_where_nothing_forbids_it(hostile):
    folder, _, mark = hostile
    code = f"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained({str(folder)!r}, trust_remote_code=True)"
    subprocess.run([sys.executable, "-c", code], input="y\n", capture_output=True, text=True, timeout=300)
    assert mark.exists()
