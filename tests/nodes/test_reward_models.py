import pytest

from videoalign.errors import CheckpointError
from videoalign.nodes import reward_models
from videoalign.nodes.reward_models import EMBEDDED_NAME, judge_source_names, reward_model_names, reward_model_path


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


def test_judges_may_be_opened_with_folders_of_the_hub_and_files_of_marks_too(folders):
    (folders[1] / "VideoScore2").mkdir()
    (folders[1] / "VideoScore2" / "config.json").write_text("{}")
    (folders[1] / "VideoScore2" / "model-00001-of-00002.safetensors").touch()
    (folders[1] / "marks.jsonl").touch()
    names = judge_source_names(folders)
    assert names == ["converted.safetensors", "marks.jsonl", "mine/b.safetensors", "VideoReward", "VideoScore2"]
    assert "VideoScore2" not in reward_model_names(folders)


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
