"""LTX-2's text: from ComfyUI's files and diffusers' folder, as diffusers' own connectors and the real ComfyUI have it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_gemma
import torch
from safetensors.torch import load_file, save_file

from videoalign.backbones.text_loading import load_text_encoder, text_identity
from videoalign.errors import WeightsError

KINDS = ["ltx-2", "ltx-2.3"]
PROMPTS = ["a cat walks over the red hill.", "two dogs and a cat, catdog's hills", "", "the red hill " * 500]


def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.fixture(scope="module", params=KINDS)
def encoded(request, tmp_path_factory):
    """(kind, the files' name, the encoder, its texts of PROMPTS)."""
    files = tiny_gemma.save_files(tmp_path_factory.mktemp("text"), request.param)
    encoder = load_text_encoder(files, torch.float32)
    return request.param, files, encoder, [entry["text"] for entry in encoder.encode(PROMPTS)]


def test_the_text_is_that_of_diffusers_connectors(encoded, tmp_path):
    """The whole of diffusers' pipeline: a padded batch, and its connectors with the sound's half."""
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors

    kind, _, encoder, texts = encoded
    folder = tiny_gemma.save_folder(tmp_path / "pipeline", kind)
    connectors = LTX2TextConnectors.from_pretrained(folder / "connectors").eval()
    gemma = tiny_gemma.tiny_gemma()
    for prompt, ours in zip(PROMPTS[:3], texts, strict=False):
        ids = encoder.tokenize(prompt)
        padded = torch.tensor([[0] * (1024 - len(ids)) + ids])
        mask = (torch.arange(1024) >= 1024 - len(ids)).long()[None]
        with torch.no_grad():
            states = gemma(input_ids=padded, attention_mask=mask, output_hidden_states=True).hidden_states
            theirs, _, _ = connectors(torch.stack(states, dim=-1), mask)
        # Positions count from the padding's begin there: cosines of up to 1024 rather than 20, each off by 1024 2^-24 = 6e-5.
        assert ours.shape == theirs[0].shape and relative(ours, theirs[0]) < 1e-3


def test_a_folder_gives_the_texts_of_the_files(encoded, tmp_path):
    kind, files, _, texts = encoded
    folder = tiny_gemma.save_folder(tmp_path / "pipeline", kind)
    again = load_text_encoder(folder, torch.float32)
    for ours, text in zip(again.encode(PROMPTS), texts, strict=True):
        assert relative(ours["text"], text) < 1e-5
    assert again.identity == text_identity(folder, torch.float32) != text_identity(files, torch.float32)


def test_every_text_has_1024_rows_and_does_not_depend_on_the_others(encoded):
    _, files, encoder, texts = encoded
    assert {len(text) for text in texts} == {1024}
    assert torch.equal(encoder.encode(PROMPTS[:1])[0]["text"], texts[0])
    assert encoder.identity == text_identity(files, torch.float32) != text_identity(files, torch.bfloat16)


def test_what_is_missing_is_said(encoded, tmp_path):
    kind, files, _, _ = encoded
    gemma, checkpoint = files.split("+")
    with pytest.raises(WeightsError, match=r"is Gemma alone.*gemma\.safetensors\+ltx-2"):
        load_text_encoder(gemma)
    with pytest.raises(WeightsError, match=r"GEMMA\+CHECKPOINT"):
        load_text_encoder(checkpoint)
    tensors = load_file(gemma)
    del tensors["spiece_model"]
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="carries no tokenizer"):
        load_text_encoder(f"{tmp_path / 'x.safetensors'}+{checkpoint}")
    with pytest.raises(WeightsError, match="does not exist"):
        load_text_encoder(f"{gemma}+{tmp_path / 'none.safetensors'}")
    folder = tiny_gemma.save_folder(tmp_path / "pipeline", kind)
    (folder / "connectors").rename(folder / "elsewhere")
    with pytest.raises(WeightsError, match="no folder connectors"):
        load_text_encoder(folder)


@pytest.mark.comfyui
@pytest.mark.parametrize("kind", [pytest.param("ltx-2", marks=pytest.mark.slow), "ltx-2.3"])
def test_ids_and_texts_are_comfyuis(kind, tmp_path):
    files = tiny_gemma.save_files(tmp_path, kind)
    encoder = load_text_encoder(files, torch.float32)
    prompts = PROMPTS[:3]
    described = {
        "kind": kind,
        "prompts": prompts,
        "sizes": tiny_gemma.SIZES,
        "heads": tiny_gemma.HEADS,
        "layers": tiny_gemma.LAYERS,
    }
    (tmp_path / "texts.json").write_text(json.dumps(described))
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = Path(__file__).with_name("comfyui_ltx2_texts.py")
    run = subprocess.run(
        [python, script, os.environ["COMFYUI_PATH"], tmp_path], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert json.loads((tmp_path / "ids.json").read_text()) == [encoder.tokenize(prompt) for prompt in prompts]
    theirs = load_file(tmp_path / "texts.comfyui.safetensors")
    for attention in (block.attn1 for block in encoder.features.connector.transformer_blocks):
        attention.norm_q.eps = attention.norm_k.eps = 1e-5  # ComfyUI's; the authors' and diffusers' 1e-6
    for number, entry in enumerate(encoder.encode(prompts)):
        # ComfyUI pads before the text, so that positions of Gemma's tokens count from 1024: see above.
        assert relative(entry["text"], theirs[str(number)]) < 1e-3
        assert relative(entry["text"], theirs[f"{number} unpadded"]) < 1e-5
