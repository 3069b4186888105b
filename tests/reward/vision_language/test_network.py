"""Qwen-VL networks from folders: whole, under old and new names, in several types; and folders that are not whole."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_judges import BASE, TOKENIZER, inputs_of, qwen2_5_vl, save_model

from videoalign.backbones.pretrained_folder import pretrained
from videoalign.errors import CheckpointError
from videoalign.reward.vision_language.answers import answers
from videoalign.reward.vision_language.family import QWEN2_5_VL
from videoalign.reward.vision_language.network import load_vision_language
from videoalign.reward.vision_language.pictures import Pictures
from videoalign.reward.vision_language.questions import question


@pytest.fixture(scope="module")
def module():
    return qwen2_5_vl()


@pytest.fixture
def folder(module, tmp_path):
    return save_model(module, tmp_path / "model")


def load(folder, **options):
    return load_vision_language(folder, (QWEN2_5_VL,), "somebody/model", device="cpu", **options)


def asked(model, seed=0):
    pixels = torch.randint(0, 256, (4, 3, 56, 84), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return question(model.family, model.text, [Pictures(pixels, 4, 2.0)], "good?", True, 2.0, torch.device("cpu"))


def first_scores(model, seed=0):
    [answer] = answers(model, [asked(model, seed)], 1, range(1280))
    return answer.watched[0]


def change_weights(folder, change):
    [file] = folder.glob("*.safetensors")
    save_file(change(load_file(file)), file, {"format": "pt"})


def test_the_next_token_is_that_of_transformers_in_each_type(module, folder):
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = load(folder, dtype=str(dtype).removeprefix("torch."))
        assert model.dtype == dtype and model.device.type == "cpu"
        reference = pretrained(type(module), folder, dtype).eval()
        given = inputs_of(reference, asked(model))
        given["pixel_values_videos"] = given["pixel_values_videos"].to(dtype)
        with torch.no_grad():
            expected = reference(**given).logits[0, -1].float()
        # the same operations; sums of another order, where attention is given a mask, differ by a few roundings
        assert torch.allclose(
            first_scores(model), expected, atol=1e-5 if dtype == torch.float32 else 1e-2 * expected.std()
        )


def test_files_of_older_and_newer_transformers_are_one(folder, module):
    scores = first_scores(load(folder))

    def older(state):
        def name(key):
            return key.replace("model.visual.", "visual.").replace("model.language_model.", "model.")

        return {name(key): tensor for key, tensor in state.items()}

    def newer(state):
        state = older(state)

        def name(key):
            if key.startswith("visual."):
                return "model." + key
            return key.replace("model.", "model.language_model.", 1) if key.startswith("model.") else key

        return {name(key): tensor for key, tensor in state.items()}

    for change in (older, newer):
        change_weights(folder, change)
        assert torch.equal(first_scores(load(folder)), scores)


def test_shards_are_read_as_one_file_is(folder, module, tmp_path):
    shards = tmp_path / "shards"
    module.save_pretrained(shards, max_shard_size="1MB")
    for name in TOKENIZER:
        (shards / name).write_bytes((BASE / name).read_bytes())
    assert len(list(shards.glob("*.safetensors"))) > 1
    assert torch.equal(first_scores(load(shards)), first_scores(load(folder)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: dict(list(state.items())[:-1]), r"1 weights are missing"),
        (lambda state: {**state, "model.extra.weight": torch.zeros(2)}, r"1 do not belong to its configuration \(language_model.extra"),
        (lambda state: {**state, "lm_head.weight": torch.zeros(5, 192)}, r"lm_head.weight has shape \[5, 192\]"),
        (lambda state: {**state, "lm_head.weight": torch.full((1280, 192), torch.nan)}, r"not finite"),
    ],
)  # fmt: skip
def test_a_folder_whose_weights_do_not_fit_is_refused(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_a_configuration_that_could_run_code_or_a_tokenizer_of_another_model_is_refused(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for change, message in (
        ({"_attn_implementation": "evil/kernel"}, "could make transformers run code"),
        ({"video_token_id": 7}, r"is token 1213 of its tokenizer and 7"),
        ({"model_type": "llava"}, "kind 'llava', not Qwen2.5-VL. Give the folder of somebody/model"),
    ):
        path.write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=message):
            load(folder)
    path.write_text(json.dumps(config))
    (folder / "generation_config.json").write_text('{"repetition_penalty": -1}')
    with pytest.raises(CheckpointError, match="repetition_penalty is -1"):
        load(folder)
    for name in TOKENIZER:
        (folder / name).unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        load(folder)


def test_an_unknown_precision_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be kept in '2bit'"):
        load(tmp_path / "nowhere", bits="2bit")
