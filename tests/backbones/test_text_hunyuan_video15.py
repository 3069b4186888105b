"""HunyuanVideo 1.5's text: from ComfyUI's files and diffusers' folder, as the real ComfyUI has it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_qwen
import torch
from safetensors.torch import load_file, save_file

from videoalign.backbones.conditioning import collate
from videoalign.backbones.text_hunyuan_video15 import glyph_ids
from videoalign.backbones.text_loading import load_text_encoder, text_identity
from videoalign.errors import WeightsError
from videoalign.planning.encoding import text_encoder_bytes

PROMPTS = ["a cat walks over the red hill", 'a sign says "open" and \u201cshut\u201d', "", "the red hill " * 200]


def relative(ours, theirs):
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """(the files' name, the encoder, its texts of PROMPTS)."""
    files = tiny_qwen.save_files(tmp_path_factory.mktemp("text"))
    encoder = load_text_encoder(files, torch.float32)
    return files, encoder, encoder.encode(PROMPTS)


def test_a_prompt_is_what_follows_the_instruction_and_its_quotations(encoded):
    files, encoder, texts = encoded
    after = len("\nassistant\n") + 2  # a token a letter, and two of the chat
    assert [len(entry["text"]) for entry in texts] == [
        len(PROMPTS[0]) + after, len(PROMPTS[1].encode()) + after, 1 + after, 1000,
    ]  # fmt: skip
    told = 'Text "open". Text "shut". '
    assert [len(entry["glyphs"]) for entry in texts] == [0, len(told) + 1, 0, 0]
    assert glyph_ids(PROMPTS[1]) == [*(ord(letter) + 3 for letter in told), 1]
    assert torch.equal(encoder.encode(PROMPTS[:1])[0]["text"], texts[0]["text"])
    assert encoder.identity == text_identity(files, torch.float32) != text_identity(files, torch.bfloat16)


def test_a_batch_pads_and_masks_both(encoded):
    batch = collate(encoded[2][:2])
    assert batch["glyphs"].shape[:2] == batch["glyphs_mask"].shape and not batch["glyphs_mask"][0].any()
    assert batch["glyphs_mask"][1].all() and batch["text_mask"].sum(1).tolist() == [
        len(entry["text"]) for entry in encoded[2][:2]
    ]


def test_a_folder_gives_the_texts_of_the_files(encoded, tmp_path):
    folder = tiny_qwen.save_folder(tmp_path / "pipeline")
    again = load_text_encoder(folder, torch.float32)
    for ours, theirs in zip(again.encode(PROMPTS), encoded[2], strict=True):
        assert relative(ours["text"], theirs["text"]) < 1e-5
        assert torch.equal(ours["glyphs"], theirs["glyphs"])
    assert again.identity == text_identity(folder, torch.float32)


def test_what_is_missing_is_said(encoded, tmp_path):
    language, byt5 = encoded[0].split("+")
    with pytest.raises(WeightsError, match=r"is Qwen2\.5-VL alone.*qwen\.safetensors\+byt5"):
        load_text_encoder(language)
    save_file(load_file(language), tmp_path / "qwen.safetensors")
    with pytest.raises(WeightsError, match="carries no tokenizer"):
        load_text_encoder(f"{tmp_path / 'qwen.safetensors'}+{byt5}")


def test_a_plan_counts_both(encoded):
    elements = sum(load_file(part)[name].numel() for part in encoded[0].split("+") for name in load_file(part))
    assert text_encoder_bytes(encoded[0]) == 2 * elements


@pytest.mark.comfyui
def test_ids_and_texts_are_comfyuis(tmp_path):
    files = tiny_qwen.save_files(tmp_path, vocabulary=152064, tokenizer=False)
    words = Path(os.environ["COMFYUI_PATH"]) / "comfy" / "text_encoders" / "qwen25_tokenizer"
    encoder = load_text_encoder(files, torch.float32, tokenizer=words)
    prompts = PROMPTS[:3]
    described = {"prompts": prompts, "sizes": tiny_qwen.SIZES, "byt5": tiny_qwen.BYT5}
    (tmp_path / "texts.json").write_text(json.dumps(described))
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("comfyui_hunyuan15_texts.py")
    run = subprocess.run(
        [python, script, os.environ["COMFYUI_PATH"], tmp_path], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    theirs = load_file(tmp_path / "texts.comfyui.safetensors")
    for number, entry in enumerate(encoder.encode(prompts)):
        # Sums of at most 128 products, each off by 2^-24 sqrt(128) = 7e-7 of their size, and about ten that follow one another.
        assert relative(entry["text"], theirs[f"{number}"]) < 1e-5
        if len(entry["glyphs"]):
            assert relative(entry["glyphs"], theirs[f"{number} glyphs"]) < 1e-5
        assert (f"{number} glyphs" in theirs) == (len(entry["glyphs"]) > 0)
