"""Checkpoint folders: the right files are found, damaged or dangerous ones are refused."""

import os
import pickle
import shutil

import pytest
import torch

from videoalign.errors import CheckpointError
from videoalign.files.tensor_file import load_tensors
from videoalign.reward.checkpoint_files import (
    find_base,
    open_checkpoint,
    read_base_weights,
    read_pickle,
)
from videoalign.reward.loading import load_video_reward


@pytest.fixture
def copy(checkpoints, tmp_path):
    """Copy a checkpoint, and the base model beside it, to a place where it may be broken."""

    def copy(name="ckpt_full"):
        shutil.copytree(checkpoints / "base", tmp_path / "base")
        return shutil.copytree(checkpoints / name, tmp_path / name)

    return copy


def load(folder, **options):
    return load_video_reward(folder, device="cpu", **options)


def refused(folder, hint, **options):
    with pytest.raises(CheckpointError, match=hint):
        load(folder, **options)


def test_the_highest_checkpoint_by_number_is_chosen_or_the_one_asked_for(copy):
    folder = copy("ckpt_dim3")
    for decoy in ("checkpoint-90", "checkpoint-1", "checkpoint-old", "checkpoint-1000.tmp"):
        (folder / decoy).mkdir()
    (folder / "checkpoint-9999").touch()
    assert open_checkpoint(folder).weights.name == "checkpoint-900"
    assert open_checkpoint(folder / "checkpoint-900").root == folder
    with pytest.raises(CheckpointError, match=r"checkpoint-90 holds nothing; expected model\.pth"):
        open_checkpoint(folder, step=90)
    with pytest.raises(CheckpointError, match=r"no checkpoint-7; it has checkpoint-1, checkpoint-90, checkpoint-900"):
        open_checkpoint(folder, step=7)
    with pytest.raises(CheckpointError, match=r"is not checkpoint-90"):
        open_checkpoint(folder / "checkpoint-900", step=90)


def test_a_folder_without_checkpoints_or_configuration_is_refused(tmp_path, copy):
    refused(tmp_path, r"model_config\.json is missing")
    folder = copy()
    shutil.rmtree(folder / "checkpoint-11352")
    refused(folder, r"has no checkpoint-N folder\. Download the whole repository")


@pytest.mark.parametrize(
    ("checkpoint", "lost"),
    [
        ("ckpt_full", "model.pth"),
        ("ckpt_lora", "adapter_model.safetensors"),
        ("ckpt_lora", "non_lora_state_dict.pth"),
    ],
)
def test_missing_weights_are_an_error_that_lists_what_is_there(copy, checkpoint, lost):
    folder = copy(checkpoint)
    next(folder.glob(f"*/{lost}")).unlink()
    refused(folder, r"expected model\.pth, or adapter_model\.safetensors and non_lora_state_dict\.pth")


def test_missing_base_weights_are_an_error_that_says_where_to_get_them(copy):
    folder = copy("ckpt_lora")
    (folder.parent / "base" / "model.safetensors").unlink()
    refused(folder, r"holds no \.safetensors weights of \.\./base")
    shutil.rmtree(folder.parent / "base")
    refused(folder, r"(--base|--download)")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_model_file_is_refused(copy, share):
    folder = copy()
    path = folder / "checkpoint-11352" / "model.pth"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(folder, r"model\.pth .*Download it again")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_adapter_file_is_refused(copy, share):
    folder = copy("ckpt_lora")
    path = folder / "checkpoint-600" / "adapter_model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(folder, r"cannot be read.*truncated.* Copy or download it again")


