"""Where a LoRA goes in ComfyUI's folder."""

from pathlib import Path

import pytest

from videoalign.errors import LoraFileError
from videoalign.lora.comfyui_folder import check_loras_folder, copy_into_loras, expert_path, loras_folder


@pytest.fixture
def comfyui(tmp_path):
    (tmp_path / "ComfyUI" / "models" / "loras").mkdir(parents=True)
    return tmp_path / "ComfyUI"


@pytest.fixture
def lora(tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"first")
    return file


def test_the_folder_is_found_from_comfyui_from_models_and_from_itself(comfyui, monkeypatch):
    expected = comfyui / "models" / "loras"
    for given in (comfyui, comfyui / "models", expected, str(comfyui)):
        assert loras_folder(given) == expected
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    assert loras_folder() == expected


def test_a_folder_that_is_not_comfyuis_is_refused(tmp_path, monkeypatch):
    with pytest.raises(LoraFileError, match="no models/loras folder"):
        loras_folder(tmp_path)
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    with pytest.raises(LoraFileError, match="COMFYUI_PATH"):
        loras_folder()


def test_another_lora_of_that_name_is_never_replaced_unasked(comfyui, lora):
    first = copy_into_loras(lora, comfyui)
    assert first == comfyui / "models" / "loras" / "mine.safetensors"
    assert copy_into_loras(lora, comfyui) == first
    lora.write_bytes(b"second")
    second = copy_into_loras(lora, comfyui)
    assert second.name == "mine-2.safetensors"
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert copy_into_loras(lora, comfyui, overwrite=True) == first
    assert first.read_bytes() == b"second"
    assert sorted(file.name for file in first.parent.iterdir()) == ["mine-2.safetensors", "mine.safetensors"]


def test_the_experts_of_wan_22_have_names_of_their_own(tmp_path):
    path = tmp_path / "my.lora.safetensors"
    assert expert_path(path, "high_noise").name == "my.lora_high_noise.safetensors"
    assert expert_path(path, None) == path
    assert expert_path(expert_path(path, "low_noise"), "low_noise").name == "my.lora_low_noise.safetensors"
    with pytest.raises(ValueError, match="expert"):
        expert_path(path, "middle")


def test_a_folder_that_can_be_written_to_is_left_as_it_was(comfyui, lora):
    copy_into_loras(lora, comfyui)
    check_loras_folder(comfyui)
    assert [file.name for file in loras_folder(comfyui).iterdir()] == ["mine.safetensors"]


def test_a_folder_that_cannot_be_written_to_is_known_beforehand(comfyui, monkeypatch):
    def read_only(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(LoraFileError, match="could not be written"):
        check_loras_folder(comfyui)
