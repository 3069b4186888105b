"""Text encoders: files and folders, tokenizers, templates, errors."""

import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_text import PIECE_ID, comfyui_state, sentencepiece_file, tiny_t5, tokenizer_json

from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.backbones.text_loading import load_text_encoder, text_identity
from videoalign.backbones.text_t5 import sentencepiece_ids
from videoalign.errors import WeightsError

PROMPTS = ["a cat walks over the red hill.", "", "two dogs"]


@pytest.fixture(params=["umt5", "t5"])
def kind(request):
    return request.param


@pytest.fixture
def file(kind, tmp_path):
    path = tmp_path / f"{kind}.safetensors"
    save_file(comfyui_state(tiny_t5(kind), sentencepiece_file()), path)
    return path


def expected_states(kind, prompt):
    """transformers' own encoder on the ids of one prompt, without padding."""
    ids = sentencepiece_ids(sentencepiece_file(), "test")(prompt)
    with torch.no_grad():
        return tiny_t5(kind)(input_ids=torch.tensor([ids])).last_hidden_state[0]


def test_a_comfyui_file_gives_transformers_states_whatever_the_batch(kind, file):
    encoder = load_text_encoder(file, torch.float32)
    for prompt, conditioning in zip(PROMPTS, encoder.encode(PROMPTS), strict=True):
        expected = expected_states(kind, prompt)
        text = conditioning["text"]
        assert text.shape == ((512, 32) if kind == "umt5" else expected.shape)
        assert torch.allclose(text[: len(expected)], expected, atol=1e-5)
        assert not text[len(expected) :].any()
        assert "text_mask" not in conditioning


def test_a_diffusers_folder_gives_the_same(kind, file, tmp_path):
    pipeline = tmp_path / "pipeline"
    tiny_t5(kind).save_pretrained(pipeline / "text_encoder")
    (pipeline / "tokenizer").mkdir()
    (pipeline / "tokenizer" / "spiece.model").write_bytes(sentencepiece_file())
    expected = load_text_encoder(file, torch.float32).encode(PROMPTS)
    for path in (pipeline, pipeline / "text_encoder"):
        for ours, theirs in zip(load_text_encoder(path, torch.float32).encode(PROMPTS), expected, strict=True):
            assert torch.allclose(ours["text"], theirs["text"], atol=1e-6)


