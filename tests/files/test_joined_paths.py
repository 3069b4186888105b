"""``A+B`` names two files, unless there is one of that name."""

from pathlib import Path

from videoalign.files.joined_paths import paths_of
from videoalign.generation.identity import file_key
from videoalign.training.loop.same_run import by_content


def test_one_path_is_one_and_several_are_several():
    assert paths_of("models/a.safetensors") == [Path("models/a.safetensors")]
    assert paths_of("models/a.safetensors+b.safetensors") == [Path("models/a.safetensors"), Path("b.safetensors")]


def test_a_file_whose_name_has_a_plus_stays_one(tmp_path):
    file = tmp_path / "a+b.safetensors"
    file.write_bytes(b"x")
    assert paths_of(file) == [file]


def test_the_content_of_both_counts(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    both = f"{first}+{second}"
    keys = {file_key(Path(both)), by_content({"text_encoder": both}, ["text_encoder"])["text_encoder"]}
    second.write_bytes(b"three")
    keys |= {file_key(Path(both)), by_content({"text_encoder": both}, ["text_encoder"])["text_encoder"]}
    assert len(keys) in (2, 4) and both not in keys
    assert file_key(Path(both)) != file_key(first)
