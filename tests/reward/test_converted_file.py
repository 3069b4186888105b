"""The converted file: the same model bit for bit, written whole or not at all, and refused when damaged."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from videoalign.errors import CheckpointError
from videoalign.files.atomic_file import replacing
from videoalign.reward.checkpoint_files import open_checkpoint
from videoalign.reward.converted_file import load_converted, save_converted
from videoalign.reward.loading import load_video_reward, read_official


@pytest.fixture(scope="module")
def reward(checkpoints):
    return read_official(open_checkpoint(checkpoints / "ckpt_full"))


@pytest.fixture
def converted(reward, tmp_path):
    path = tmp_path / "reward.safetensors"
    save_converted(path, reward)
    return path


def parts(path):
    with safe_open(str(path), framework="pt") as file:
        return load_file(path), file.metadata()


@pytest.mark.parametrize("checkpoint", ["ckpt_full", "ckpt_lora", "ckpt_dim3", "ckpt_untied"])
@pytest.mark.parametrize("dtype", [None, torch.float32], ids=["own type", "float32"])
def test_a_converted_file_is_the_unconverted_checkpoint_bit_for_bit(official, checkpoints, tmp_path, checkpoint, dtype):
    path = tmp_path / "reward.safetensors"
    save_converted(path, read_official(open_checkpoint(checkpoints / checkpoint), dtype=dtype))
    before = load_video_reward(checkpoints / checkpoint, dtype=dtype, device="cpu")
    after = load_video_reward(path, dtype=dtype, device="cpu")
    theirs, ours = before.network.state_dict(), after.network.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)
    assert after.settings.sampling == before.settings.sampling
    assert after.settings.normalisation == before.settings.normalisation
    clip = official.prepared("syn/s05_10fps_3f_96x64")
    captions = [(official.prompts["unicode"],)]
    assert after.score_prepared(clip, captions) == before.score_prepared(clip, captions)


def test_a_converted_file_needs_nothing_beside_it(converted, tmp_path, official):
    (tmp_path / "alone").mkdir()
    path = shutil.move(converted, tmp_path / "alone" / "r.safetensors")
    model = load_video_reward(path, device="cpu")
    assert model.tokenizer.encode("cat", 2) == official.model("full.fp32").tokenizer.encode("cat", 2)


def test_the_format_is_the_documented_one(converted):
    tensors, metadata = parts(converted)
    assert (metadata["format"], metadata["version"]) == ("videoalign.video_reward", "1")
    assert json.loads(metadata["settings"])["lora"] is None
    assert json.loads(metadata["network_config"])["model_type"] == "qwen2_vl"
    assert json.loads(bytes(tensors["tokenizer.json"].tolist()))["model"]["type"] == "BPE"
    assert sum(name.startswith(("visual.", "language_model.", "rm_head.")) for name in tensors) == len(tensors) - 1


def test_a_converted_file_can_be_written_again_over_the_first_one(converted, reward):
    before, _ = parts(converted)
    save_converted(converted, reward)
    after, _ = parts(converted)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert os.listdir(converted.parent) == [converted.name]


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.999])
def test_a_truncated_file_is_refused(converted, share):
    content = converted.read_bytes()
    converted.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"cannot be read.*truncated.* Copy or download it again"):
        load_converted(converted)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"format": "something.else"}, r"not a converted VideoReward \(format: 'something\.else'\)"),
        ({"format": None}, r"not a converted VideoReward"),
        ({"version": "2"}, r"has version 2, this program reads version 1\. Update the program"),
        ({"version": None}, r"has version None"),
        ({"settings": None}, r"is damaged: its settings"),
        ({"settings": "{"}, r"is damaged: its settings"),
        ({"settings": "{}"}, r"is damaged: its settings"),
        ({"network_config": None}, r"is damaged: its settings, network_config"),
    ],
    ids=str,
)
def test_another_format_a_newer_version_and_damaged_settings_are_refused(converted, change, hint):
    tensors, metadata = parts(converted)
    metadata = {key: value for key, value in {**metadata, **change}.items() if value is not None}
    save_file(tensors, converted, metadata)
    with pytest.raises(CheckpointError, match=hint):
        load_video_reward(converted, device="cpu")


def test_a_plain_safetensors_file_and_another_kind_of_file_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="not a converted VideoReward"):
        load_video_reward(tmp_path / "a.safetensors", device="cpu")
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_video_reward(tmp_path / "model.pth", device="cpu")
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match=r"does not exist|is a folder"):
            load_converted(path)


@pytest.mark.parametrize("name", ["tokenizer.json", "rm_head.weight", "visual.merger.ln_q.weight"])
def test_a_missing_tensor_is_refused(converted, name):
    tensors, metadata = parts(converted)
    del tensors[name]
    save_file(tensors, converted, metadata)
    with pytest.raises(CheckpointError, match=r"is damaged|does not hold the weights"):
        load_video_reward(converted, device="cpu")


def test_a_tensor_of_another_shape_is_refused(converted):
    tensors, metadata = parts(converted)
    tensors["rm_head.weight"] = torch.zeros(3, 64)
    save_file(tensors, converted, metadata)
    with pytest.raises(CheckpointError, match=r"rm_head\.weight has shape \[3, 64\]"):
        load_video_reward(converted, device="cpu")


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from videoalign.reward.checkpoint_files import open_checkpoint
    from videoalign.reward.converted_file import save_converted
    from videoalign.errors import CheckpointError
    from videoalign.reward.loading import read_official

    reward = read_official(open_checkpoint(Path(sys.argv[1])))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for path in sys.argv[2:]:
        try:
            save_converted(path, reward)
        except CheckpointError as error:
            print(error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file size limits are a matter of POSIX")
def test_a_full_disk_is_a_clear_error_that_leaves_no_file_and_an_older_one_untouched(checkpoints, tmp_path):
    new, older = tmp_path / "new" / "reward.safetensors", tmp_path / "older" / "reward.safetensors"
    older.parent.mkdir()
    older.write_bytes(b"an older file")
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(checkpoints / "ckpt_full"), str(new), str(older)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    for path, line in zip((new, older), result.stdout.splitlines(), strict=True):
        assert line.startswith(f"{path} could not be written"), result.stderr
        assert "Nothing was left behind; free some space" in line
    assert list(new.parent.iterdir()) == []
    assert list(older.parent.iterdir()) == [older]
    assert older.read_bytes() == b"an older file"


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(reward, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"could not be written .*choose another folder"):
        save_converted(tmp_path / "file" / "reward.safetensors", reward)


def test_a_replaced_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("first", encoding="utf-8")
        assert not path.exists() and temporary.parent == path.parent
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "first"
    assert os.listdir(path.parent) == ["a.txt"]


def test_weights_that_are_not_finite_are_refused_when_the_file_is_loaded(converted):
    tensors, metadata = parts(converted)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] = torch.inf
    save_file(tensors, converted, metadata)
    with pytest.raises(CheckpointError, match=f"{name} has values that are not finite"):
        load_converted(converted)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_another_user_can_read_the_file(reward, tmp_path):
    before = os.umask(0o022)
    try:
        save_converted(tmp_path / "mine.safetensors", reward)
    finally:
        os.umask(before)
    assert (tmp_path / "mine.safetensors").stat().st_mode & 0o777 == 0o644
