import pytest

from videoalign.errors import CheckpointError
from videoalign.nodes import latent_reward_models
from videoalign.nodes.latent_reward_models import EMBEDDED_NAME, latent_reward_names, latent_reward_path


@pytest.fixture
def folder(tmp_path):
    for name in ("wan.safetensors", "deeper/LTX.SAFETENSORS", "notes.txt", ".hidden.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "official").mkdir()
    (tmp_path / "official" / "model_config.json").write_text("{}")
    return tmp_path


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """Whether the embedded file is there is up to the test."""
    path = tmp_path / "elsewhere" / "micro_latent_reward.safetensors"
    monkeypatch.setattr(latent_reward_models, "EMBEDDED_LATENT_FILE", path)
    return path


def test_files_are_listed_and_folders_of_video_rewards_are_not(folder, embedded):
    assert latent_reward_names([folder]) == ["deeper/LTX.SAFETENSORS", "wan.safetensors"]
    assert latent_reward_path("deeper/LTX.SAFETENSORS", [folder]) == folder / "deeper" / "LTX.SAFETENSORS"


def test_the_embedded_model_is_listed_first_once_it_exists(folder, embedded):
    with pytest.raises(CheckpointError, match=r"micro_latent_reward.safetensors is missing"):
        latent_reward_path(EMBEDDED_NAME, [folder])
    embedded.parent.mkdir()
    embedded.write_bytes(b"")
    assert latent_reward_names([folder])[0] == EMBEDDED_NAME
    assert latent_reward_path(EMBEDDED_NAME, [folder]) == embedded


@pytest.mark.parametrize("name", ["gone.safetensors", "../wan.safetensors", "/etc/passwd"])
def test_a_name_that_is_not_there_is_an_error_that_says_where_was_looked(folder, embedded, name):
    with pytest.raises(CheckpointError, match=rf"latent reward model '{name}' is not in {folder}"):
        latent_reward_path(name, [folder])
