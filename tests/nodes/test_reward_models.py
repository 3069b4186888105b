import pytest

from videoalign.errors import CheckpointError
from videoalign.nodes import reward_models
from videoalign.nodes.reward_models import EMBEDDED_NAME, reward_model_names, reward_model_path


@pytest.fixture
def folders(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "VideoReward" / "checkpoint-11352").mkdir(parents=True)
    (one / "VideoReward" / "model_config.json").write_text("{}")
    (one / "VideoReward" / "checkpoint-11352" / "adapter_model.safetensors").touch()
    (one / "converted.safetensors").touch()
    (one / ".cache.safetensors").touch()
    (one / "notes.txt").touch()
    (other / "mine").mkdir(parents=True)
    (other / "mine" / "b.safetensors").touch()
    return [one, other, tmp_path / "unplugged"]


def test_converted_files_and_official_folders_are_listed_and_what_lies_inside_a_folder_is_not(folders):
    names = [name for name in reward_model_names(folders) if name != EMBEDDED_NAME]
    assert names == ["converted.safetensors", "mine/b.safetensors", "VideoReward"]


def test_every_listed_name_has_its_path(folders):
    for name in reward_model_names(folders):
        assert reward_model_path(name, folders).exists()


def test_the_embedded_model_comes_first(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(reward_models, "EMBEDDED_FILE", tmp_path / "one" / "converted.safetensors")
    assert reward_model_names(folders)[0] == EMBEDDED_NAME
    assert reward_model_path(EMBEDDED_NAME, []) == tmp_path / "one" / "converted.safetensors"


@pytest.mark.parametrize("name", ["gone.safetensors", "../secret", "/etc/passwd"])
def test_a_name_that_is_not_there_is_refused_with_where_was_looked(folders, name):
    (folders[0].parent / "secret").touch()
    with pytest.raises(CheckpointError, match="is not in") as error:
        reward_model_path(name, folders)
    assert str(folders[0]) in str(error.value)
