"""Text encoders whose layers' matrices are kept in 8 or 4 bits: they encode as with the matrices that the bits stand for."""

import sys

import pytest
import tiny_gemma
import tiny_qwen
import torch
from safetensors.torch import save_file
from tiny_backbones import save_single, tiny
from tiny_text import comfyui_state, sentencepiece_file, tiny_t5
from tiny_vaes import ltx2_metadata, save_vae, tiny_ltx2

from videoalign.backbones.frozen_linear import FrozenLinear
from videoalign.backbones.text_loading import load_text_encoder, text_identity
from videoalign.errors import VideoAlignError
from videoalign.generation.pipeline import load_pipeline
from videoalign.planning.encoding import text_encoder_bytes
from videoalign.training.latent_cache.encoders import Encoders

PROMPT = 'a cat walks over "the red hill"'


def t5(folder):
    save_file(comfyui_state(tiny_t5("umt5"), sentencepiece_file()), folder / "umt5.safetensors")
    return folder / "umt5.safetensors"


ENCODERS = {"gemma": lambda folder: tiny_gemma.save_files(folder, "ltx-2.3"), "qwen": tiny_qwen.save_files, "t5": t5}


@pytest.fixture(scope="module", params=ENCODERS)
def files(request, tmp_path_factory):
    return ENCODERS[request.param](tmp_path_factory.mktemp("text"))


def stood_for(weight, bits):
    """The matrix that the bits stand for."""
    if bits == "4bit":
        from bitsandbytes import functional

        return functional.dequantize_4bit(
            *functional.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="nf4")
        )
    scale = weight.abs().amax(1, keepdim=True) / 448
    return (weight / scale).to(torch.float8_e4m3fn).float() * scale


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_the_text_is_that_of_the_matrices_that_the_bits_stand_for(files, bits):
    if bits == "4bit":
        pytest.importorskip("bitsandbytes")
    encoder, plain = load_text_encoder(files, torch.float32, bits=bits), load_text_encoder(files, torch.float32)
    before = plain.encode([PROMPT])[0]["text"]
    for layer in plain.layers:
        for part in layer.modules():
            if isinstance(part, torch.nn.Linear):
                part.weight.data = stood_for(part.weight.data, bits)
    expected, found = plain.encode([PROMPT])[0]["text"], encoder.encode([PROMPT])[0]["text"]
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()  # the same products, brought back otherwise
    assert (found - before).abs().max() > 1e-3 * before.abs().max()
    assert any(isinstance(part, FrozenLinear) for layer in encoder.layers for part in layer.modules())
    assert encoder.identity == text_identity(files, torch.float32, bits=bits) == f"{plain.identity}-{bits}"


def test_what_it_saves_is_counted(files):
    encoder = load_text_encoder(files, torch.bfloat16, bits="8bit")
    kept = [part for layer in encoder.layers for part in layer.modules() if isinstance(part, FrozenLinear)]
    saved = sum(2 * part.stored.shape.numel() - part.stored.nbytes for part in kept)
    counted = [text_encoder_bytes(files, bits) for bits in (None, "8bit", "4bit")]
    assert counted[0] - counted[1] == saved
    # 4 bits, 8 of a scale for 64 weights, and 32 of a scale for 256 scales
    weights = sum(part.stored.shape.numel() for part in kept)
    assert counted[0] - counted[2] == pytest.approx(2 * weights - weights * (4 + 8 / 64 + 32 / (64 * 256)) / 8, abs=1)


def test_t5s_table_of_words_is_there_once(tmp_path):
    module = load_text_encoder(t5(tmp_path)).module
    assert module.encoder.embed_tokens.weight is module.shared.weight


def test_without_bitsandbytes_4_bits_are_refused_before_anything_is_read(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(VideoAlignError, match=r"A text encoder in 4 bits needs bitsandbytes: .*or use 8bit"):
        load_text_encoder(files, bits="4bit")


def test_caches_and_clips_are_made_with_it(tmp_path):
    texts = tiny_gemma.save_files(tmp_path, "ltx-2.3")
    vae = save_vae(tiny_ltx2(), tmp_path / "vae.safetensors", ltx2_metadata())
    encoders = Encoders(vae, texts, dtype=torch.float32, text_bits="8bit")
    assert encoders.text_encoder.identity == encoders.text_identity == text_identity(texts, torch.float32, bits="8bit")
    network = save_single(tiny("ltx-2.3"), tmp_path / "network.safetensors")
    pipeline = load_pipeline(str(network), str(vae), texts, text_bits="8bit")
    assert pipeline.text_encoder.identity == text_identity(texts, bits="8bit")
