"""Loading by path and by name, in every type, with the right tokenizer, and without touching the network."""

import json
import shutil
import socket

import pytest
import torch

from videoalign.errors import CheckpointError
from videoalign.judges import JudgeOptions, open_judge
from videoalign.reward import loading
from videoalign.reward.checkpoint_files import open_checkpoint
from videoalign.reward.converted_file import save_converted
from videoalign.reward.loading import load_video_reward, locate, read_official

WEIGHTS = "checkpoint-11352/model.pth"


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path_factory):
    """Any attempt to reach the network fails the test; the hub's cache is empty."""
    attempts = []

    def refuse(*args, **kwargs):
        attempts.append(args)
        raise OSError("the test forbids the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    return attempts


@pytest.fixture
def broken(checkpoints, tmp_path):
    """A copy of ckpt_full whose state dict has been changed by the given function."""

    def broken(change, config=None):
        shutil.copytree(checkpoints / "base", tmp_path / "base", dirs_exist_ok=True)
        folder = shutil.copytree(checkpoints / "ckpt_full", tmp_path / "ckpt")
        state = dict(torch.load(folder / WEIGHTS, weights_only=True))
        change(state)
        torch.save(state, folder / WEIGHTS)
        if config:
            values = json.loads((tmp_path / "base" / "config.json").read_text(encoding="utf-8"))
            (tmp_path / "base" / "config.json").write_text(json.dumps(values | config), encoding="utf-8")
        return folder

    return broken


def refused(source, hint, **options):
    with pytest.raises(CheckpointError, match=hint):
        load_video_reward(source, device="cpu", **options)


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16, torch.float16])
def test_the_arithmetic_is_the_asked_one_and_by_default_the_checkpoints(checkpoints, dtype):
    model = load_video_reward(checkpoints / "ckpt_full", dtype=dtype, device="cpu")
    assert model.dtype == (dtype or torch.bfloat16)
    assert {parameter.dtype for parameter in model.network.parameters()} == {model.dtype}
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert not model.network.training
    assert model.device == torch.device("cpu")


def test_auto_asks_what_the_device_that_will_score_is_fast_in(checkpoints, monkeypatch):
    """ComfyUI reads weights into main memory and scores on a GPU."""
    asked = []
    monkeypatch.setattr(
        loading, "arithmetic_of", lambda stored, device: asked.append((stored, str(device))) or torch.float16
    )
    where = {"device": "cpu", "compute_device": "cuda:1"}
    model = load_video_reward(checkpoints / "ckpt_full", dtype="auto", **where)
    judge = open_judge(f"videoreward:{checkpoints / 'ckpt_full'}", JudgeOptions(**where))
    assert asked == [(torch.bfloat16, "cuda:1")] * 2
    assert model.dtype == judge.dtype == torch.float16 and model.device == torch.device("cpu")


def test_no_tensor_of_a_loaded_network_is_left_without_memory(checkpoints):
    network = load_video_reward(checkpoints / "ckpt_full", device="cpu").network
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        assert not tensor.is_meta, name


@pytest.mark.parametrize("checkpoint", ["ckpt_full", "ckpt_lora", "ckpt_dim3", "ckpt_untied"])
def test_loading_local_checkpoints_never_touches_the_network(checkpoints, no_network, checkpoint):
    load_video_reward(checkpoints / checkpoint, device="cpu")
    assert no_network == []


def test_a_name_on_the_hub_is_not_fetched_unless_allowed(no_network):
    refused("KlingTeam/VideoReward", r"No reward model at .*fetched only with --download")
    assert no_network == []
    refused("KlingTeam/VideoReward", r"could not be downloaded.*network", allow_download=True)
    assert no_network


@pytest.mark.parametrize("source", ["./nothing", "../nothing", "no--thing/x..y", "nothing", "a/b/c", "/nothing/here"])
def test_a_path_that_is_not_there_is_an_error_that_lists_where_was_looked(no_network, source):
    refused(source, r"No reward model at ")
    assert no_network == []