def test_a_tokenizer_json_gives_the_same_ids_as_the_embedded_model(kind, file, tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    ours, theirs = load_text_encoder(file), load_text_encoder(file, tokenizer=tmp_path / "tokens")
    for prompt in PROMPTS:
        assert ours.tokenize(prompt) == theirs.tokenize(prompt)


def test_white_space_does_not_matter_and_long_prompts_keep_their_end_token(file):
    encoder = load_text_encoder(file, torch.float32)
    assert torch.equal(encoder.encode([" a \n cat "])[0]["text"], encoder.encode(["a cat"])[0]["text"])
    ids = encoder._ids("cat " * 600)
    assert len(ids) == 512 and ids[-1] == 1 and ids[-2] != 1
    assert encoder.encode(["cat " * 600])[0]["text"].shape == (512, 32)


@pytest.mark.parametrize("form", ["legacy", "comfy_quant", "plain"])
def test_fp8_files_are_read_as_the_weights_that_they_stand_for(form, kind, file, tmp_path):
    state = comfyui_state(tiny_t5(kind), sentencepiece_file())
    note = torch.tensor(list(json.dumps({"format": "float8_e4m3fn"}).encode()), dtype=torch.uint8)
    fp8 = {"scaled_fp8": torch.zeros(0, dtype=torch.float8_e4m3fn)} if form == "legacy" else {}
    meant = {}
    for name, tensor in state.items():
        if tensor.ndim != 2 or "bias" in name or "shared" in name:
            fp8[name] = meant[name] = tensor
            continue
        scale = tensor.abs().max() / 448 if form != "plain" else torch.tensor(1.0)
        fp8[name] = (tensor / scale).to(torch.float8_e4m3fn)
        meant[name] = fp8[name].float() * scale
        module = name.removesuffix(".weight")
        if form == "legacy":
            fp8[f"{module}.scale_weight"] = scale
        elif form == "comfy_quant":
            fp8[f"{module}.weight_scale"], fp8[f"{module}.comfy_quant"] = scale, note.clone()
    save_file(fp8, tmp_path / "fp8.safetensors")
    save_file(meant, tmp_path / "meant.safetensors")
    ours, theirs, exact = (
        load_text_encoder(path, torch.float32).encode(PROMPTS)
        for path in (tmp_path / "fp8.safetensors", tmp_path / "meant.safetensors", file)
    )
    for read, expected, unrounded in zip(ours, theirs, exact, strict=True):
        assert torch.allclose(read["text"], expected["text"], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(read["text"], unrounded["text"], rtol=1e-5, atol=1e-6)


def test_the_identity_follows_weights_tokenizer_and_precision(kind, file, tmp_path):
    identity = text_identity(file, torch.float32)
    assert load_text_encoder(file, torch.float32).identity == identity
    state = comfyui_state(tiny_t5(kind), sentencepiece_file())
    state["shared.weight"][0, 0] += 1
    save_file(state, tmp_path / "changed.safetensors")
    save_file(comfyui_state(tiny_t5(kind), sentencepiece_file(byte_fallback=True)), tmp_path / "tokens.safetensors")
    others = [
        text_identity(tmp_path / "changed.safetensors", torch.float32),
        text_identity(tmp_path / "tokens.safetensors", torch.float32),
        text_identity(file, torch.bfloat16),
    ]
    assert len({identity, *others}) == 4
    assert text_identity("micro") == load_text_encoder("micro").identity == MicroTextEncoder.identity


def test_prompts_are_cut_into_the_likeliest_words_and_letters():
    """Ids by hand from the vocabulary: a blank before the first word, whole words where there are any, else letters."""
    ids = sentencepiece_ids(sentencepiece_file(), "test")
    for prompt, pieces in {
        "a cat walks over the red hill.": ["▁a", "▁cat", "▁walks", "▁over", "▁the", "▁red", "▁hill", "."],
        "catdog's": ["▁cat", "d", "o", "g", "'", "s"],
        "A cat": ["▁", "<unk>", "▁cat"],
        "a  cat ": ["▁a", "▁cat"],
        "日本 cat": ["▁", "<unk>", "▁cat"],
        "": [],
    }.items():
        assert ids(prompt) == [PIECE_ID[piece] for piece in [*pieces, "</s>"]], prompt


def test_the_name_of_a_control_token_in_a_prompt_is_text():
    ids = sentencepiece_ids(sentencepiece_file(), "test")
    for name in ("</s>", "<pad>"):
        assert PIECE_ID[name] not in ids(f"a {name} cat")[:-1]


def test_unknown_characters_become_bytes_where_the_model_has_them():
    plain = sentencepiece_ids(sentencepiece_file(), "test")
    assert plain("ö") == [PIECE_ID["▁"], PIECE_ID["<unk>"], PIECE_ID["</s>"]]
    bytewise = sentencepiece_ids(sentencepiece_file(byte_fallback=True), "test")
    expected = [len(PIECE_ID) + value for value in "ö".encode()]
    assert bytewise("ö") == [PIECE_ID["▁"], *expected, PIECE_ID["</s>"]]


def test_a_file_without_tokenizer_finds_one_beside_it_or_says_where_to_put_it(tmp_path):
    path = tmp_path / "t5xxl.safetensors"
    save_file(comfyui_state(tiny_t5("t5")), path)
    with pytest.raises(WeightsError, match=r"carries no tokenizer.*tokenizer\.json or spiece\.model.*t5xxl"):
        load_text_encoder(path)
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "spiece.model").write_bytes(sentencepiece_file())
    assert load_text_encoder(path, torch.float32).encode(["a cat"])[0]["text"].shape == (3, 32)


def test_comfyuis_own_t5_tokenizer_is_found_from_its_models_folder(tmp_path):
    models, tokens = tmp_path / "models" / "text_encoders", tmp_path / "comfy" / "text_encoders" / "t5_tokenizer"
    models.mkdir(parents=True)
    tokens.mkdir(parents=True)
    save_file(comfyui_state(tiny_t5("t5")), models / "t5xxl_fp16.safetensors")
    (tokens / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    assert load_text_encoder(models / "t5xxl_fp16.safetensors").encode([""])[0]["text"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        (["model.layers.0.self_attn.q_proj.weight"], "looks like a LLaMA.*text_encoder_2"),
        (["text_model.encoder.layers.0.mlp.fc1.weight"], "looks like CLIP"),
        (["blocks.0.weight"], "its first tensors are blocks"),
    ],
)
def test_single_files_that_cannot_be_supported_say_what_to_give(tmp_path, tensors, reason):
    save_file({name: torch.zeros(2, 2) for name in tensors}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=reason):
        load_text_encoder(tmp_path / "other.safetensors")


def test_damaged_tokenizers_and_folders_are_named(tmp_path):
    state = comfyui_state(tiny_t5("umt5"), sentencepiece_file()[:-10])
    save_file(state, tmp_path / "damaged.safetensors")
    with pytest.raises(WeightsError, match=r"damaged\.safetensors: its tokenizer is damaged"):
        load_text_encoder(tmp_path / "damaged.safetensors")
    save_file(state | {"spiece_model": torch.zeros(0, dtype=torch.uint8)}, tmp_path / "empty.safetensors")
    with pytest.raises(WeightsError, match=r"empty\.safetensors: its tokenizer is damaged \(it is empty\)"):
        load_text_encoder(tmp_path / "empty.safetensors")
    with pytest.raises(WeightsError, match=r"has no text_encoder/config\.json"):
        load_text_encoder(tmp_path)
    (tmp_path / "text_encoder").mkdir()
    (tmp_path / "text_encoder" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="of type 'bert'; supported are umt5"):
        load_text_encoder(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"_attn_implementation_internal": "author/repository"},
        {"attn_implementation": {"text_config": "author/repository@main"}},
        {"parts": [{"text_config": {"attn_implementation": "paged|author/repository:function"}}]},
        {"text_config": {"trust_remote_code": True}},
    ],
)
def test_a_folder_whose_configuration_could_run_code_is_refused(tmp_path, entry):
    tiny_t5("t5").save_pretrained(tmp_path / "text_encoder")
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "spiece.model").write_bytes(sentencepiece_file())
    file = tmp_path / "text_encoder" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"_attn_implementation_autoset": True, "attn_implementation": "sdpa"}))
    load_text_encoder(tmp_path)  # what older transformers and honest people write
    file.write_text(json.dumps(config | entry))
    with pytest.raises(WeightsError, match=r"config\.json was refused: .* could make transformers run code"):
        load_text_encoder(tmp_path)