class Malicious:
    """Unpickling it would create a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.open, (self.marker, os.O_CREAT)


@pytest.mark.parametrize("form", ["torch", "legacy torch", "bare pickle"])
def test_a_malicious_pickle_is_refused_and_does_not_run(copy, tmp_path, form):
    folder, marker = copy(), tmp_path / "executed"
    path = folder / "checkpoint-11352" / "model.pth"
    content = {"rm_head.weight": torch.zeros(1), "x": Malicious(marker)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    refused(folder, r"could harm this computer|not a torch file")
    assert not marker.exists()
    torch.load(path, weights_only=False) if form != "bare pickle" else pickle.loads(path.read_bytes())
    assert marker.exists(), "the file was not malicious in the first place"


def test_a_malicious_non_lora_file_is_refused_and_does_not_run(copy, tmp_path):
    folder, marker = copy("ckpt_lora"), tmp_path / "executed"
    torch.save({"rm_head.weight": Malicious(marker)}, folder / "checkpoint-600" / "non_lora_state_dict.pth")
    refused(folder, r"could harm this computer")
    assert not marker.exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {7: torch.zeros(1)}, torch.zeros(3)], ids=str)
def test_a_torch_file_that_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="does not hold a state dict"):
        read_pickle(tmp_path / "model.pth")


@pytest.mark.parametrize("version", ["2.9.1+cu128", "2.6.0"])
def test_a_pickle_is_not_opened_by_a_torch_whose_safe_loading_has_a_hole(tmp_path, monkeypatch, version):
    torch.save({"a": torch.ones(2)}, tmp_path / "model.pth")
    assert read_pickle(tmp_path / "model.pth")["a"].sum() == 2
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(CheckpointError, match=r"CVE-2026-24747\)\. Update torch to 2\.10 or newer; or convert"):
        read_pickle(tmp_path / "model.pth")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"not a tensor in sight" * 10)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_tensors(tmp_path / "a.safetensors", CheckpointError)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_tensors(tmp_path / "none.safetensors", CheckpointError)


def test_base_weights_in_shards_are_read_whole(tmp_path, checkpoints):
    from safetensors.torch import load_file, save_file

    whole = load_file(checkpoints / "base" / "model.safetensors")
    names = sorted(whole)
    save_file({name: whole[name] for name in names[::2]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({name: whole[name] for name in names[1::2]}, tmp_path / "model-00002-of-00002.safetensors")
    state = read_base_weights(tmp_path, "x")
    assert set(state) == set(whole) and all(torch.equal(state[name], whole[name]) for name in whole)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_base_configuration_is_refused(copy, content):
    folder = copy("ckpt_lora")
    (folder.parent / "base" / "config.json").write_text(content, encoding="utf-8")
    refused(folder, r"config\.json (is not valid JSON|has no vision_config)")


def test_a_damaged_tokenizer_is_refused(copy):
    folder = copy()
    (folder / "checkpoint-11352" / "tokenizer" / "tokenizer.json").write_text("{}", encoding="utf-8")
    refused(folder, r"The tokenizer files in .* cannot be read.*Download them again")


def test_a_checkpoint_without_any_tokenizer_says_where_to_put_one(copy):
    folder = copy()
    shutil.rmtree(folder / "checkpoint-11352" / "tokenizer")
    assert load(folder).tokenizer.reward_token_ids == [1214, 1215, 1216]  # the base model's, reward tokens appended
    for name in ("vocab.json", "merges.txt"):
        (folder.parent / "base" / name).unlink()
    refused(folder, r"needs the tokenizer of \.\./base\. Put that model's folder beside it")


def test_the_base_model_is_found_by_its_name_beside_or_inside_the_checkpoint(copy, tmp_path):
    folder = copy()
    checkpoint = open_checkpoint(folder)
    assert find_base(checkpoint, None, False).samefile(tmp_path / "base")
    assert find_base(checkpoint, tmp_path / "base", False) == tmp_path / "base"
    (tmp_path / "base").rename(folder / "base")
    assert find_base(checkpoint, None, False).samefile(folder / "base")
    shutil.rmtree(folder / "base")
    assert find_base(checkpoint, None, False) is None  # "../base" is not a name on the hub
    with pytest.raises(CheckpointError, match="nowhere does not exist"):
        find_base(checkpoint, tmp_path / "nowhere", False)


def test_a_state_that_is_not_finite_is_refused(tmp_path):
    torch.save({"a": torch.ones(3), "b": torch.tensor([1.0, torch.nan])}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="b has values that are not finite"):
        read_pickle(tmp_path / "model.pth")