def test_a_name_is_found_among_comfyuis_reward_models(checkpoints, tmp_path, monkeypatch):
    folder = tmp_path / "models" / "reward_models"
    shutil.copytree(checkpoints / "ckpt_full", folder / "VideoReward")
    save_converted(folder / "small.safetensors", read_official(open_checkpoint(checkpoints / "ckpt_full")))
    with pytest.raises(CheckpointError, match="No reward model"):
        locate("VideoReward")
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert locate("VideoReward") == folder / "VideoReward"
    assert locate("small.safetensors") == folder / "small.safetensors"
    assert load_video_reward("small.safetensors", device="cpu").dtype == torch.bfloat16
    with pytest.raises(CheckpointError, match=r"reward_models.other"):
        locate("other")


def test_a_path_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "rewards").mkdir()
    assert locate("~/rewards") == tmp_path / "rewards"


def test_a_tokenizer_of_another_vocabulary_is_refused(checkpoints, tmp_path):
    from tokenizers import Tokenizer

    folder = shutil.copytree(checkpoints / "ckpt_full", tmp_path / "ckpt")
    path = str(folder / "checkpoint-11352" / "tokenizer" / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.add_tokens(["one more"])
    tokenizer.save(path)
    refused(folder, r"has 1217 rows, the tokenizer 1218 tokens", base=checkpoints / "base")


def test_a_tokenizer_that_is_not_qwens_is_refused(checkpoints, tmp_path):
    from tokenizers import Tokenizer, models

    folder = shutil.copytree(checkpoints / "ckpt_full", tmp_path / "ckpt")
    Tokenizer(models.BPE()).save(str(folder / "checkpoint-11352" / "tokenizer" / "tokenizer.json"))
    refused(folder, r"does not know <\|endoftext\|>, <\|im_end\|>.*not a Qwen2-VL tokenizer", base=checkpoints / "base")


def test_a_whole_checkpoint_without_its_lm_head_is_refused(broken):
    folder = broken(lambda state: state.pop("base_model.model.lm_head.weight"))
    refused(folder, r"has no lm_head\.weight, whose values the token embedding takes")


def test_an_lm_head_that_is_not_tied_to_the_embedding_leaves_the_embedding_alone(broken, checkpoints):
    def scramble(state):
        state["base_model.model.lm_head.weight"] = torch.randn(1217, 64)

    model = load_video_reward(broken(scramble, {"tie_word_embeddings": False}), dtype=torch.float32, device="cpu")
    whole = load_video_reward(checkpoints / "ckpt_full", dtype=torch.float32, device="cpu")
    embedding = "language_model.embed_tokens.weight"
    assert torch.equal(model.network.state_dict()[embedding], whole.network.state_dict()[embedding])


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda state: state.pop("base_model.model.rm_head.weight"), r"1 keys are missing \(rm_head\.weight\)"),
        (lambda state: state.update(extra=torch.zeros(1)), r"1 are unknown \(extra\)"),
        (
            lambda state: state.update({"base_model.model.rm_head.weight": torch.zeros(3, 64)}),
            r"rm_head\.weight has shape",
        ),
    ],
    ids=["missing", "extra", "shape"],
)
def test_a_state_dict_that_does_not_fit_is_refused(broken, change, hint):
    refused(broken(change), hint)


def test_an_unknown_number_type_is_refused(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "ckpt_full", tmp_path / "ckpt")
    config = json.loads((folder / "model_config.json").read_text(encoding="utf-8"))
    config["model_config"]["torch_dtype"] = "int3"
    (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
    for dtype in (None, torch.float32):
        refused(
            folder, r"torch_dtype is 'int3'; known: float32, bfloat16, float16", base=checkpoints / "base", dtype=dtype
        )


def test_an_unknown_template_is_refused(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "ckpt_full", tmp_path / "ckpt")
    config = json.loads((folder / "model_config.json").read_text(encoding="utf-8"))
    for template in ("other", "../secret", "two {text_prompt} {text_prompt}"):
        config["data_config"]["prompt_template_type"] = template
        (folder / "model_config.json").write_text(json.dumps(config), encoding="utf-8")
        refused(folder, r"known templates: detailed_special|it needs exactly one", base=checkpoints / "base")


def test_a_size_that_is_no_released_one_needs_its_base_model(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "ckpt_full", tmp_path / "alone" / "ckpt")
    refused(folder, r"not of a released Qwen2-VL size; give the folder of its base model with --base")
