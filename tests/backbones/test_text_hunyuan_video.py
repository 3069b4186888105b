"""HunyuanVideo's two text encoders, against diffusers' pipeline."""

import pytest
import torch
from tiny_text import save_llama_and_clip

from videoalign.backbones.text_hunyuan_video import INSTRUCTION, TEMPLATE
from videoalign.backbones.text_loading import load_text_encoder, text_identity
from videoalign.errors import WeightsError

PROMPTS = ["a cat walks over the red hill", "two dogs"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pipeline folder with tiny encoders and tokenizers."""
    return save_llama_and_clip(tmp_path_factory.mktemp("hunyuan"), [TEMPLATE, *PROMPTS])


@pytest.fixture(scope="module")
def encoder(folder):
    return load_text_encoder(folder, torch.float32)


def test_states_are_those_of_diffusers_pipeline(encoder):
    from diffusers import HunyuanVideoPipeline

    pipeline = HunyuanVideoPipeline(
        text_encoder=encoder.llama, tokenizer=encoder.tokenizer, text_encoder_2=encoder.clip,
        tokenizer_2=encoder.clip_tokenizer, transformer=None, vae=None, scheduler=None,
    )  # fmt: skip
    template = {"template": TEMPLATE, "crop_start": encoder.crop}  # 95 with the released tokenizer
    with torch.no_grad():
        text, pooled, mask = pipeline.encode_prompt(PROMPTS, prompt_template=template, device="cpu")
    for number, conditioning in enumerate(encoder.encode(PROMPTS)):
        expected = text[number][mask[number].bool()]
        assert conditioning["text"].shape == expected.shape and len(expected) > 1
        assert torch.allclose(conditioning["text"], expected, atol=1e-5)
        assert torch.allclose(conditioning["pooled"], pooled[number], atol=1e-5)


def test_the_instruction_is_cut_off_and_the_prompt_is_not(encoder):
    ids = encoder.tokenizer(TEMPLATE.format("two dogs"))["input_ids"]
    assert encoder.tokenizer.decode(ids[: encoder.crop]).endswith(INSTRUCTION[-20:])
    assert encoder.tokenizer.decode(ids[encoder.crop :]) == "two dogs<|eot_id|>"
    assert len(encoder.encode(["two dogs"])[0]["text"]) == len(ids) - encoder.crop
    assert torch.equal(encoder.encode(["\n two dogs "])[0]["text"], encoder.encode(["two dogs"])[0]["text"])


def test_long_prompts_are_cut_at_256_tokens_and_empty_ones_have_one(encoder):
    assert len(encoder.encode(["hill " * 400])[0]["text"]) == 256
    assert len(encoder.encode([""])[0]["text"]) == 1


def test_the_identity_is_known_without_loading_and_follows_the_tokenizer(folder, encoder, tmp_path):
    import shutil

    assert text_identity(folder, torch.float32) == encoder.identity
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert text_identity(copy, torch.float32) == encoder.identity
    config = copy / "tokenizer" / "tokenizer_config.json"
    config.write_text(config.read_text() + " ")
    assert text_identity(copy, torch.float32) != encoder.identity


def test_a_missing_second_encoder_is_named(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "text_encoder_2")
    with pytest.raises(WeightsError, match=r"text_encoder_2/config\.json"):
        load_text_encoder(copy)
    copy = shutil.copytree(folder, tmp_path / "copy2")
    shutil.rmtree(copy / "tokenizer_2")
    with pytest.raises(WeightsError, match="tokenizer_2"):
        load_text_encoder(copy)


def test_a_weight_that_is_not_finite_is_named(folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "text_encoder_2" / "model.safetensors"
    tensors = load_file(file)
    key = next(key for key in tensors if key.endswith("fc1.weight"))
    tensors[key][0, 0] = torch.nan
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"text_encoder_2: .*fc1.weight has values that are not finite"):
        load_text_encoder(copy, torch.float32)
